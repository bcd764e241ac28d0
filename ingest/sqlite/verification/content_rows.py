"""Rows of `content`, and what stands for them in the library."""

from collections import namedtuple
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from ingest.sqlite.codec import Value
from videos.keys import natural_key
from videos.models import Video, VideoEvent

from .old_values import FIELDS, lenient, read_time
from .streams import among

# A video as it stands here: its key, the fields that columns became, and what a comparison asks beside them.
StoredVideo = namedtuple(
    "StoredVideo", ["video_id", *(name for _, name in FIELDS.values()), "extra", "deleted_at", "deleted_by"]
)


@dataclass
class ContentRow:
    """A row of `content`, and what stands for it here."""

    key: int
    values: dict[str, Value]
    video: StoredVideo | None = None

    @cached_property
    def old_id(self) -> str:
        return lenient(self.values.get("id"))

    @cached_property
    def native_key(self) -> str | None:
        """The key that the row's own values give, or None."""
        try:
            return natural_key(*(lenient(self.values.get(name)) for name in ("video_id", "id", "canonical_url")))[1]
        except ValueError:
            return None

    @cached_property
    def time(self) -> datetime | None:
        """The time of the row's data."""
        try:
            return read_time(self.values.get("updated_at"))
        except (ValueError, AttributeError, OverflowError):
            return None


def find_videos(rows: list[ContentRow]) -> None:
    """The video of each row: the one with its old ID, else the one with its own key."""
    by_old_id = stored_videos("legacy_id", {row.old_id for row in rows} - {""})
    for row in rows:
        row.video = by_old_id.get(row.old_id)
    others = [row for row in rows if not row.video and row.native_key]
    by_key = stored_videos("video_id", {row.native_key for row in others}) if others else {}
    for row in others:
        row.video = by_key.get(row.native_key)


def stored_videos(column: str, names: Iterable[str]) -> dict[str, StoredVideo]:
    """The videos with these names in `column`, by name."""
    storable = [name for name in names if is_storable(name)]
    videos = Video.objects.filter(**{f"{column}__in": among(storable)}).order_by().values_list(*StoredVideo._fields)
    return {getattr(video, column): video for video in map(StoredVideo._make, videos)}


def is_storable(name: str) -> bool:
    """Whether PostgreSQL can hold a text, and so can be asked for it."""
    try:
        return b"\x00" not in name.encode()
    except UnicodeEncodeError:
        return False


def is_later(video: StoredVideo | VideoEvent, row: ContentRow) -> bool:
    """Whether the video's data is newer than the row's."""
    return bool(video.updated_at and row.time and video.updated_at > row.time)
