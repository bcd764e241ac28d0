"""The old file's library, with those videos taken from the database that were changed here for a known reason.

Between this and the database nothing at all may differ: lists, counts and searches too. So a comparison proves what
was not changed here, however much was.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path

from ingest.sqlite.reader import SnapshotError
from summaries.models import Summary
from videos.items import pairs_of, with_pairs
from videos.models import Video
from videos.upsert import VideoRecord

from .snapshot_library import Contents, SnapshotLibrary, SnapshotSummary, SnapshotVideo


class ChangedLibrary(SnapshotLibrary):
    """A file's library with the videos of these keys as the database has them, or without, where they are deleted."""

    def __init__(self, path: Path, keys: Collection[str]) -> None:
        super().__init__(path)
        source = SnapshotLibrary(path).contents
        own = {video.video_id: video for video in stored(keys)}
        kept = [video for video in source.videos if video.video_id not in set(keys)]
        videos = sorted([*kept, *own.values()], key=lambda video: video.video_id)
        self.changed = Contents(source.sha256, tuple(videos))

    @property
    def contents(self) -> Contents:
        """The same, as long as the file is there."""
        if not self.path.is_file():
            raise SnapshotError(f"{self.path} is gone.")
        return self.changed


def only_here(path: Path) -> list[str]:
    """The keys of live videos that the file does not have, in order."""
    known = [video.video_id for video in SnapshotLibrary(path).contents.videos]
    return list(Video.objects.live().exclude(pk__in=known).order_by("pk").values_list("pk", flat=True))


def more_here(path: Path) -> list[str]:
    """The keys of videos that have every summary of the file here, and others besides, which it cannot hold."""
    here: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for key, variant, text in Summary.objects.latest().values_list("video", "variant", "text").iterator():
        here[key].add((variant, text))
    return [
        video.video_id
        for video in SnapshotLibrary(path).contents.videos
        if here[video.video_id] > {(summary.variant, summary.text) for summary in video.summaries}
    ]


def stored(keys: Collection[str]) -> list[SnapshotVideo]:
    """The live ones of these videos, as the database has them."""
    names = [field.name for field in fields(VideoRecord)]
    return [
        SnapshotVideo(
            **{name: getattr(video, name) for name in names},
            pairs=tuple(pairs_of(video)),
            summaries=tuple(
                SnapshotSummary(row.variant, row.text, row.language, row.revision, row.generated_at)
                for row in video.summaries.best_first()
            ),
        )
        for video in with_pairs(Video.objects.live()).filter(pk__in=list(keys))
    ]
