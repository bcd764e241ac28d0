"""The purge of deleted videos, everywhere: the library (videos/deleted.py), the vault, the ingest log, the files.

What a snapshot has lost to purges stands in its report under "purged": for each table the keys of the rows. They are
gone on purpose, so whoever compares the vault with the file leaves them out. A later snapshot of the same library
brings such rows into the vault again, and the next purge takes them out again.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from videos.deleted import PurgeReport
from videos.keys import UNSTORABLE, VideoKey, natural_key
from videos.models import FacetCount, Video

from .models import AudioFile, ImageFile, IngestLogEntry, QuarantinedRow, Snapshot, VaultRow
from .sqlite.codec import Text, Value, decode
from .sqlite.importer import import_lock

# The columns of each table of the old database that say which video a row is of.
NAMES = {
    "content": ("video_id", "id", "canonical_url"),
    "content_summaries": ("content_id",),
    "summary_variants": ("video_id",),
    "content_files": ("content_id",),
    "migration_log": ("content_id",),
}
ROWS_AT_ONCE = 1000
# The entry of Snapshot.report.
PURGED_ROWS = "purged"
FILE_MODELS = (AudioFile, ImageFile)

logger = logging.getLogger(__name__)


@dataclass
class FilesReport:
    """Files that were removed, or with a dry run would be, and why others could not be."""

    removed: int = 0
    removed_bytes: int = 0
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FullPurgeReport:
    """What a purge did. `snapshots_left_out`: names of those that are not whole in the vault yet."""

    library: PurgeReport
    files: FilesReport
    snapshots_left_out: tuple[str, ...]


def purge_deleted(
    older_than: timedelta,
    by: str,
    *,
    is_dry_run: bool = False,
    progress: Callable[[int], None] = lambda videos: None,
) -> FullPurgeReport:
    """Erase what is stored of videos that were deleted longer ago, and keep their keys.

    1. No import runs meanwhile, so nobody else writes to the vault. Find the rows of these videos in it.
    2. Erase in batches, each a transaction: what is in the vault and the ingest log together with the video.
    3. Remove the files, each behind the commit of its video. One that fails keeps its entry, and is tried again
       by the next purge.

    Raises ImportLocked while an import or another purge runs.
    """
    with import_lock():
        rows_of = vault_rows() if Video.objects.deleted().exists() else {}

        def erase(videos: Sequence[Video]) -> Counter[str]:
            return erase_elsewhere(videos, [row for video in videos for row in rows_of.get(video.pk, ())])

        library = Video.objects.purge(older_than, by, also=erase, is_dry_run=is_dry_run, progress=progress)
        if is_dry_run:
            files = files_to_remove(library.deleted_before)
        else:
            files = remove_files(library.deleted_before)
            # Names of channels stand in the differences until these are added up.
            FacetCount.objects.compact()
    left_out = Snapshot.objects.filter(vaulted_at__isnull=True).order_by("pk").values_list("name", flat=True)
    return FullPurgeReport(library, files, tuple(left_out))


# The vault


def vault_rows() -> dict[str, list[int]]:
    """Primary keys of the rows in the vault that are of a deleted video, by the video's key.

    What an import made of a row says whose it is. Where that says nothing (quarantined rows, tables that are only
    kept) the row itself does.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT video.video_id, vault.id FROM videos_video AS video
            JOIN ingest_rowoutcome AS outcome USING (video_id)
            JOIN ingest_vaultrow AS vault USING (snapshot_id, "table", key)
            WHERE video.deleted_at IS NOT NULL
            """
        )
        for video_id, row in cursor.fetchall():
            rows_of[video_id].append(row)
    deleted = Video.objects.deleted().values_list("video_id", "legacy_id")
    known = {name for names in deleted for name in names if name}
    for rows in unattributed_rows():
        rows = [(row, names) for row, names in rows if not known.isdisjoint(names)]
        owners = deleted_owners({name for _, names in rows for name in names})
        for row, names in rows:
            if owner := next((owners[name] for name in names if name in owners), None):
                rows_of[owner].append(row)
    return rows_of


def unattributed_rows() -> Iterator[list[tuple[int, tuple[str, ...]]]]:
    """The rows of which no import said a video, in lists, each with what it can call its video, best first."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            """
            SELECT vault.id, vault."table", snapshot.tables -> vault."table" -> 'columns', vault.content
            FROM ingest_vaultrow AS vault
            JOIN ingest_snapshot AS snapshot ON snapshot.id = vault.snapshot_id AND snapshot.vaulted_at IS NOT NULL
            LEFT JOIN ingest_rowoutcome AS outcome USING (snapshot_id, "table", key)
            WHERE vault."table" = ANY(%s) AND coalesce(outcome.video_id, '') = ''
            """,
            [list(NAMES)],
        )
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield [
                (row, names_of(table, dict(zip(json.loads(columns), decode(bytes(content)), strict=True))))
                for row, table, columns, content in rows
            ]


def names_of(table: str, values: dict[str, Value]) -> tuple[str, ...]:
    """What a row can call its video. Only whole names: one that is part of another is another video's."""
    texts = [readable(values.get(column)) for column in NAMES[table]]
    if table != "content":
        return VideoKey.parse(texts[0]).candidates
    try:
        _, key = natural_key(*texts)
    except ValueError:
        return ()
    return () if UNSTORABLE.search(key) else (key,)


