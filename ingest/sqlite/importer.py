"""Imports a snapshot of the old database: every row into the vault, then into the models.

One transaction: all of it or nothing. The same file again changes nothing. Every row of the file has
one outcome (ingest.models.Outcome), and the report counts them; nothing is dropped in silence.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from ingest.models import Outcome, QuarantinedRow, Snapshot, VaultRow
from summaries.models import Summary, SummaryText
from videos.keys import VideoKey
from videos.models import Categorization, FacetCount, Video
from videos.upsert import Action, UpsertResult

from .codec import Row, Text, Value, encode
from .mapping import Mapper, MapRow, Unmodelled, VideoRow
from .reader import Source, check_file, open_snapshot
from .schema import Generation

BATCH_ROWS = 1000
# Holds off a second import; any number will do, as long as nothing else uses it.
LOCK = 20250911
WRITTEN_TABLES = (
    "videos_video", "videos_category", "videos_subcategory", "videos_categorization", "videos_facetcount",
    "summaries_summary",
)  # fmt: skip
MODELLED_TABLES = ("content", "content_summaries", "summary_variants")

Progress = Callable[[str, int], None]


class ImportLocked(Exception):
    """Another import is running."""


@dataclass
class TableReport:
    """What became of a table's rows: rows = modelled + quarantined + skipped_deleted (+ kept)."""

    rows: int = 0
    modelled: int = 0
    quarantined: int = 0
    skipped_deleted: int = 0
    kept: int = 0


@dataclass
class ImportReport:
    """What one import did, for people and as JSON."""

    name: str
    sha256: str
    generation: str
    seen_before: bool
    tables: dict[str, TableReport] = field(default_factory=dict)
    videos: dict[str, int] = field(default_factory=lambda: {action.value: 0 for action in Action})
    categorizations_written: int = 0
    summaries_written: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    unknown_tables: list[str] = field(default_factory=list)
    unknown_columns: list[str] = field(default_factory=list)

    @property
    def changed_nothing(self) -> bool:
        """Whether every video, category and summary was there already."""
        written = self.videos[Action.CREATED] + self.videos[Action.UPDATED]
        return not (written + self.categorizations_written + self.summaries_written)


@dataclass(frozen=True)
class Fate:
    """The outcome of one row, and the video that it became part of; `problem` says why it did not."""

    outcome: Outcome
    video_id: str = ""
    problem: Unmodelled | None = None


class Fates:
    """The outcome of every row that is not simply kept, by table and key."""

    def __init__(self) -> None:
        self.by_row: dict[tuple[str, int], Fate] = {}

    def quarantine(self, table: str, key: int, problem: Unmodelled) -> None:
        self.by_row[table, key] = Fate(Outcome.QUARANTINED, problem=problem)

    def settle(self, table: str, key: int, video_id: str, result: UpsertResult) -> None:
        deleted = result.action is Action.DELETED
        self.by_row[table, key] = Fate(Outcome.SKIPPED_DELETED if deleted else Outcome.MODELLED, video_id)


def import_snapshot(path: Path, progress: Progress = lambda stage, rows: None) -> ImportReport:
    """Import a snapshot in one transaction and say what became of every row.

    Raises SnapshotError for a file that cannot be taken, ImportLocked while another import runs;
    nothing is written then. `progress` is told the stage and how many more rows are done.
    """
    check_file(path)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                raise ImportLocked("Another import is running; wait until it is done.")
        # Inside the transaction: if the file was written to meanwhile, that is found when it is closed.
        with open_snapshot(path) as source:
            report = SnapshotImport(source, progress).run()
    with connection.cursor() as cursor:
        if not connection.in_atomic_block:
            # Fresh statistics and visibility, or the first pages after an import would be slow.
            cursor.execute(f"VACUUM (ANALYZE) {', '.join(WRITTEN_TABLES)}")
            # Small, read by every page, and by now mostly rows that were added up.
            cursor.execute("VACUUM (FULL, ANALYZE) videos_facetcount")
    return report


