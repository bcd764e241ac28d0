"""What the history knows: who changed what in the library, and when."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import models

from ingest.models import RowOutcome, Snapshot, VaultRow
from ingest.sqlite.codec import decode
from ingest.values import printable
from videos.models import VideoEvent

from .content_rows import ContentRow, StoredVideo, is_later
from .old_values import FIELDS, SET_ONCE, Kind, is_placeholder
from .report import NAMELESS, Verdict
from .streams import among


class Explanation(NamedTuple):
    """Why a value differs from the file's: the verdict, and by whom and when if that is known."""

    verdict: Verdict
    by: str = ""
    at: datetime | None = None


def explained_by(event: models.Model) -> Explanation:
    """The explanation that an event of the history gives."""
    return Explanation(Verdict.CHANGED, actor(event), event.pgh_created_at)


def context_of(event: models.Model) -> dict[str, Any]:
    """What the history has noted of who made a change, and how."""
    context = event.pgh_context
    return context.metadata if context and isinstance(context.metadata, dict) else {}


def actor(event: models.Model) -> str:
    """Who made a change."""
    match context_of(event):
        case {"user": user} if user is not None:
            return user_name(user)
        case {"import_sqlite": sha256}:
            return snapshot_name(sha256)
        case {"curator": str(name)} | {"token": str(name)} if name:
            return printable(name)
        case {"name": str(name)} if name:
            return printable(name)
        case {"url": str(url)}:
            return f"a request to {printable(url)}"
    return NAMELESS


@lru_cache(maxsize=1000)
def snapshot_name(sha256: str) -> str:
    snapshot = Snapshot.objects.filter(sha256=sha256).first()
    return f"the import of {snapshot.name if snapshot else sha256}"


@lru_cache(maxsize=1000)
def user_name(number: Any) -> str:
    users = get_user_model().objects
    user = users.filter(pk=number).first() if isinstance(number, int) else None
    return user.get_username() if user else f"user {number}"


def events_of(event_model: type[models.Model], reference: str, video_ids: Iterable[str]) -> dict[str, list[Any]]:
    """The events of these videos, oldest first, by video_id."""
    events: dict[str, list[Any]] = defaultdict(list)
    for event in (
        event_model.objects.filter(**{f"{reference}__in": among(video_ids)})
        .select_related("pgh_context")
        .order_by("pgh_id")
    ):
        events[getattr(event, reference)].append(event)
    return events


class VideoHistory:
    """What videos were before each change, oldest first; of those that were asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.events: dict[str, list[VideoEvent]] = {}

    def load(self, rows: Iterable[ContentRow]) -> None:
        """Read the history of these rows' videos."""
        video_ids = {row.video.video_id for row in rows} - self.events.keys()
        if video_ids:
            self.events |= {video_id: [] for video_id in video_ids} | events_of(VideoEvent, "pgh_obj_id", video_ids)

    def forget(self) -> None:
        """Make room for the videos of the next rows."""
        self.events.clear()

    def as_imported(self, video: StoredVideo) -> StoredVideo | VideoEvent:
        """The video as it was right after the import, as far as the history knows."""
        later = (event for event in self.events[video.video_id] if event.pgh_created_at > self.snapshot.imported_at)
        return next(later, video)

    def was_newer(self, row: ContentRow) -> bool:
        """Whether the video had newer data than the row when the row was imported."""
        return is_later(row.video, row) and is_later(self.as_imported(row.video), row)

    def explain(self, row: ContentRow, column: str, kind: Kind, name: str) -> Explanation:
        """Why a field of the row's video does not say what the column says."""
        value, events = row.values[column], self.events[row.video.video_id]
        for event in reversed(events):
            if kind.holds(value, getattr(event, name)):
                return explained_by(event)
        if self.was_newer(row):
            return Explanation(Verdict.KEPT)
        if column in SET_ONCE or kind.is_empty(value) or is_placeholder(column, value):
            kept = getattr(self.as_imported(row.video), name)
            before = (event for event in events if event.pgh_created_at <= self.snapshot.imported_at)
            if any(getattr(event, name) == kept for event in before) or self.is_of_another_snapshot(row, column, kept):
                return Explanation(Verdict.KEPT)
        return Explanation(Verdict.WRONG)

    def is_of_another_snapshot(self, row: ContentRow, column: str, kept: Any) -> bool:
        """Whether another snapshot that was imported here says of the video what was kept."""
        kind, _ = FIELDS[column]
        outcomes = RowOutcome.objects.filter(table="content", video_id=row.video.video_id).exclude(
            snapshot=self.snapshot
        )
        for snapshot, key in outcomes.values_list("snapshot", "key"):
            vaulted = VaultRow.objects.select_related("snapshot").get(snapshot=snapshot, table="content", key=key)
            columns = vaulted.snapshot.tables.get("content", {}).get("columns", [])
            values = dict(zip(columns, decode(bytes(vaulted.content)), strict=False))
            if column in values and kind.holds(values[column], kept):
                return True
        return False
