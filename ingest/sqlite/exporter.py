"""Writes the library back as a file of the old database, on which the old dashboard can run.

The base is the vault of the last imported snapshot. A row that nothing changed is written byte for byte, under its
rowid; of a changed one only what changed is written anew (inverse.py); rows of deleted videos are left out;
new videos come after the last row. Quarantined rows, unknown columns and unknown tables are written as they came.
What the old schema cannot hold is listed beside the file, with its values: nothing is dropped in silence.

The same state of the library gives the same bytes. The file is there whole, or not at all.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Collate

from ingest.models import SCHEMA_TABLE, AudioFile, Outcome, RowOutcome, Snapshot
from summaries.models import Summary
from videos.models import Categorization, Pair, Video
from videos.upsert import COLUMNS, VideoRecord

from .codec import LARGEST, Row, Text, Value, decode
from .differences import (
    StoredVideo,
    content_changes,
    differing,
    is_empty,
    names_of,
    pair_values,
    read_back,
)
from .digests import row_digest
from .inverse import content_values, old_id, summary_values, variant_values
from .mapping import Mapper, Unmodelled, VideoRow, language_of
from .placement import Place, Placement, Revision, Verdict
from .publishing import ExportError, publish, workspace
from .reader import read_schema
from .schema import Generation
from .writer import DEFAULT_PRAGMAS, Layout, Writer, Written, is_internal, is_virtual

BATCH_ROWS, BATCH_BYTES = 500, 8 * 2**20
# What of a revision has no column in `content_summaries`, and what has none in `summary_variants` either.
BESIDE_FLAT = (
    "language", "generated_at", "created_at", "updated_at", "metadata", "raw_payload", "file_size_bytes", "word_count",
)  # fmt: skip
BESIDE_VARIANT = ("language", "generated_at")
SUMMARY_FIELDS = ("pk", "video_id", "variant", "revision", "is_latest", "text", *BESIDE_FLAT)

Progress = Callable[[str, int], None]


class NothingToExportFrom(ExportError):
    """The library is in a state that has no base to export from; the message says what to do."""


@dataclass
class TableCounts:
    """What became of a table's rows: those of the base are verbatim, changed or left out."""

    verbatim: int = 0
    changed: int = 0
    new: int = 0
    left_out: int = 0


@dataclass
class ExportReport:
    """What an export wrote. The lists of rows left out and of what is not held are in the file `report_file`."""

    file: str
    report_file: str
    generation: str
    base: dict[str, str] | None
    since_import: bool
    sha256: str = ""
    size_bytes: int = 0
    library_digest: str = ""
    tables: dict[str, TableCounts] = field(default_factory=dict)
    left_out: int = 0
    not_held: dict[str, int] = field(default_factory=dict)


class VaultRecord(NamedTuple):
    """A row of the vault, and what its import made of it: the video, if it became part of one."""

    key: int
    content: bytes
    digest: bytes
    video_id: str
    is_quarantined: bool

    @property
    def row(self) -> Row:
        return decode(self.content)


def export_library(
    target: Path,
    *,
    since_import: bool = False,
    snapshot: Snapshot | None = None,
    progress: Progress = lambda table, rows: None,
) -> ExportReport:
    """Write the library to `target`, and TARGET.report.json beside it; `snapshot` is the base, if not the last.

    With `since_import`, only the rows that the base does not have like that. Raises ExportError, a sentence;
    neither file is there then. Reads one state of the library, in a transaction of its own unless the caller has one.
    """
    target = target.absolute()
    report_file = target.with_name(f"{target.name}.report.json")
    with workspace(target) as folder, one_state():
        base = snapshot or last_imported()
        check_base(base)
        report = ExportReport(
            file=str(target),
            report_file=str(report_file),
            generation=base.generation if base else Generation.LAST.value,
            base={"name": base.name, "sha256": base.sha256} if base else None,
            since_import=since_import,
        )
        LibraryExport(folder, base, report, progress).run()
        publish({folder / "report.json": report_file, folder / "library.db": target})
    return report


