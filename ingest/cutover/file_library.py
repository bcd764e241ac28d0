"""The old file as a library that answers requests (videos/library.py), while READ_FROM_POSTGRES is off.

It is read only, and a request is answered from one state of it, whatever is written to it meanwhile.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from django.utils.safestring import SafeString

from ingest.sqlite.manifest import called, copy_in_use
from ingest.sqlite.reader import SnapshotError, file_sha256
from summaries.models import Summary
from videos.facets import FacetValue
from videos.models import Video
from videos.playlist import Playlist, Track, track
from videos.search import Search, remembered
from videos.snippets import snippet
from videos.upsert import VideoRecord

from .snapshot_library import (
    Contents,
    SnapshotLibrary,
    SnapshotVideo,
    Stamp,
    facets_of,
    folded,
    in_order,
    matching,
    page_of,
    read,
    video_named,
)  # fmt: skip

Argument = TypeVar("Argument")
Result = TypeVar("Result")
# A page waits so long for whoever writes the file.
WAIT_SECONDS = 5.0
TRY_SECONDS = 0.02
# Who empties a file and fills it again may wait for the disk in between.
WRITING_SECONDS = 1.0
FIELDS = tuple(field.name for field in fields(VideoRecord))


class LegacyFile(SnapshotLibrary):
    """The file of an old system that goes on writing it, in any of SQLite's journal modes.

    A copy of one moment is read: the file alone may be half of what its owner has written.
    """

    def stamps_now(self) -> list[Stamp]:
        file = self.path.resolve()
        stamps = [Stamp.of(file)]
        # Its owner removes the log when it closes the file.
        with suppress(FileNotFoundError):
            stamps.append(Stamp.of(file.with_name(file.name + "-wal")))
        return stamps

    def read_unless(self, kept: Contents | None) -> Contents:
        """As it is at one moment. A file that is just being replaced is tried again until it is whole."""
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                with TemporaryDirectory() as folder:
                    copy = copy_in_use(self.path, Path(folder), WAIT_SECONDS)
                    with called(self.path, copy):
                        return kept if kept and file_sha256(copy) == kept.sha256 else read(copy)
            except SnapshotError:
                if time.monotonic() > end or not self.is_being_written():
                    raise
            time.sleep(TRY_SECONDS)

    def is_being_written(self) -> bool:
        """Whether somebody wrote to the file a moment ago, who may go on."""
        return self.path.is_file() and time.time() - self.path.stat().st_mtime < WRITING_SECONDS


@lru_cache(maxsize=1)
def reader_of(path: str) -> LegacyFile:
    """The one reader of a file, which keeps what it has read until the file changes."""
    return LegacyFile(Path(path))


def library_of_file(path: str) -> "FileLibrary":
    """The library of the file as it is now. Raises SnapshotError, a sentence."""
    return FileLibrary(reader_of(path).contents)


class FileLibrary:
    """One state of the old file."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileLibrary) and other.contents.sha256 == self.contents.sha256

    def __hash__(self) -> int:
        return hash(self.contents.sha256)

    def at_this_revision(self, search: Search, function: Callable[[Argument], Result], argument: Argument) -> Result:
        return remembered(self.contents.sha256, function, argument)

    def count(self, search: Search) -> int:
        return len(matching(self.contents, search))

    def keys(self, search: Search) -> list[str]:
        return [video.video_id for video in page_of(in_order(matching(self.contents, search), search), search)]

    def listed(self, keys: list[str]) -> list[Video]:
        return [as_model(self.contents.by_key[key]) for key in keys]

    def snippets(self, keys: list[str], q: str) -> Mapping[str, SafeString]:
        found: dict[str, SafeString] = {}
        if not folded(q):
            return found
        for key in keys:
            for summary in self.contents.by_key[key].summaries:
                if folded(q) in folded(summary.text) and (text := snippet(summary.html, q)):
                    found[key] = text
                    break
        return found

    def facets(self, search: Search) -> dict[str, tuple[FacetValue, ...]]:
        return facets_of(self.contents, search)

    def uncategorised_count(self, search: Search) -> int:
        others = search.without("categories", "subcategories", "parent_categories", "uncategorised")
        return sum(not video.pairs for video in matching(self.contents, others))

    def named(self, text: str) -> Video:
        if video := video_named(self.contents, text):
            return as_model(video)
        raise Video.DoesNotExist

    def summaries(self, video: Video) -> list[Summary]:
        return [
            Summary(
                video=video,
                variant=summary.variant,
                text=summary.text,
                html=summary.html,
                language=summary.language,
                revision=summary.revision,
                generated_at=summary.generated_at,
            )
            for summary in self.contents.by_key[video.video_id].summaries
        ]

    def playlist(self, search: Search, around: str) -> Playlist:
        """As playlist_of: the videos with audio of the list, and a video that is in no list at its place in it."""
        heard = [] if search.has_audio is False else matching(self.contents, search.changed(has_audio=True))
        if not around:
            ordered = in_order(heard, search)
            around = ordered[0].video_id if ordered else ""
            if not around:
                return Playlist()
        video = video_named(self.contents, around)
        if video is None:
            raise Video.DoesNotExist
        with_it = sorted({one.video_id: one for one in (*heard, video)}.values(), key=lambda one: one.video_id)
        ordered = in_order(with_it, search)
        at = [one.video_id for one in ordered].index(video.video_id)
        return Playlist(*(played(ordered, place) for place in (at, at - 1, at + 1)))


def played(videos: list[SnapshotVideo], place: int) -> Track | None:
    """The track at a place of the list, if there is one."""
    return track(as_model(videos[place])) if 0 <= place < len(videos) else None


def as_model(video: SnapshotVideo) -> Video:
    """The video for cards, reports and the API; it is never saved."""
    model = Video(**{name: getattr(video, name) for name in FIELDS})
    model.pairs = [list(pair) for pair in video.pairs]
    return model
