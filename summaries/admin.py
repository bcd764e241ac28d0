"""Summaries in the admin: to look at. A new text comes in as a new revision, never by changing an old one."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from videos.pagination import LargeTablePaginator

from .models import Summary


@admin.register(Summary)
class SummaryAdmin(admin.ModelAdmin):
    list_display = ("video", "variant", "revision", "is_latest", "language", "generated_at")
    list_filter = ("is_latest", "variant", "language")
    list_select_related = ("video",)
    search_fields = ("video__title_folded", "video__video_id")
    show_full_result_count = False
    paginator = LargeTablePaginator
    fields = (
        "video", "variant", "revision", "is_latest", "language", "generated_at", "created_at", "updated_at",
        "rendered", "text", "metadata", "raw_payload",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="as the reader shows it")
    def rendered(self, summary: Summary) -> SafeString:
        # Sanitised when it was written (rendering.py).
        return format_html("<div>{}</div>", mark_safe(summary.html))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Summary]:
        return super().get_queryset(request).defer("text_folded")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Summary | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Summary | None = None) -> bool:
        return False