def restore_vault(snapshot: Snapshot, target: Path) -> Written:
    """Write the rows of a snapshot's vault back to a file as they came, with no models involved.

    Raises ExportError, a sentence; the file is not there then.
    """
    target = target.absolute()
    with workspace(target) as folder, one_state():
        check_base(snapshot)
        layout = layout_of(snapshot)
        with Writer(folder / "library.db", layout) as writer:
            for table in layout.columns:
                for batch in vault_batches(snapshot, table):
                    for record in batch:
                        writer.put(table, record.key, record.row, record.digest)
            written = writer.finish()
        publish({folder / "library.db": target})
    return written


def last_imported() -> Snapshot | None:
    """The base of an export. Raises NothingToExportFrom while the first import is unfinished."""
    base = Snapshot.objects.imported().first()
    if base is None and (unfinished := Snapshot.objects.first()):
        raise NothingToExportFrom(
            f"The import of {unfinished.name} is not finished; finish it first, with: "
            f"manage.py import_sqlite {unfinished.name}"
        )
    return base


def check_base(base: Snapshot | None) -> None:
    if base and not base.vaulted_at:
        raise NothingToExportFrom(
            f"The vault of {base.name} is not complete; import it again first, with: "
            f"manage.py import_sqlite {base.name}"
        )


# The vault


def layout_of(snapshot: Snapshot | None) -> Layout:
    """Schema, tables and pragmas of a snapshot; without one, those of an empty file of the last generation."""
    if snapshot is None:
        with closing(sqlite3.connect(":memory:")) as empty:
            for statement in Generation.LAST.statements():
                empty.execute(statement)
            empty.text_factory = Text
            rows = tuple(read_schema(empty))
        columns = Generation.LAST.columns | {"sqlite_sequence": ("name", "seq")}
        tables = {name: {"columns": names, "has_rowid": True} for name, names in columns.items()}
        pragmas = DEFAULT_PRAGMAS
    else:
        rows = tuple((record.key, record.row) for batch in vault_batches(snapshot, SCHEMA_TABLE) for record in batch)
        tables, pragmas = snapshot.tables, snapshot.pragmas
    # In the order of the schema, which JSON in PostgreSQL does not keep.
    names = [name.decode() for _, (kind, name, _, sql) in rows if kind == b"table" and not is_virtual(kind, sql)]
    if set(names) != set(tables):
        raise ExportError(
            f"The vault of {snapshot.name} does not have the schema of all tables. Run verify_sqlite to see what else."
        )
    return Layout(
        rows,
        {name: tables[name]["columns"] for name in names},
        frozenset(name for name in names if tables[name]["has_rowid"]),
        pragmas,
    )


