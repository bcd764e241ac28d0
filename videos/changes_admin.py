"""The history in the admin: one stream, per video, and taking changes back."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from .changes import (
    Reverted,
    Transaction,
    revert,
    stream,
    transactions_by,
    transactions_of_context,
)
from .links import undo_url
from .models import CategorizationEvent, Video

# Of more than these the page gives the number.
NAMED = 50


@admin.register(CategorizationEvent)
class HistoryAdmin(admin.ModelAdmin):
    """Stands for all events: the stream is made of several tables."""

    class Media:
        css = {"all": ("css/curation.css",)}

    def get_urls(self) -> list[URLPattern]:
        taking_back = self.admin_site.admin_view(self.revert_view)
        return [
            path("", self.admin_site.admin_view(self.changelist_view), name="videos_categorizationevent_changelist"),
            path("revert/", taking_back, name="videos_categorizationevent_revert"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The stream, newest first; `video`, `who` and `before` narrow it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        video_id, who = text(request.GET, "video"), text(request.GET, "who")
        entries, older = stream(before=moment(request.GET, "before"), video_id=video_id, who=who)
        narrowed = {"video": video_id, "who": who}
        context = self.page(request, "History") | {
            "entries": [
                {
                    "entry": entry,
                    "changes": [
                        {"change": change, "revert": revert_address(entry.transaction, change.video_id)}
                        for change in entry.changes
                    ],
                    "revert": undo_url(entry.transaction.context)
                    if entry.action and entry.transaction.context
                    else revert_address(entry.transaction, ""),
                }
                for entry in entries
            ],
            "older": older and "?" + urlencode({**narrowed, "before": older.isoformat()}),
            "who": who,
            "video_id": video_id,
            "video": Video.objects.filter(pk=video_id).first() if video_id else None,
            "is_narrowed": bool(request.GET),
            "may_revert": may_revert(request),
            "revert": reverse("admin:videos_categorizationevent_revert"),
        }
        return TemplateResponse(request, "admin/videos/history/stream.html", context)

    def revert_view(self, request: HttpRequest) -> HttpResponse:
        """Show what would go back, and take it back when that is confirmed.

        One transaction (`at`, `context`, and `video` for one of its videos), a whole action (`context`), or what
        somebody did in a period (`who`, `since`, `until`, in UTC).
        """
        if not may_revert(request):
            raise PermissionDenied
        asked = request.POST if request.method == "POST" else request.GET
        transactions, problem = chosen(asked)
        video_id = text(asked, "video")
        options = {"video_ids": [video_id] if video_id else None, "force": text(asked, "force") == "yes"}
        by = request.user.get_username()
        if request.method == "POST" and transactions:
            reverted = revert(transactions, by, **options)
            self.report(request, reverted)
            return HttpResponseRedirect(self.after(reverted, text(asked, "at")))
        planned = revert(transactions, by, is_dry_run=True, **options) if transactions else Reverted()
        titles = dict(
            Video.objects.filter(
                pk__in=[*planned.videos[:NAMED], *(key for key, _ in planned.skipped[:NAMED])]
            ).values_list("pk", "title")
        )
        names = ("at", "context", "video", "who", "kind", "since", "until")
        context = self.page(request, "Take back") | {
            "problem": problem,
            "videos": [(key, titles.get(key) or key) for key in planned.videos[:NAMED]],
            "skipped": [(key, titles.get(key) or key, reason) for key, reason in planned.skipped[:NAMED]],
            "number": len(planned.videos),
            "skipped_number": len(planned.skipped),
            "fields": [(name, text(asked, name)) for name in names if text(asked, name)],
            "may_insist": bool(video_id and planned.skipped),
            "who": text(asked, "who"),
            "kind": text(asked, "kind"),
            "since": text(asked, "since"),
            "until": text(asked, "until"),
            "asks": not transactions,
        }
        return TemplateResponse(request, "admin/videos/history/revert.html", context)

    def page(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "media": self.media,
            "stream": reverse("admin:videos_categorizationevent_changelist"),
        }

    def report(self, request: HttpRequest, reverted: Reverted) -> None:
        number = len(reverted.videos)
        said = "1 video is back to what it was." if number == 1 else f"{number:,} videos are back to what they were."
        self.message_user(request, said, messages.SUCCESS if number else messages.INFO)
        for key, reason in reverted.skipped[:NAMED]:
            self.message_user(request, f"{key} stays as it is. {reason}", messages.WARNING)

    def after(self, reverted: Reverted, at: str) -> str:
        """Where to go on: with the video whose last change was undone, and else in the history."""
        if not at and len(reverted.videos) == 1:
            return reverse("admin:videos_curation_change", args=reverted.videos)
        return reverse("admin:videos_categorizationevent_changelist")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


def may_revert(request: HttpRequest) -> bool:
    return request.user.has_perms(["videos.change_curation", "videos.change_video"])


def revert_address(transaction: Transaction, video_id: str) -> str:
    asked = {"at": transaction.at.isoformat(), "context": transaction.context or "", "video": video_id}
    address = reverse("admin:videos_categorizationevent_revert")
    return f"{address}?{urlencode({name: value for name, value in asked.items() if value})}"


def chosen(asked: Mapping[str, str]) -> tuple[list[Transaction], str]:
    """The transactions that are asked for, and what is wrong with the question."""
    at, who = moment(asked, "at"), text(asked, "who")
    try:
        context = UUID(text(asked, "context")) if text(asked, "context") else None
    except ValueError:
        return [], "This link is damaged. Take the change from the history."
    if text(asked, "at") and not at:
        return [], "This link is damaged. Take the change from the history."
    if at:
        return [Transaction(at, context)], ""
    if context:
        return transactions_of_context(context), ""
    if who:
        since, until = moment(asked, "since"), moment(asked, "until")
        if not since or not until:
            return [], "Say from when until when, as 2025-09-01T12:00, in UTC."
        found = transactions_by(who, since, until, text(asked, "kind"))
        return found, "" if found else f"Nothing was changed by {who} in this time."
    return [], ""


def text(asked: Mapping[str, str], name: str) -> str:
    return asked.get(name, "").replace("\x00", "").strip()


def moment(asked: Mapping[str, str], name: str) -> datetime | None:
    """A time as a form or a link has it; without a zone it is UTC."""
    try:
        read = datetime.fromisoformat(text(asked, name))
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
