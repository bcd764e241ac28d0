"""The way back: a file on which the old dashboard runs with everything that was written here, and what came in.

The folder is there whole, or not at all:

    library.db               the library in the old schema; deleted videos are not in it
    library.db.report.json   what the old schema cannot hold, with all values
    ingests.jsonl            each write and delete since, a line each, to be sent again: manage.py replay_ingests
    SHA256SUMS
"""

import json
import shutil
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from pathlib import Path
from typing import Any

from django.db.models import F

from ingest.models import AudioFile, ImageFile, IngestLogEntry, IngestOutcome
from ingest.sqlite.exporter import export_library
from ingest.sqlite.inverse import old_id
from ingest.sqlite.publishing import ExportError
from ingest.sqlite.reader import file_sha256
from summaries.models import SummaryEvent
from videos.models import CategorizationEvent, Video, VideoEvent

from .reports import stamp
from .snapshot_library import SnapshotLibrary

WRITES = (IngestOutcome.CREATED, IngestOutcome.UPDATED, IngestOutcome.UNCHANGED, IngestOutcome.QUARANTINED)
# A report that came as a file is sent again as what it holds.
AS_CONTENT = ("/api/upload-report",)


@dataclass(frozen=True)
class WayBack:
    """Where it is, and how much it holds."""

    folder: Path
    numbers: dict[str, Any]


def changed_since(moment: datetime) -> set[str]:
    """The videos that were written, deleted or curated since then."""
    keys: set[str] = set()
    logged = IngestLogEntry.objects.filter(
        at__gte=moment, outcome__in=(IngestOutcome.CREATED, IngestOutcome.UPDATED, IngestOutcome.DELETED)
    )
    keys.update(logged.exclude(video_id="").values_list("video_id", flat=True))
    for events, column in ((VideoEvent, "pgh_obj"), (CategorizationEvent, "video"), (SummaryEvent, "video")):
        keys.update(events.objects.filter(pgh_created_at__gte=moment).values_list(column, flat=True))
    return keys


def write_way_back(folder: Path, since: datetime) -> WayBack:
    """Write it into a new folder below this one. Raises ExportError, and then none is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(".*.part"):
        shutil.rmtree(left)
    target = folder / stamp()
    part = folder / f".{target.name}.part"
    part.mkdir()
    report = export_library(part / "library.db")
    videos = SnapshotLibrary(part / "library.db").contents.videos
    written, stored = {video.video_id for video in videos}, set(Video.objects.live().values_list("pk", flat=True))
    if written != stored:
        raise ExportError(
            f"The file would lack {len(stored - written):,} videos, and have {len(written - stored):,} that are gone. "
            "Nothing was changed; keep the database, and look at these: "
            f"{', '.join(sorted(written ^ stored)[:10])}"
        )
    told = part / "library.db.report.json"
    told.write_text(told.read_text().replace(f"{part}/", ""))
    requests = write_requests(part / "ingests.jsonl", since)
    names = sorted(path.name for path in part.iterdir())
    (part / "SHA256SUMS").write_text("".join(f"{file_sha256(part / name)}  {name}\n" for name in names))
    part.rename(target)
    return WayBack(
        target,
        {"videos": len(written), "left_out": report.left_out, "not_held": report.not_held, "requests": requests},
    )


def write_requests(target: Path, since: datetime) -> int:
    """Write what came in since then, in the order of its arrival; the number of lines."""
    number = 0
    with target.open("w") as file:
        sound, pictures = files(AudioFile, "/ingest/audio", since), files(ImageFile, "/api/upload-image", since)
        for _, line in merge(texts(since), sound, pictures, deletes(since), key=lambda entry: entry[0]):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            number += 1
    return number


Entry = tuple[datetime, dict[str, Any]]


def texts(since: datetime) -> Iterator[Entry]:
    """What came as JSON, as it came."""
    entries = IngestLogEntry.objects.filter(at__gte=since, outcome__in=WRITES, body__isnull=False)
    for entry in entries.order_by("at", "pk").iterator():
        path = "/api/content" if entry.route in AS_CONTENT else entry.route
        yield entry.at, line(entry.at, "POST", path, entry.video_id, **as_text(bytes(entry.body)))


def as_text(body: bytes) -> dict[str, str]:
    """A body as text; one that is no UTF-8 in Base64."""
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": b64encode(body).decode()}


def files(model: type[AudioFile] | type[ImageFile], path: str, since: datetime) -> Iterator[Entry]:
    """Files of sound or pictures: their names in MEDIA_DIR."""
    rows = model.objects.filter(added_at__gte=since, video__deleted_at__isnull=True)
    for row in rows.order_by("added_at", "pk"):
        yield row.added_at, line(row.added_at, "POST", path, row.video_id, file=row.name)


def deletes(since: datetime) -> Iterator[Entry]:
    """What machines and people have deleted."""
    for video in Video.objects.filter(deleted_at__gte=since).order_by(F("deleted_at"), "pk"):
        moment = video.deleted_at
        yield moment, line(moment, "DELETE", f"/api/delete/{old_id(video)}", video.pk)


def line(at: datetime, method: str, path: str, video_id: str, **more: str) -> dict[str, Any]:
    return {"at": at.isoformat(), "method": method, "path": path, "video_id": video_id, **more}