def vault_batches(snapshot: Snapshot, table: str) -> Iterator[list[VaultRecord]]:
    """The rows of a table in order of their keys, each with its outcome. Raises ExportError for a damaged one."""
    size = 50
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            """
            SELECT vault.key, vault.content, vault.sha256, coalesce(outcome.video_id, ''), quarantined.id IS NOT NULL
            FROM ingest_vaultrow AS vault
            LEFT JOIN ingest_rowoutcome AS outcome USING (snapshot_id, "table", key)
            LEFT JOIN ingest_quarantinedrow AS quarantined
            ON quarantined.row_id = vault.id AND quarantined.resolved_at IS NULL
            WHERE vault.snapshot_id = %s AND vault."table" = %s ORDER BY vault.key
            """,
            [snapshot.pk, table],
        )
        while rows := cursor.fetchmany(size):
            batch = [
                VaultRecord(key, bytes(content), row_digest(content), video_id, is_quarantined)
                for key, content, _, video_id, is_quarantined in rows
            ]
            for record, (_, _, digest, _, _) in zip(batch, rows, strict=True):
                if record.digest != bytes(digest):
                    raise ExportError(
                        f"The vault's row {record.key} of {table} ({snapshot.name}) is damaged: its bytes do not have "
                        "their digest. Run verify_sqlite to see what else is."
                    )
            yield batch
            # Rows of one table are much alike: as many at a time as fit.
            size = max(1, min(BATCH_ROWS, BATCH_BYTES * len(batch) // sum(len(record.content) for record in batch)))


# The library


def stored_videos(video_ids: Iterable[str]) -> dict[str, StoredVideo]:
    """The videos of these keys, deleted ones too."""
    wanted = set(video_ids)
    pairs: dict[str, list[Pair]] = defaultdict(list)
    for video_id, *pair in (
        Categorization.objects.filter(video__in=wanted)
        .order_by("video", "position")
        .values_list("video", "category__name", "subcategory__name", "origin")
    ):
        pairs[video_id].append(Pair(*pair))
    return {
        values["video_id"]: StoredVideo(VideoRecord(**values), tuple(pairs[values["video_id"]]), deleted_at is not None)
        for values in Video.objects.filter(video_id__in=wanted).order_by().values(*COLUMNS, "deleted_at")
        for deleted_at in [values.pop("deleted_at")]
    }


def stored_summaries(keys: Iterable[int | None]) -> dict[int, Summary]:
    """Revisions by primary key, with what an export needs of them."""
    return {one.pk: one for one in Summary.objects.filter(pk__in=set(keys) - {None}).order_by().only(*SUMMARY_FIELDS)}


def stored_revisions() -> Iterator[Revision]:
    """Every revision of every video, in the order that Placement.decide asks for."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            """
            SELECT video_id, variant, revision, is_latest, sha256(convert_to(text, 'UTF8')), summary.id,
            deleted_at IS NOT NULL
            FROM summaries_summary AS summary JOIN videos_video USING (video_id)
            ORDER BY video_id COLLATE "C", variant COLLATE "C", revision
            """
        )
        while rows := cursor.fetchmany(1000):
            for *start, digest, key, is_deleted in rows:
                yield Revision(*start, bytes(digest), key, is_deleted)


class LibraryExport:
    """One run, in a transaction that sees one state of the library."""

    def __init__(self, folder: Path, base: Snapshot | None, report: ExportReport, progress: Progress) -> None:
        self.folder, self.base, self.report, self.progress = folder, base, report, progress
        self.layout = layout_of(base)
        self.has_variants = "summary_variants" in self.layout.columns
        self.lists = Lists(folder)
        # Videos whose new row could not have the ID that the old system would have given it.
        self.other_ids: dict[str, str] = {}
        # Videos of rows that an import did not note as such.
        self.unnoted: set[str] = set()
        self.last_keys: dict[str, int] = {}
        self.grown: dict[str, int] = {}

    def run(self) -> None:
        with (
            Writer(self.folder / "library.db", self.layout) as self.writer,
            Placement(self.folder / "texts.db", self.has_variants) as self.placement,
        ):
            self.place_texts()
            writers = {
                "content": self.write_content,
                "content_summaries": self.write_summaries,
                "content_files": self.write_files,
                "summary_variants": self.write_variants,
                "sqlite_sequence": self.write_sequence,
            }
            # The others ask which rows of `content` were left out; SQLite's own tables, how many rows the others have.
            for table in sorted(self.layout.columns, key=lambda name: (name != "content", is_internal(name.encode()))):
                self.report.tables[table] = TableCounts()
                writers.get(table, self.write_as_it_came)(table)
            self.list_unheld()
            written = self.writer.finish()
        report = self.report
        report.sha256, report.size_bytes = written.sha256, written.size_bytes
        report.library_digest = written.library_digest
        report.left_out, report.not_held = self.lists.left_out, dict(sorted(self.lists.not_held.items()))
        self.lists.write_report(report, self.folder / "report.json")

    # Rows

    def batches(self, table: str) -> Iterator[list[VaultRecord]]:
        """The rows of the base, and the last key among them."""
        if self.base is None:
            return
        for batch in vault_batches(self.base, table):
            self.last_keys[table] = batch[-1].key
            yield batch
            self.progress(table, len(batch))

    def named(self, table: str, row: Row) -> dict[str, Value]:
        return dict(zip(self.layout.columns[table], row, strict=True))

    def keep(self, table: str, record: VaultRecord, row: Row | None = None) -> None:
        """Write a row of the base as it came; `row` are its values, if the caller has them."""
        self.report.tables[table].verbatim += 1
        if not self.report.since_import:
            self.writer.put(table, record.key, row or record.row, record.digest)

    def change(self, table: str, record: VaultRecord, row: Row, changes: Mapping[str, Value]) -> Row:
        """Write a row of the base with other values in some columns; the row as it was written.

        Where a constraint of the file's own forbids them, it is written as it came.
        """
        changes = {name: value for name, value in changes.items() if name in self.layout.columns[table]}
        changed = changed_row(self.writer, table, record.key, row, changes)
        if changed == row:
            self.keep(table, record, row)
            return row
        self.report.tables[table].changed += 1
        self.writer.put(table, record.key, changed)
        return changed

    def add(self, table: str, values: Mapping[str, Value]) -> tuple[int, Row] | None:
        """Write a new row after the last; None where a constraint, or a row that is there, forbids it."""
        key = self.last_keys.get(table, 0) + 1
        if key > LARGEST:
            return None
        known = {name: value for name, value in values.items() if name in self.layout.columns[table]}
        try:
            row = self.writer.as_stored(table, key, known)
            self.writer.put(table, key, row)
        except sqlite3.IntegrityError:
            return None
        self.last_keys[table] = self.grown[table] = key
        self.report.tables[table].new += 1
        return key, row

    def leave_out(self, table: str, record: VaultRecord) -> None:
        self.report.tables[table].left_out += 1
        self.lists.note_left_out(table, record.key, record.video_id)

    def write_as_it_came(self, table: str) -> None:
        for batch in self.batches(table):
            for record in batch:
                self.keep(table, record)

    # Texts

    def place_texts(self) -> None:
        """Find out which texts of the base are as they were."""
        mapper = Mapper()
        sources = {"content_summaries": (Place.FLAT, mapper.summary)}
        if "summary" in self.layout.columns["content"]:
            sources["content"] = (Place.OWN, mapper.own_summary)
        if self.has_variants:
            sources["summary_variants"] = (Place.VARIANT, mapper.variant_text)
        for table, (place, map_row) in sources.items() if self.base else ():
            for batch in vault_batches(self.base, table):
                for record in batch:
                    if record.is_quarantined or not record.video_id:
                        continue
                    with suppress(Unmodelled):
                        text = map_row(self.named(table, record.row))
                        if text or place is Place.FLAT:
                            self.placement.note(place, record.key, record.video_id, text)
                self.progress("texts", len(batch))
        self.placement.decide(stored_revisions())

    def taken(self, place: Place, batch: Sequence[VaultRecord]) -> dict[int, Summary]:
        """The revisions that rows of a batch take in place of their own text, by key."""
        decided = self.placement.rows(Verdict.REPLACE, place, batch[0].key, batch[-1].key)
        summaries = stored_summaries(decided.values())
        return {key: summaries[pk] for key, pk in decided.items()}

    # Videos

    def write_content(self, table: str) -> None:
        for batch in self.batches(table):
            mapper = Mapper()
            rows = [(record, record.row) for record in batch]
            mapped: dict[int, VideoRow] = {}
            for record, row in rows:
                if not record.is_quarantined:
                    with suppress(Unmodelled):
                        mapped[record.key] = mapper.video(self.named(table, row))
            videos = {
                record.key: record.video_id or mapped[record.key].record.video_id
                for record in batch
                if not record.is_quarantined and (record.video_id or record.key in mapped)
            }
            self.unnoted.update(videos[record.key] for record in batch if record.key in videos and not record.video_id)
            stored = stored_videos(videos.values())
            taken = self.taken(Place.OWN, batch)
            for record, row in rows:
                video = stored.get(videos.get(record.key, ""))
                if record.key not in videos:
                    self.keep(table, record, row)
                elif video is None or video.is_deleted:
                    self.leave_out(table, record._replace(video_id=videos[record.key]))
                    if isinstance(name := self.named(table, row)["id"], bytes):
                        self.placement.note_left_out(name)
                elif record.key in mapped:
                    self.write_video(table, record, row, mapped[record.key], video, taken.get(record.key))
                else:
                    # It was modelled by other rules than there are now.
                    self.keep(table, record, row)
                    self.list_differences(video, None)
        self.add_videos(table)

    def write_video(
        self, table: str, record: VaultRecord, row: Row, mapped: VideoRow, video: StoredVideo, taken: Summary | None
    ) -> None:
        fields = differing(mapped.record, video.record)
        changes = content_changes(self.named(table, row), mapped, video, fields)
        if taken:
            changes["summary"] = Text(taken.text.encode())
        if not changes:
            self.keep(table, record, row)
            self.list_differences(video, mapped, fields)
            return
        written = self.named(table, self.change(table, record, row, changes))
        self.list_differences(video, read_back(written))
        if taken:
            self.list_taken(taken, written["summary"])

    def add_videos(self, table: str) -> None:
        """The videos that no row of the base is about, in the order in which they were added here."""
        new = Video.objects.live().exclude(pk__in=self.unnoted)
        if self.base:
            outcomes = RowOutcome.objects.filter(snapshot=self.base, table="content", video_id=OuterRef("pk"))
            new = new.filter(~Exists(outcomes.exclude(outcome=Outcome.QUARANTINED)))
        keys = new.order_by(F("indexed_at").asc(nulls_last=True), Collate("video_id", "C")).values_list("pk", flat=True)
        for batch in in_batches(keys.iterator(chunk_size=BATCH_ROWS)):
            stored = stored_videos(batch)
            for video_id in batch:
                self.add_video(table, stored[video_id])
            self.progress(table, len(batch))

    def add_video(self, table: str, video: StoredVideo) -> None:
        record = video.record
        values = content_values(record, video.pairs)
        usual = old_id(record)
        for name in dict.fromkeys([usual, f"yt:{record.video_id}", record.video_id]):
            if added := self.add(table, values | {"id": Text(name.encode())}):
                if name != usual:
                    self.other_ids[record.video_id] = name
                self.list_differences(video, read_back(self.named(table, added[1])))
                return
        self.list_differences(video, None)

    # Summaries

    def live_videos(self, batch: Sequence[VaultRecord]) -> set[str]:
        names = {record.video_id for record in batch}
        return set(Video.objects.live().filter(pk__in=names).order_by().values_list("pk", flat=True))

    def write_summaries(self, table: str) -> None:
        for batch in self.batches(table):
            live, taken = self.live_videos(batch), self.taken(Place.FLAT, batch)
            dropped = self.placement.rows(Verdict.DROP, Place.FLAT, batch[0].key, batch[-1].key)
            for record in batch:
                row = record.row
                if record.is_quarantined or not record.video_id:
                    self.keep(table, record, row)
                elif record.video_id not in live or record.key in dropped:
                    self.leave_out(table, record)
                elif summary := taken.get(record.key):
                    values = summary_values(summary, "")
                    changes = {"summary_text": values["summary_text"]}
                    if Mapper().summary(self.named(table, row)) is None:
                        changes["summary_type"] = values["summary_type"]
                    written = self.change(table, record, row, changes)
                    self.list_taken(summary, self.named(table, written)["summary_text"])
                else:
                    self.keep(table, record, row)
        for batch in self.placement.revisions(Verdict.ADD, Place.FLAT):
            summaries = stored_summaries(pk for _, pk in batch)
            videos = stored_videos(video_id for video_id, _ in batch)
            for video_id, pk in batch:
                content_id = self.other_ids.get(video_id) or old_id(videos[video_id].record)
                added = self.add(table, summary_values(summaries[pk], content_id))
                self.list_taken(summaries[pk], self.named(table, added[1])["summary_text"] if added else None)

    def write_variants(self, table: str) -> None:
        for batch in self.batches(table):
            live = self.live_videos(batch)
            keys = batch[0].key, batch[-1].key
            dropped = self.placement.rows(Verdict.DROP, Place.VARIANT, *keys)
            stepping_down = self.placement.rows(Verdict.STEP_DOWN, Place.VARIANT, *keys)
            for record in batch:
                row = record.row
                if record.is_quarantined or not record.video_id:
                    self.keep(table, record, row)
                elif record.video_id not in live or record.key in dropped:
                    self.leave_out(table, record)
                elif record.key in stepping_down:
                    self.change(table, record, row, {"is_latest": 0})
                else:
                    self.keep(table, record, row)
        for batch in self.placement.revisions(Verdict.ADD, Place.VARIANT):
            summaries = stored_summaries(pk for _, pk in batch)
            for video_id, pk in batch:
                values = variant_values(summaries[pk], video_id)
                if self.add(table, values | {"id": self.last_keys.get(table, 0) + 1}):
                    self.list_details(summaries[pk], BESIDE_VARIANT)
                else:
                    self.list_summary(summaries[pk])

    # Other tables

    def write_files(self, table: str) -> None:
        """`content_files`, less the files of videos that are left out."""
        for batch in self.batches(table):
            for record in batch:
                row = record.row
                name = self.named(table, row).get("content_id")
                if isinstance(name, bytes) and self.placement.is_left_out(name):
                    self.leave_out(table, record)
                else:
                    self.keep(table, record, row)

    def write_sequence(self, table: str) -> None:
        """SQLite's own count of the largest rowid of each AUTOINCREMENT table, which new rows have raised."""
        grown = {name: key for name, key in self.grown.items() if counts_on(self.layout, name)}
        for batch in self.batches(table):
            for record in batch:
                row = record.row
                name, last = row
                key = grown.pop(name.decode(errors="replace"), 0) if isinstance(name, bytes) else 0
                if isinstance(last, int) and last < key:
                    self.change(table, record, row, {"seq": key})
                else:
                    self.keep(table, record, row)
        for name, key in grown.items():
            self.add(table, {"name": Text(name.encode()), "seq": key})

    # What is not held

    def list_differences(
        self, video: StoredVideo, written: VideoRow | None, fields: Collection[str] | None = None
    ) -> None:
        """List what of a video its row does not say; None is a row that is not there, or that no import would take.

        `fields` are those in which they differ, if the caller knows.
        """
        record = video.record
        if written is None:
            values = {name: value for name, value in vars(record).items() if name != "video_id" and not is_empty(value)}
            self.lists.note(record.video_id, "video", values | {"categories": pair_values(video.pairs)})
            return
        for name in differing(written.record, record) if fields is None else fields:
            if not is_empty(value := getattr(record, name)) and name != "extra":
                self.lists.note(record.video_id, name, value)
        held = written.record.extra
        if extra := {name: value for name, value in record.extra.items() if held.get(name) != value}:
            self.lists.note(record.video_id, "extra", extra)
        if names_of(written.pairs) != names_of(video.pairs):
            self.lists.note(record.video_id, "categories", pair_values(video.pairs))
        elif written.pairs != video.pairs:
            self.lists.note(record.video_id, "origins_of_categories", pair_values(video.pairs))

    def list_summary(self, summary: Summary) -> None:
        values = {name: getattr(summary, name) for name in SUMMARY_FIELDS if name not in ("pk", "video_id")}
        self.lists.note(summary.video_id, "summary", {name: v for name, v in values.items() if not is_empty(v)})

    def list_taken(self, summary: Summary, written: Value) -> None:
        """List what of a revision a flat place does not say, unless it has a row of its own."""
        if not self.has_variants:
            if written == summary.text.encode():
                self.list_details(summary, BESIDE_FLAT)
            else:
                self.list_summary(summary)

    def list_details(self, summary: Summary, fields: Sequence[str]) -> None:
        """List what of a revision has no column in the table that has its text."""
        values = {name: getattr(summary, name) for name in fields if not is_empty(getattr(summary, name))}
        if values.get("language") == language_of(summary.variant):
            del values["language"]
        if values:
            of = {"variant": summary.variant, "revision": summary.revision}
            self.lists.note(summary.video_id, "details_of_summary", of | values)

    def list_unheld(self) -> None:
        for batch in self.placement.revisions(Verdict.UNHELD):
            summaries = stored_summaries(pk for _, pk in batch)
            for _, pk in batch:
                self.list_summary(summaries[pk])
        tombstones = Video.objects.deleted().order_by(Collate("video_id", "C"))
        for video_id, *values in tombstones.values_list(
            "pk", "legacy_id", "deleted_at", "deleted_by", "deleted_reason"
        ).iterator():
            names = ("legacy_id", "deleted_at", "deleted_by", "deleted_reason")
            self.lists.note(video_id, "deleted", dict(zip(names, values, strict=True)))
        files = AudioFile.objects.filter(video__deleted_at__isnull=True).order_by(Collate("video", "C"), "sha256")
        names = ("name", "source_name", "size_bytes", "sha256", "added_at")
        for video_id, *values in files.values_list("video", *names).iterator():
            self.lists.note(video_id, "audio_file", dict(zip(names, values, strict=True)))


def changed_row(writer: Writer, table: str, key: int, row: Row, changes: Mapping[str, Value]) -> Row:
    """A row with other values in some columns, and in those that SQLite computes from them.

    The row as it was, where a constraint forbids the values.
    """
    columns = writer.layout.columns[table]
    try:
        stored = writer.as_stored(table, key, dict(zip(columns, row, strict=True)) | changes)
    except sqlite3.IntegrityError:
        return row
    computed = writer.shapes[table].generated
    return tuple(
        stored[place] if name in changes or place in computed else value
        for place, (name, value) in enumerate(zip(columns, row, strict=True))
    )


def counts_on(layout: Layout, table: str) -> bool:
    """Whether SQLite keeps count of a table's rowids."""
    return any(
        kind == b"table" and name.decode() == table and b"AUTOINCREMENT" in sql.upper()
        for _, (kind, name, _, sql) in layout.schema_rows
    )


def in_batches(items: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for item in items:
        batch.append(item)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def one_state() -> Iterator[None]:
    """Everything inside reads the same state of the library; the caller's transaction, if there is one."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


class Lists:
    """The lists of the report, kept in files while they grow."""

    def __init__(self, folder: Path) -> None:
        self.files = {name: folder.joinpath(name).open("w+", encoding="utf-8") for name in ("left_out", "not_held")}
        self.left_out = 0
        self.not_held: Counter[str] = Counter()

    def note_left_out(self, table: str, key: int, video_id: str) -> None:
        self.left_out += 1
        self.append("left_out", {"table": table, "key": key, "video_id": video_id})

    def note(self, video_id: str, what: str, value: Any) -> None:
        self.not_held[what] += 1
        self.append("not_held", {"video_id": video_id, "what": what, "value": value})

    def append(self, name: str, entry: dict[str, Any]) -> None:
        self.files[name].write(json.dumps(entry, ensure_ascii=False, default=json_form) + "\n")

    def write_report(self, report: ExportReport, path: Path) -> None:
        """The report with its lists: `deleted`, the rows left out, and `not_held`."""
        values = asdict(report)
        values["counts_of_not_held"] = values.pop("not_held")
        with path.open("w", encoding="utf-8") as file:
            file.write(json.dumps(values, ensure_ascii=False, indent=1).removesuffix("\n}"))
            for title, name in (("deleted", "left_out"), ("not_held", "not_held")):
                file.write(f',\n "{title}": [')
                self.files[name].seek(0)
                for number, line in enumerate(self.files[name]):
                    file.write((",\n  " if number else "\n  ") + line.rstrip("\n"))
                file.write("\n ]")
                self.files[name].close()
            file.write("\n}\n")


def json_form(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")
