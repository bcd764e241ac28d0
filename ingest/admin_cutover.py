"""The cut-over in the admin: steps, flags, what the old system was told, and where shadow reads disagree."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from .admin import ReadOnlyAdmin
from .models import CutoverStep, Delivery, Flag, OutboxEntry, ShadowCount, ShadowRead
from .values import marked


@admin.register(CutoverStep)
class CutoverStepAdmin(ReadOnlyAdmin):
    list_display = ("at", "verb", "outcome", "by", "message")
    list_filter = ("verb", "outcome")
    fields = ("at", "by", "verb", "outcome", "message", "numbers")


@admin.register(Flag)
class FlagAdmin(ReadOnlyAdmin):
    list_display = ("flag_name", "value", "changed_at", "changed_by", "meaning")
    sortable_by = ()
    fields = ("flag_name", "value", "changed_at", "changed_by", "meaning")

    @admin.display(description="name")
    def flag_name(self, flag: Flag) -> str:
        return flag.name

    @admin.display(description="while it is on")
    def meaning(self, flag: Flag) -> str:
        return flag.get_name_display()


@admin.register(OutboxEntry)
class OutboxEntryAdmin(ReadOnlyAdmin):
    list_display = ("video_id", "enqueued_at", "attempts", "next_attempt_at", "shown_error")
    search_fields = ("video_id",)
    sortable_by = ()
    fields = ("video_id", "sequence", "enqueued_at", "attempts", "next_attempt_at", "shown_error")

    @admin.display(description="last error")
    def shown_error(self, entry: OutboxEntry) -> SafeString | str:
        return marked(entry.last_error) if entry.last_error else "–"


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("at", "video_id", "action", "parity", "fields_that_differ", "attempts")
    list_filter = ("parity", "action")
    search_fields = ("video_id",)
    sortable_by = ()
    fields = ("at", "video_id", "sequence", "action", "attempts", "parity", "shown_differences")

    @admin.display(description="differs in")
    def fields_that_differ(self, delivery: Delivery) -> str:
        return ", ".join(one["field"] for one in delivery.differences) or "–"

    @admin.display(description="differences")
    def shown_differences(self, delivery: Delivery) -> SafeString | str:
        lines = [
            format_html("{}: {} in the old system, {} here", one["field"], marked(one["old"]), marked(one["new"]))
            for one in delivery.differences
        ]
        return format_html_join(SafeString("<br>"), "{}", ((line,) for line in lines)) if lines else "none"


@admin.register(ShadowRead)
class ShadowReadAdmin(ReadOnlyAdmin):
    list_display = ("at", "request", "where")
    sortable_by = ()
    fields = ("at", "request", "shown_differences")
    change_list_template = "admin/ingest/shadowread/change_list.html"

    @admin.display(description="differs in")
    def where(self, read: ShadowRead) -> str:
        return ", ".join(one["path"] for one in read.differences[:3]) or "–"

    @admin.display(description="differences")
    def shown_differences(self, read: ShadowRead) -> SafeString | str:
        lines = [
            format_html("{}: {} in the old system, {} here", one["path"], marked(one["old"]), marked(one["new"]))
            for one in read.differences
        ]
        return format_html_join(SafeString("<br>"), "{}", ((line,) for line in lines)) if lines else "none"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "days": ShadowCount.objects.all()[:DAYS]})


# So many days are summed up above the list.
DAYS = 14
