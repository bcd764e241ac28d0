"""Imported snapshots, their rows and what was quarantined: to look at, never to change."""

import json

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from videos.admin import LargeTablePaginator

from .models import QuarantinedRow, Snapshot, VaultRow
from .sqlite.codec import Row, Text, decode


def shown(row: Row) -> str:
    """The values of a row, for people: text as text, bytes that are no text escaped, blobs in hex."""
    return "\n".join(
        value.decode(errors="backslashreplace").replace("\x00", "␀")
        if isinstance(value, Text)
        else value.hex(" ")
        if isinstance(value, bytes)
        else json.dumps(value)
        for value in row
    )


class ReadOnlyAdmin(admin.ModelAdmin):
    show_full_result_count = False
    paginator = LargeTablePaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    list_display = ("name", "generation", "size_bytes", "sha256", "imported_at")


@admin.register(VaultRow)
class VaultRowAdmin(ReadOnlyAdmin):
    list_display = ("table", "key", "outcome", "video_id", "snapshot")
    list_filter = ("outcome", "table", "snapshot")
    list_select_related = ("snapshot",)
    search_fields = ("video_id",)
    fields = ("snapshot", "table", "key", "outcome", "video_id", "values")

    @admin.display(description="values")
    def values(self, row: VaultRow) -> SafeString:
        return format_html("<pre>{}</pre>", shown(decode(bytes(row.content))))

    def get_queryset(self, request: HttpRequest) -> QuerySet[VaultRow]:
        return super().get_queryset(request).defer("sha256")


@admin.register(QuarantinedRow)
class QuarantinedRowAdmin(ReadOnlyAdmin):
    list_display = ("row", "code", "column", "message")
    list_filter = ("code", "row__table", "row__snapshot")
    list_select_related = ("row__snapshot",)
    search_fields = ("message",)
    fields = ("row", "code", "column", "message", "offending_value")

    @admin.display(description="value")
    def offending_value(self, row: QuarantinedRow) -> SafeString:
        return format_html("<pre>{}</pre>", shown(decode(bytes(row.value))) if row.value else "")
