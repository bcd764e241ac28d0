"""Videos and categories in the admin. A video is deleted by its tombstone, so the admin never removes a row."""

from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminDateWidget, AdminSplitDateTime, AdminTextareaWidget, AdminTimeWidget
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from .changes_admin import HistoryAdmin as HistoryAdmin
from .curation_admin import CurationAdmin as CurationAdmin
from .deleted import LONGEST_REASON
from .links import history_url
from .models import Video
from .pagination import LargeTablePaginator
from .taxonomy_admin import CategoryAdmin as CategoryAdmin


class ReasonForm(ActionForm):
    reason = forms.CharField(required=False, max_length=LONGEST_REASON, label="Reason for a delete:")


class NamedDateAndTime(AdminSplitDateTime):
    """Two boxes, each with a name for who cannot see the words before it."""

    def __init__(self, attrs: dict[str, str] | None = None) -> None:
        boxes = (AdminDateWidget({"aria-label": "Date"}), AdminTimeWidget({"aria-label": "Time"}))
        forms.MultiWidget.__init__(self, boxes, attrs)


class DeletedFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("deleted", "deleted"), ("all", "all")]

    def choices(self, changelist: Any) -> Any:
        first, *rest = super().choices(changelist)
        return [first | {"display": "in the library"}, *rest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Video]) -> QuerySet[Video]:
        match self.value():
            case "deleted":
                return queryset.deleted()
            case "all":
                return queryset
            case _:
                return queryset.live()


@admin.register(Video)
class VideoAdmin(admin.ModelAdmin):
    list_display = (
        "titled",
        "channel_name",
        "category_names",
        "has_audio",
        "published",
        "added",
    )
    list_filter = (DeletedFilter, "source", "has_audio", "content_type", "complexity_level", "language")
    search_fields = ("title_folded", "channel_name", "video_id", "legacy_id")
    search_help_text = "Title, channel or ID"
    ordering = ("-indexed_at", "video_id")
    list_per_page = 50
    show_full_result_count = False
    paginator = LargeTablePaginator
    actions = ("delete_selected_videos", "restore_selected_videos")
    action_form = ReasonForm
    fieldsets = (
        (None, {"fields": ("title", "canonical_url", "thumbnail_url", "channel_name", "source")}),
        ("Content", {"fields": ("content_type", "complexity_level", "language", "key_topics", "named_entities")}),
        ("Times", {"fields": ("published_at", "indexed_at", "created_at", "updated_at")}),
        (
            "Media",
            {
                "fields": (
                    "duration_seconds", "word_count", "has_audio", "audio_duration_seconds", "has_transcript",
                    "transcript_chars",
                )
            },
        ),
        ("As it came in", {"fields": ("subcategories_json", "analysis", "extra"), "classes": ("collapse",)}),
        ("Identity", {"fields": ("video_id", "legacy_id", "deleted_at", "deleted_by", "deleted_reason")}),
    )  # fmt: skip
    # As many lines as the text has.
    formfield_overrides: ClassVar = {
        models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 1})},
        models.DateTimeField: {"widget": NamedDateAndTime},
        models.JSONField: {"widget": AdminTextareaWidget(attrs={"rows": 2})},
    }
    readonly_fields = (
        "video_id", "legacy_id", "created_at", "updated_at", "subcategories_json", "analysis", "extra", "deleted_at",
        "deleted_by", "deleted_reason",
    )  # fmt: skip

    @admin.display(description="title", ordering="title_sort_key")
    def titled(self, video: Video) -> str:
        return video.display_title

    @admin.display(ordering="published_at")
    def published(self, video: Video) -> str:
        return day(video.published_at)

    @admin.display(ordering="indexed_at")
    def added(self, video: Video) -> str:
        return day(video.indexed_at)

    @admin.display(description="categories")
    def category_names(self, video: Video) -> str:
        return ", ".join(str(row) for row in video.categorizations.all()) or "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Video]:
        queryset = super().get_queryset(request).defer("title_sort_key", "analysis", "extra")
        return queryset.prefetch_related("categorizations__subcategory__category", "categorizations__category")

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What the triggers kept, instead of what was done in these forms alone."""
        return HttpResponseRedirect(history_url(unquote(object_id)))

    def save_model(self, request: HttpRequest, video: Video, form: Any, change: bool) -> None:
        # What a person writes now is the newest there is: a later import of older data leaves it alone.
        video.updated_at = timezone.now()
        video.save(update_fields=[*form.changed_data, "updated_at"])

    @admin.action(description="Delete: hide the selected videos", permissions=["change"])
    def delete_selected_videos(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        by, reason = request.user.get_username(), request.POST.get("reason", "")
        number = sum(video.delete_by(by, reason) for video in in_order(queryset))
        self.message_user(request, f"Deleted: {number:,}. They can be restored.", messages.SUCCESS)

    @admin.action(description="Restore the selected videos", permissions=["change"])
    def restore_selected_videos(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        number = sum(video.restore_by(request.user.get_username()) for video in in_order(queryset))
        self.message_user(request, f"Restored: {number:,}.", messages.SUCCESS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Video | None = None) -> bool:
        return False


def day(moment: datetime | None) -> str:
    """The day, in UTC."""
    return f"{moment:%Y-%m-%d}" if moment else "–"


def in_order(queryset: QuerySet[Video]) -> QuerySet[Video]:
    """The videos by their keys alone."""
    return queryset.order_by("pk").only("pk", "processing_status").prefetch_related(None)