def readable(value: Value) -> str:
    """A text of SQLite; empty for anything else."""
    try:
        return value.decode() if isinstance(value, Text) else ""
    except UnicodeDecodeError:
        return ""


def deleted_owners(names: set[str]) -> dict[str, str]:
    """The key of the video that each name is the key or the old ID of; empty of a live video, or of two."""
    owners: dict[str, set[str]] = defaultdict(set)
    listed = list(names)
    found = Video.objects.filter(Q(video_id__in=listed) | Q(legacy_id__in=listed)).order_by()
    for video_id, legacy_id, deleted_at in found.values_list("video_id", "legacy_id", "deleted_at"):
        for name in {video_id, legacy_id} & names:
            owners[name].add(video_id if deleted_at else "")
    return {name: next(iter(keys)) if len(keys) == 1 else "" for name, keys in owners.items()}


def erase_elsewhere(videos: Sequence[Video], rows: Sequence[int]) -> Counter[str]:
    """Erase what is in the vault and in the ingest log of locked videos; how many rows that were, by what they are."""
    vaulted = VaultRow.objects.filter(pk__in=rows)
    note_purged(vaulted)
    quarantined, _ = QuarantinedRow.objects.filter(row__in=rows).delete()
    names = {name for video in videos for name in (video.pk, video.legacy_id) if name}
    logged = IngestLogEntry.objects.filter(video_id__in=names).exclude(body__isnull=True, changes={})
    for model in FILE_MODELS:
        # A file can bear the title; the entry itself is needed until the file is removed.
        model.objects.filter(video__in=videos).exclude(source_name="").update(source_name="")
    erased = {
        "quarantined rows": quarantined,
        "rows in the vault": vaulted.delete()[0],
        "requests in the ingest log": logged.update(body=None, changes={}),
    }
    return Counter({name: number for name, number in erased.items() if number})


def note_purged(vaulted: QuerySet[VaultRow]) -> None:
    """Add the keys of these rows to the reports of their snapshots."""
    keys_of: dict[int, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for snapshot, table, key in vaulted.order_by().values_list("snapshot", "table", "key"):
        keys_of[snapshot][table].add(key)
    for snapshot in Snapshot.objects.filter(pk__in=keys_of).order_by("pk").select_for_update():
        purged: dict[str, Any] = snapshot.report.setdefault(PURGED_ROWS, {})
        for table, keys in keys_of[snapshot.pk].items():
            purged[table] = sorted(keys.union(purged.get(table, ())))
        # Its sentence can hold the value that could not be read.
        listed = snapshot.report.get("quarantined", ())
        snapshot.report["quarantined"] = [row for row in listed if row["key"] not in purged.get(row["table"], ())]
        snapshot.save(update_fields=["report"])


# Files


def files_to_remove(deleted_before: datetime) -> FilesReport:
    """What remove_files would do."""
    report = FilesReport()
    for model in FILE_MODELS:
        for size in model.objects.filter(video__deleted_at__lt=deleted_before).values_list("size_bytes", flat=True):
            report.removed += 1
            report.removed_bytes += size
    return report


def remove_files(deleted_before: datetime) -> FilesReport:
    """Remove the files of purged videos from the storage, and then their entries.

    Each video is locked meanwhile: one that was restored before keeps what files are left, and one that is restored
    after has none. Stopped between a file and its entry, the next purge removes the entry.
    """
    report = FilesReport()
    for model in FILE_MODELS:
        waiting = model.objects.filter(video__deleted_at__lt=deleted_before).order_by("video").values_list("video")
        for (key,) in list(waiting.distinct()):
            with transaction.atomic():
                locked = Video.objects.filter(pk=key, deleted_at__lt=deleted_before).select_for_update()
                for file in model.objects.filter(video__in=list(locked.values_list("pk", flat=True))):
                    remove_file(file, report)
    return report


def remove_file(file: AudioFile | ImageFile, report: FilesReport) -> None:
    try:
        default_storage.delete(file.name)
    except Exception as error:
        # Each storage has errors of its own. The others are removed all the same, and the caller says which are left.
        logger.warning("%s could not be removed", file.name, exc_info=error)
        report.failures[file.name] = getattr(error, "strerror", None) or type(error).__name__
    else:
        file.delete()
        report.removed += 1
        report.removed_bytes += file.size_bytes