class SnapshotImport:
    """One run over an open snapshot, inside a transaction."""

    def __init__(self, source: Source, progress: Progress) -> None:
        self.source = source
        self.progress = progress
        self.mapper = Mapper()
        self.fates = Fates()
        self.results: dict[str, UpsertResult] = {}
        self.batches: Counter[str] = Counter()
        # Old id → key, and id as the row has it → key, of the rows of `content` that were taken.
        self.key_of: dict[str, str] = {}
        self.key_of_native: dict[str, str] = {}
        self.report = ImportReport(
            source.name, source.sha256, source.generation, Snapshot.objects.filter(sha256=source.sha256).exists()
        )

    def run(self) -> ImportReport:
        self.import_videos()
        self.import_summaries()
        FacetCount.objects.compact()
        self.count_outcomes()
        self.store_in_vault()
        return self.report

    def note_progress(self, stage: str, rows: int) -> None:
        """Tell the progress, and let PostgreSQL plan anew each time the number of batches has doubled.

        Plans of triggers and foreign keys are kept for the whole session; made for the empty tables of the
        first batch, they would read every row again for each row written.
        """
        self.progress(stage, rows)
        self.batches[stage] += 1
        if self.batches[stage].bit_count() == 1:
            with connection.cursor() as cursor:
                cursor.execute(f"ANALYZE {', '.join(WRITTEN_TABLES)}")

    def named_rows(self, table: str) -> Iterator[tuple[int, dict[str, Value]]]:
        columns = self.source.tables[table].columns
        for key, row in self.source.rows(table):
            yield key, dict(zip(columns, row, strict=True))

    # Videos and their categories

    def import_videos(self) -> None:
        claimed: set[tuple[str, str]] = set()
        for batch in batches(self.named_rows("content")):
            rows: dict[int, VideoRow] = {}
            for key, row in batch:
                rules = self.mapper.rules.copy()
                try:
                    mapped = self.mapper.video(row)
                    names = {("video_id", mapped.record.video_id), ("id", mapped.record.legacy_id)} - {("id", "")}
                    if twice := names & claimed:
                        column, name = max(twice)
                        raise Unmodelled(
                            "duplicate_key", column, row.get(column), f"An earlier row of the file is {name} already."
                        )
                except Unmodelled as problem:
                    self.mapper.rules = rules
                    self.fates.quarantine("content", key, problem)
                else:
                    claimed |= names
                    rows[key] = mapped
            self.refuse_taken_ids(rows)
            self.write_videos(rows)
            self.note_progress("videos", len(batch))

    def refuse_taken_ids(self, rows: dict[int, VideoRow]) -> None:
        """Quarantine rows whose old ID belongs to another video here already."""
        old_ids = [row.record.legacy_id for row in rows.values() if row.record.legacy_id]
        owners = dict(Video.objects.filter(legacy_id__in=old_ids).values_list("legacy_id", "video_id"))
        for key, row in list(rows.items()):
            record = row.record
            if owners.get(record.legacy_id, record.video_id) != record.video_id:
                problem = Unmodelled(
                    "old_id_taken", "id", Text(record.legacy_id.encode()),
                    f"The old ID {record.legacy_id} belongs to the video {owners[record.legacy_id]} here.",
                )  # fmt: skip
                self.fates.quarantine("content", key, problem)
                del rows[key]

    def write_videos(self, rows: dict[int, VideoRow]) -> None:
        results = Video.objects.upsert([row.record for row in rows.values()])
        for key, row in rows.items():
            video_id = row.record.video_id
            self.results[video_id] = results[video_id]
            self.key_of[row.record.legacy_id] = video_id
            self.key_of_native[row.native_id] = video_id
            self.report.videos[results[video_id].action] += 1
            self.fates.settle("content", key, video_id, results[video_id])
        self.report.categorizations_written += Categorization.objects.merge(
            {
                row.record.video_id: row.pairs
                for row in rows.values()
                if results[row.record.video_id].action is not Action.DELETED
            },
            newest={video_id for video_id, result in results.items() if result.is_newest},
        )
        self.write_summaries(
            {
                row.record.video_id: [row.summary]
                for row in rows.values()
                if row.summary and results[row.record.video_id].action is not Action.DELETED
            }
        )

    # Summaries

    def import_summaries(self) -> None:
        self.import_texts("content_summaries", "content_id", self.mapper.summary)
        if "summary_variants" in self.source.tables:
            self.import_texts("summary_variants", "video_id", self.mapper.variant_text)

    def import_texts(self, table: str, reference: str, map_row: MapRow) -> None:
        texts: dict[str, list[SummaryText]] = defaultdict(list)
        for batch in batches(self.named_rows(table)):
            for key, row in batch:
                rules = self.mapper.rules.copy()
                try:
                    video_id = self.video_of(row, reference)
                    text = map_row(row)
                except Unmodelled as problem:
                    self.mapper.rules = rules
                    self.fates.quarantine(table, key, problem)
                    continue
                self.fates.settle(table, key, video_id, self.results[video_id])
                if text and self.results[video_id].action is not Action.DELETED:
                    texts[video_id].append(text)
            if table == "content_summaries":
                # One row a video. The revisions of a variant can lie far apart, so they wait for the last batch.
                self.write_summaries(texts)
                texts.clear()
        videos = iter(texts.items())
        while part := dict(islice(videos, BATCH_ROWS)):
            self.write_summaries(part)

    def video_of(self, row: dict[str, Value], reference: str) -> str:
        """The key of the video that a summary belongs to. Raises Unmodelled for one without a video."""
        name = self.mapper.text(row, reference)
        for candidate in VideoKey.parse(name).candidates:
            if candidate in self.key_of:
                return self.key_of[candidate]
            if candidate in self.results:
                return candidate
            if candidate in self.key_of_native:
                return self.key_of_native[candidate]
        raise Unmodelled(
            "orphan", reference, row.get(reference), f"There is no video {name} in the file, or it is quarantined."
        )

    def write_summaries(self, texts: dict[str, list[SummaryText]]) -> None:
        newest = {video_id for video_id in texts if self.results[video_id].is_newest}
        self.report.summaries_written += Summary.objects.merge(texts, newest, is_history=True)
        self.note_progress("summaries", sum(map(len, texts.values())))

    # The vault

    def store_in_vault(self) -> None:
        """Every row of every table, verbatim, with its outcome. A known file's rows are there already."""
        snapshot, created = Snapshot.objects.get_or_create(
            sha256=self.source.sha256,
            defaults={
                "name": self.source.name,
                "size_bytes": self.source.size_bytes,
                "generation": self.source.generation,
                "schema": list(self.source.schema),
                "report": asdict(self.report),
            },
        )
        for table in self.source.tables:
            for batch in batches(self.source.rows(table)):
                if created:
                    self.copy_rows(snapshot, table, batch)
                self.progress("vault", len(batch))
        if created:
            self.store_quarantined(snapshot)

    def copy_rows(self, snapshot: Snapshot, table: str, batch: list[tuple[int, Row]]) -> None:
        statement = """
            COPY ingest_vaultrow (snapshot_id, "table", key, content, sha256, outcome, video_id)
            FROM STDIN (FORMAT BINARY)
        """
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(("int8", "text", "int8", "bytea", "bytea", "varchar", "text"))
            for key, row in batch:
                content = encode(row)
                fate = self.fates.by_row.get((table, key), Fate(Outcome.KEPT))
                copy.write_row(
                    (
                        snapshot.pk,
                        table,
                        key,
                        content,
                        hashlib.sha256(content).digest(),
                        fate.outcome.value,
                        fate.video_id,
                    )
                )

    def store_quarantined(self, snapshot: Snapshot) -> None:
        problems = {place: fate.problem for place, fate in self.fates.by_row.items() if fate.problem}
        rows = VaultRow.objects.filter(snapshot=snapshot, outcome=Outcome.QUARANTINED).only("table", "key")
        QuarantinedRow.objects.bulk_create(
            (
                QuarantinedRow(
                    row=row,
                    code=problem.code,
                    column=problem.column,
                    value=encode((problem.value,)),
                    message=problem.message,
                )
                for row in rows.iterator()
                if (problem := problems[row.table, row.key])
            ),
            batch_size=BATCH_ROWS,
        )

    # The report

    def count_outcomes(self) -> None:
        report = self.report
        for name, table in self.source.tables.items():
            report.tables[name] = TableReport(rows=table.rows)
            if name not in MODELLED_TABLES:
                report.tables[name].kept = table.rows
                if name not in KEPT_TABLES and not name.startswith("sqlite_"):
                    report.unknown_tables.append(name)
        for (name, key), fate in self.fates.by_row.items():
            counts = report.tables[name]
            setattr(counts, fate.outcome.value, getattr(counts, fate.outcome.value) + 1)
            if fate.problem:
                report.quarantined.append(
                    {
                        "table": name,
                        "key": key,
                        "code": fate.problem.code,
                        "column": fate.problem.column,
                        "message": fate.problem.message,
                    }
                )
        report.unknown_columns = [
            f"{name}.{column}"
            for name, known in Generation.LAST.columns.items()
            if name in self.source.tables
            for column in self.source.tables[name].columns
            if column not in known
        ]
        report.rules = dict(self.mapper.rules)


# Tables of the old database that say nothing of a video that its row does not say.
KEPT_TABLES = ("content_files", "migration_log")


def batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH_ROWS)):
        yield batch
