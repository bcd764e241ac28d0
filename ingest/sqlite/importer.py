"""Imports a snapshot of the old database: every row into the vault, then into the models.

The vault is filled in batches, and an interrupted import goes on where it was. The models are written
in one transaction: readers see all of it or nothing. The same file again changes nothing. Every row of
the file has one outcome (ingest.models.Outcome), and the report counts them; nothing is dropped in silence.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pghistory
from django.db import connection, transaction
from django.utils import timezone

from ingest.files import adopt_waiting
from ingest.models import Outcome, QuarantinedRow, RowOutcome, Snapshot, VaultRow
from summaries.models import Summary
from videos.deciding import share_names
from videos.models import Categorization, FacetCount, Origin, Pair, Video
from videos.upsert import COLUMNS, Action

from . import staging
from .codec import Row, Value, decode, encode
from .manifest import check_manifest
from .mapping import Mapper, Unmodelled
from .reader import Source, check_file, open_snapshot
from .schema import Generation
from .staging import Problem
from .vault import fill_vault

BATCH_ROWS = 1000
# Holds off a second import; any number will do, as long as nothing else uses it.
LOCK = 20250911
# The server may need a moment to notice that an import was killed.
LOCK_WAIT_SECONDS = 5
WRITTEN_TABLES = (
    "videos_video", "videos_category", "videos_subcategory", "videos_categorization", "videos_facetcount",
    "summaries_summary",
)  # fmt: skip
# What grows in each stage of writing.
STAGE_TABLES = {
    "videos": ("videos_video", "videos_facetcount"),
    "categories": ("videos_category", "videos_subcategory", "videos_categorization", "videos_facetcount"),
    "summaries": ("summaries_summary", "videos_facetcount"),
}
MODELLED_TABLES = ("content", "content_summaries", "summary_variants")
# Tables of the old database that say nothing of a video that its row does not say.
KEPT_TABLES = ("content_files", "migration_log")
# A report lists so many quarantined rows; all of them are in the admin.
LISTED_PROBLEMS = 1000

Progress = Callable[[str, int], None]


class ImportLocked(Exception):
    """Another import is running."""


class Ending(StrEnum):
    """How an import ended. Only the first wrote anything but the vault and what is quarantined."""

    IMPORTED = "imported"
    DRY_RUN = "dry_run"
    QUARANTINE_NOT_ACCEPTED = "quarantine_not_accepted"
    NOT_AS_EXPECTED = "not_as_expected"


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
    ending: Ending = Ending.IMPORTED
    tables: dict[str, TableReport] = field(default_factory=dict)
    videos: dict[str, int] = field(default_factory=lambda: {action.value: 0 for action in Action})
    categorised: int = 0
    categorizations_written: int = 0
    summaries_written: int = 0
    rules: dict[str, int] = field(default_factory=dict)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    quarantined_by_code: dict[str, int] = field(default_factory=dict)
    not_accepted: int = 0
    unexpected: list[str] = field(default_factory=list)
    unknown_tables: list[str] = field(default_factory=list)
    unknown_columns: list[str] = field(default_factory=list)
    audio: Any = None

    @property
    def changed_nothing(self) -> bool:
        """Whether every video, category and summary was there already."""
        written = self.videos[Action.CREATED] + self.videos[Action.UPDATED]
        return not (written + self.categorizations_written + self.summaries_written)

    @property
    def exit_code(self) -> int:
        """0 fine, 2 other numbers than expected, 3 quarantined rows that nobody accepted (design.md, Errors)."""
        if self.unexpected:
            return 2
        return 3 if self.not_accepted else 0


@dataclass(frozen=True)
class Expected:
    """What the owner knows of the file: its rows of `content`, and how many of them have a subcategory."""

    total: int | None = None
    categorised: int | None = None

    def unmet(self, report: ImportReport) -> list[str]:
        found = {"videos": report.tables["content"].rows, "categorised videos": report.categorised}
        expected = {"videos": self.total, "categorised videos": self.categorised}
        return [
            f"{expected[name]:,} {name} were expected, and there are {number:,}."
            for name, number in found.items()
            if expected[name] not in (None, number)
        ]


def import_snapshot(
    path: Path,
    progress: Progress = lambda stage, rows: None,
    *,
    dry_run: bool = False,
    accept_quarantine: bool = False,
    expected: Expected | None = None,
    then: Callable[[ImportReport], None] = lambda report: None,
) -> ImportReport:
    """Import a snapshot and say what became of every row.

    Where rows are quarantined that nobody has accepted, or a number is not as expected, no model is
    written; the report's `ending` says so. With `dry_run` everything is done and rolled back.
    Raises SnapshotError for a file that cannot be taken, VaultDiffers, and ImportLocked while another
    import runs. `progress` is told the stage and how many more rows are done. `then` is called when the models
    are written: after the commit, or, of a dry run, before everything is rolled back.
    """
    check_file(path)
    with import_lock(), transaction.atomic() if dry_run else nullcontext():
        with open_snapshot(path) as source:
            check_manifest(path, source.sha256)
            snapshot = fill_vault(source, progress)
            report = SnapshotImport(source, snapshot, progress).run(dry_run, accept_quarantine, expected or Expected())
        if report.ending in (Ending.IMPORTED, Ending.DRY_RUN):
            then(report)
        if dry_run:
            transaction.set_rollback(True)
    if report.ending is Ending.IMPORTED and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            # Fresh statistics and visibility, or the first pages after an import would be slow.
            cursor.execute(f"VACUUM (ANALYZE) {', '.join(WRITTEN_TABLES)}")
            # Small, read by every page, and by now mostly rows that were added up.
            cursor.execute("VACUUM (FULL, ANALYZE) videos_facetcount")
    return report


@contextmanager
def import_lock() -> Iterator[None]:
    """One import at a time. Raises ImportLocked."""
    with connection.cursor() as cursor:
        # A client that was killed lets go of its lock within a second, also in a long statement.
        cursor.execute("SET client_connection_check_interval = '1s'")
        # Long texts are packed several times as fast by lz4, where the server was built with it.
        cursor.execute(
            "SELECT set_config(name, 'lz4', false) FROM pg_settings"
            " WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"
        )
        deadline = time.monotonic() + LOCK_WAIT_SECONDS
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
            if cursor.fetchone()[0]:
                break
            if time.monotonic() > deadline:
                raise ImportLocked("Another import is running; wait until it is done.")
            time.sleep(0.2)
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


class SnapshotImport:
    """One run over a snapshot that is in the vault.

    1. Map the rows into temporary tables, and find out which cannot be modelled.
    2. Write all videos, in order of their keys; then their categories; then the texts. So two
       transactions that write videos never wait for each other in a circle, and a deleted video is passed over.
    3. Write down what became of every row.
    """

    def __init__(self, source: Source, snapshot: Snapshot, progress: Progress) -> None:
        self.source = source
        self.snapshot = snapshot
        self.progress = progress
        self.rules: Counter[str] = Counter()
        self.batches: Counter[str] = Counter()
        self.report = ImportReport(
            source.name, source.sha256, source.generation, seen_before=snapshot.imported_at is not None
        )

    def run(self, dry_run: bool, accept_quarantine: bool, expected: Expected) -> ImportReport:
        with pghistory.context(import_sqlite=self.snapshot.sha256), transaction.atomic():
            share_names()
            with connection.cursor() as cursor:
                # For plans on the way a small sample is enough; the last ANALYZE takes the usual one.
                cursor.execute("SET LOCAL default_statistics_target = 10")
            staging.create_tables()
            self.stage_videos()
            self.stage_texts()
            self.count_rows()
            self.store_problems()
            if accept_quarantine:
                self.quarantined().accept(by="import_sqlite --accept-quarantine")
            self.report.not_accepted = self.quarantined().open().count()
            self.report.unexpected = expected.unmet(self.report)
            if self.report.unexpected:
                self.report.ending = Ending.NOT_AS_EXPECTED
            elif self.report.not_accepted and not dry_run:
                self.report.ending = Ending.QUARANTINE_NOT_ACCEPTED
            else:
                self.write_videos()
                self.write_pairs()
                self.write_texts()
                self.adopt_files()
                self.store_outcomes()
                FacetCount.objects.compact()
                self.report.ending = Ending.DRY_RUN if dry_run else Ending.IMPORTED
            self.count_outcomes()
            self.note_imported()
            self.source.check_unchanged()
        return self.report

    def note_progress(self, stage: str, rows: int) -> None:
        """Tell the progress, and let PostgreSQL plan anew each time the number of batches has doubled.

        Plans of triggers and foreign keys are kept for the whole session; made for the empty tables of the
        first batch, they would read every row again for each row written. Checks that wait for the end of
        the transaction are made now, so that no queue of them grows in the server's memory.
        """
        self.progress(stage, rows)
        self.batches[stage] += 1
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
            if self.batches[stage].bit_count() == 1:
                cursor.execute(f"ANALYZE {', '.join(STAGE_TABLES[stage])}")

    def mapped(self, table: str) -> Iterator[staging.Batch]:
        """The rows of a table, mapped, in batches."""
        columns = self.source.tables[table].columns
        for rows in staging.batches(self.source.rows(table)):
            batch = staging.map_batch(table, columns, rows)
            self.rules.update(batch.rules)
            staging.fill("staged_problem", batch.problems)
            self.progress("mapped", len(rows))
            yield batch

    # 1. Mapping

    def stage_videos(self) -> None:
        for batch in self.mapped("content"):
            staging.fill("staged_video", batch.videos)
            staging.fill("staged_text", batch.texts)
        with connection.cursor() as cursor:
            cursor.execute("CREATE INDEX ON staged_video (video_id); ANALYZE staged_video")
        self.refuse(self.duplicates())
        self.refuse(self.taken_old_ids())
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO staged_name SELECT legacy_id, 0, video_id FROM staged_video"
                " UNION ALL SELECT video_id, 1, video_id FROM staged_video"
                " UNION ALL SELECT native_id, 2, video_id FROM staged_video;"
                " CREATE INDEX ON staged_name (name); ANALYZE staged_name"
            )
            cursor.execute(
                "SELECT count(*) FROM staged_video"
                " WHERE jsonb_path_exists(pairs::jsonb, 'strict $[*] ? (@[1] != null)')"
            )
            (self.report.categorised,) = cursor.fetchone()

    def duplicates(self) -> list[Problem]:
        """Rows whose key or old ID an earlier row has, that is itself none of them."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                WITH keys AS (SELECT video_id FROM staged_video GROUP BY 1 HAVING count(*) > 1),
                old_ids AS (SELECT legacy_id FROM staged_video WHERE legacy_id <> '' GROUP BY 1 HAVING count(*) > 1)
                SELECT key, video_id, legacy_id FROM staged_video
                WHERE video_id IN (SELECT video_id FROM keys) OR legacy_id IN (SELECT legacy_id FROM old_ids)
                ORDER BY key
                """
            )
            rows = cursor.fetchall()
        claimed: set[tuple[str, str]] = set()
        problems = []
        for key, video_id, legacy_id in rows:
            names = {("video_id", video_id), ("id", legacy_id)} - {("id", "")}
            if twice := names & claimed:
                column, name = max(twice)
                message = f"An earlier row of the file is {name} already."
                problems.append(self.problem("content", key, "duplicate_key", column, message))
            else:
                claimed |= names
        return problems

    def taken_old_ids(self) -> list[Problem]:
        """Rows whose old ID belongs to another video here already."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sent.key, stored.legacy_id, stored.video_id FROM staged_video AS sent"
                " JOIN videos_video AS stored USING (legacy_id)"
                " WHERE legacy_id <> '' AND stored.video_id <> sent.video_id ORDER BY sent.key"
            )
            return [
                self.problem(
                    "content", key, "old_id_taken", "id", f"The old ID {old_id} belongs to the video {video_id} here."
                )
                for key, old_id, video_id in cursor.fetchall()
            ]

    def problem(self, table: str, key: int, code: str, column: str, message: str) -> Problem:
        """A problem that shows only beside other rows; its value is read from the vault."""
        return Problem(table, key, code, column, encode((self.vaulted(table, key).get(column),)), message)

    def vaulted(self, table: str, key: int) -> dict[str, Value]:
        rows = VaultRow.objects.filter(snapshot=self.snapshot, table=table, key=key)
        content = rows.values_list("content", flat=True).first()
        # A purge has taken the rows of its videos out of the vault; the file still has them.
        row = next(self.source.rows(table, after=key - 1))[1] if content is None else decode(bytes(content))
        return dict(zip(self.source.tables[table].columns, row, strict=True))

    def refuse(self, problems: Sequence[Problem]) -> None:
        """Take rows of `content` out again, with the rules that were counted for them."""
        for problem in problems:
            mapper = Mapper()
            mapper.video(self.vaulted("content", problem.key))
            self.rules.subtract(mapper.rules)
        self.rules = +self.rules
        keys = [problem.key for problem in problems]
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM staged_video WHERE key = ANY(%s)", [keys])
            cursor.execute("DELETE FROM staged_text WHERE source_table = 'content' AND key = ANY(%s)", [keys])
        staging.fill("staged_problem", problems)

    def stage_texts(self) -> None:
        for table in ("content_summaries", "summary_variants"):
            if table not in self.source.tables:
                continue
            for batch in self.mapped(table):
                video_of = staging.resolve({reference for _, _, reference, *_ in batch.texts})
                staging.fill(
                    "staged_text",
                    (
                        [name, key, video_of[reference], *rest]
                        for name, key, reference, *rest in batch.texts
                        if reference in video_of
                    ),
                )
                self.refuse_orphans(table, [text for text in batch.texts if text[2] not in video_of])

    def refuse_orphans(self, table: str, texts: Sequence[Sequence[Any]]) -> None:
        column = staging.REFERENCES[table]
        for _, key, reference, *_ in texts:
            mapped = staging.map_batch(
                table, self.source.tables[table].columns, [(key, self.vaulted_values(table, key))]
            )
            self.rules.subtract(mapped.rules)
            message = f"There is no video {reference} in the file, or it is quarantined."
            staging.fill("staged_problem", [self.problem(table, key, "orphan", column, message)])
        self.rules = +self.rules

    def vaulted_values(self, table: str, key: int) -> Row:
        return tuple(self.vaulted(table, key).values())

    # 2. Writing

    def write_videos(self) -> None:
        listed = ", ".join(COLUMNS)
        last = ""
        while True:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT video_id, updated_at FROM staged_video WHERE video_id > %s ORDER BY video_id LIMIT %s",
                    [last, BATCH_ROWS],
                )
                updated_at_of = dict(cursor.fetchall())
            if not updated_at_of:
                return
            relation = f"(SELECT {listed} FROM staged_video WHERE video_id > %s AND video_id <= %s) AS sent"
            bounds = [last, last := list(updated_at_of)[-1]]
            results = Video.objects.upsert_from(relation, bounds, updated_at_of)
            self.report.videos.update(
                (action, self.report.videos[action] + n)
                for action, n in Counter(result.action.value for result in results.values()).items()
            )
            staging.fill(
                "staged_result",
                ((key, result.action is Action.DELETED, result.is_newest) for key, result in results.items()),
            )
            self.note_progress("videos", len(results))

    def write_pairs(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("CREATE UNIQUE INDEX ON staged_result (video_id); ANALYZE staged_result")
        self.add_names()
        for rows in self.staged(
            "SELECT video_id, pairs, is_newest FROM staged_video JOIN staged_result USING (video_id)"
            " WHERE NOT is_deleted AND pairs <> '[]' ORDER BY video_id"
        ):
            self.report.categorizations_written += Categorization.objects.merge(
                {video_id: staging.pairs_of(pairs) for video_id, pairs, _ in rows},
                newest={video_id for video_id, _, is_newest in rows if is_newest},
                by="import_sqlite",
            )
            self.note_progress("categories", len(rows))

    def add_names(self) -> None:
        """Add the names of all categories in one go, which is in order, as whoever writes a report adds its own.

        Batch by batch the import would hold some names and wait for others, and so could a report: for each other.
        """
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT pair ->> 0, pair ->> 1, pair ->> 2 FROM staged_video"
                " JOIN staged_result USING (video_id) CROSS JOIN jsonb_array_elements(pairs::jsonb) AS pair"
                " WHERE NOT is_deleted"
            )
            named = [Pair(category, subcategory, Origin(origin)) for category, subcategory, origin in cursor.fetchall()]
        [present] = Categorization.objects.with_present_names({"": named}).values()
        Categorization.objects.named_categories(set(present))

    def write_texts(self) -> None:
        newest: set[str] = set()

        def rows() -> Iterator[Sequence[Any]]:
            for batch in self.staged(
                "SELECT is_newest, staged_text.video_id, place, variant, text, revision, is_latest, language,"
                " created_at, updated_at, metadata, raw_payload, file_size_bytes, word_count"
                " FROM staged_text JOIN staged_result USING (video_id)"
                " WHERE NOT is_deleted AND text IS NOT NULL ORDER BY video_id, place, key"
            ):
                for is_newest, video_id, *rest in batch:
                    if is_newest:
                        newest.add(video_id)
                    yield video_id, *rest

        for texts in staging.texts_by_video(rows()):
            merged = Summary.objects.merge(texts, newest & texts.keys(), is_history=True)
            newest -= texts.keys()
            self.report.summaries_written += merged.added
            if merged.renumbered:
                self.rules["revision_renumbered"] += merged.renumbered
            self.note_progress("summaries", sum(map(len, texts.values())))

    def adopt_files(self) -> None:
        """Files that came before their videos become theirs."""
        for rows in self.staged("SELECT video_id FROM staged_result WHERE NOT is_deleted ORDER BY video_id"):
            adopt_waiting(key for (key,) in rows)

    def staged(self, query: str) -> Iterator[list[Sequence[Any]]]:
        """The rows of a query, in batches, through a cursor of the server."""
        connection.ensure_connection()
        with connection.connection.cursor(name="staged") as cursor:
            cursor.itersize = BATCH_ROWS
            cursor.execute(query)
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield rows

    # 3. What became of the rows

    def quarantined(self) -> Any:
        return QuarantinedRow.objects.filter(row__snapshot=self.snapshot).unresolved()

    def store_problems(self) -> None:
        """Quarantine what cannot be modelled. What could not be modelled before, and can now, is resolved."""
        with connection.cursor() as cursor:
            cursor.execute(
                """
                INSERT INTO ingest_quarantinedrow AS stored
                (row_id, code, "column", value, message, accepted_by, resolved_by)
                SELECT vault.id, code, "column", value, message, '', '' FROM staged_problem
                JOIN ingest_vaultrow AS vault
                ON vault.snapshot_id = %s AND vault."table" = source_table AND vault.key = staged_problem.key
                ON CONFLICT (row_id) DO UPDATE SET code = excluded.code, "column" = excluded."column",
                value = excluded.value, message = excluded.message, accepted_at = NULL, accepted_by = '',
                resolved_at = NULL, resolved_by = ''
                WHERE stored.resolved_at IS NOT NULL OR (stored.code, stored."column", stored.message)
                <> (excluded.code, excluded."column", excluded.message)
                """,
                [self.snapshot.pk],
            )
            cursor.execute(
                """
                UPDATE ingest_quarantinedrow AS stored SET resolved_at = now(), resolved_by = 'import_sqlite'
                FROM ingest_vaultrow AS vault
                WHERE vault.id = stored.row_id AND vault.snapshot_id = %s AND stored.resolved_at IS NULL
                AND NOT EXISTS (
                    SELECT FROM staged_problem AS problem
                    WHERE problem.source_table = vault."table" AND problem.key = vault.key
                )
                """,
                [self.snapshot.pk],
            )

    def store_outcomes(self) -> None:
        """The outcome of every row of the modelled tables. One that is as it was is not written again."""
        outcome = "CASE WHEN is_deleted THEN 'skipped_deleted' ELSE 'modelled' END"
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                INSERT INTO ingest_rowoutcome AS stored (snapshot_id, "table", key, outcome, video_id)
                SELECT %s, 'content', key, {outcome}, video_id FROM staged_video JOIN staged_result USING (video_id)
                UNION ALL
                SELECT %s, source_table, key, {outcome}, video_id FROM staged_text JOIN staged_result USING (video_id)
                WHERE source_table <> 'content'
                UNION ALL
                SELECT %s, source_table, key, 'quarantined', '' FROM staged_problem
                ON CONFLICT (snapshot_id, "table", key) DO UPDATE SET outcome = excluded.outcome,
                video_id = excluded.video_id
                WHERE (stored.outcome, stored.video_id) <> (excluded.outcome, excluded.video_id)
                """,
                [self.snapshot.pk] * 3,
            )

    def count_rows(self) -> None:
        report = self.report
        for name, table in self.source.tables.items():
            report.tables[name] = TableReport(rows=table.rows)
            if name not in MODELLED_TABLES:
                report.tables[name].kept = table.rows
                if name not in KEPT_TABLES and not name.startswith("sqlite_"):
                    report.unknown_tables.append(name)
        report.unknown_columns = [
            f"{name}.{column}"
            for name, known in Generation.LAST.columns.items()
            if name in self.source.tables
            for column in self.source.tables[name].columns
            if column not in known
        ]

    def count_outcomes(self) -> None:
        report = self.report
        report.rules = {name: number for name, number in sorted(self.rules.items()) if number}
        with connection.cursor() as cursor:
            cursor.execute("SELECT source_table, code, count(*) FROM staged_problem GROUP BY 1, 2 ORDER BY 2")
            for table, code, number in cursor.fetchall():
                report.tables[table].quarantined += number
                report.quarantined_by_code[code] = report.quarantined_by_code.get(code, 0) + number
            cursor.execute(
                'SELECT source_table, key, code, "column", message FROM staged_problem'
                " ORDER BY array_position(%s, source_table), key LIMIT %s",
                [list(MODELLED_TABLES), LISTED_PROBLEMS],
            )
            names = ("table", "key", "code", "column", "message")
            report.quarantined = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            if report.ending not in (Ending.IMPORTED, Ending.DRY_RUN):
                return
            cursor.execute(
                'SELECT "table", outcome, count(*) FROM ingest_rowoutcome WHERE snapshot_id = %s'
                " AND outcome <> 'quarantined' GROUP BY 1, 2",
                [self.snapshot.pk],
            )
            for table, outcome, number in cursor.fetchall():
                setattr(report.tables[table], outcome, number)

    def note_imported(self) -> None:
        """Keep the first report of the snapshot, and the time at which its rows became models."""
        if not self.snapshot.imported_at:
            # What purges have taken out of the vault since stays known (ingest/purge.py).
            purged = {name: value for name, value in self.snapshot.report.items() if name == "purged"}
            self.snapshot.report = asdict(self.report) | purged
            self.snapshot.imported_at = timezone.now() if self.report.ending is Ending.IMPORTED else None
            self.snapshot.save(update_fields=["report", "imported_at"])


# One row again -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RetryResult:
    """Whether a quarantined row is in the models now; if not, the message says what stands against it."""

    resolved: bool
    message: str


def retry(quarantined: QuarantinedRow, by: str) -> RetryResult:
    """Try again to model one row, out of the vault: after the program can read it, or what stood in its way is gone.

    Merged like any other import of the row. `by` is the name of who asked.
    """
    row = quarantined.row
    columns = row.snapshot.tables[row.table]["columns"]
    values = dict(zip(columns, decode(bytes(row.content)), strict=True))
    with pghistory.context(retry_of_quarantined_row=quarantined.pk, name=by), transaction.atomic():
        share_names()
        try:
            video_id, result = (retry_video if row.table == "content" else retry_text)(row, values)
        except Unmodelled as reason:
            QuarantinedRow.objects.filter(pk=quarantined.pk).update(
                code=reason.code, column=reason.column, value=encode((reason.value,)), message=reason.message
            )
            return RetryResult(False, reason.message)
        RowOutcome.objects.update_or_create(
            snapshot=row.snapshot, table=row.table, key=row.key, defaults={"outcome": result, "video_id": video_id}
        )
        QuarantinedRow.objects.filter(pk=quarantined.pk).update(resolved_at=timezone.now(), resolved_by=by)
    deleted = " The video is deleted here, so it stays deleted." if result == Outcome.SKIPPED_DELETED else ""
    return RetryResult(True, f"It is part of the video {video_id} now.{deleted}")


def retry_video(row: VaultRow, values: dict[str, Value]) -> tuple[str, Outcome]:
    mapped = Mapper().video(values)
    record = mapped.record
    others = RowOutcome.objects.filter(snapshot=row.snapshot, table="content", video_id=record.video_id)
    if others.exclude(key=row.key).exists():
        raise Unmodelled(
            "duplicate_key", "video_id", values.get("video_id"),
            f"Another row of the file is {record.video_id} already.",
        )  # fmt: skip
    owner = Video.objects.filter(legacy_id=record.legacy_id).exclude(pk=record.video_id).first()
    if record.legacy_id and owner:
        raise Unmodelled(
            "old_id_taken", "id", values.get("id"),
            f"The old ID {record.legacy_id} belongs to the video {owner.pk} here.",
        )  # fmt: skip
    result = Video.objects.upsert([record])[record.video_id]
    if result.action is Action.DELETED:
        return record.video_id, Outcome.SKIPPED_DELETED
    newest = {record.video_id} if result.is_newest else set()
    Categorization.objects.merge({record.video_id: mapped.pairs}, newest, by="import_sqlite")
    if mapped.summary:
        Summary.objects.merge({record.video_id: [mapped.summary]}, newest, is_history=True)
    return record.video_id, Outcome.MODELLED


def retry_text(row: VaultRow, values: dict[str, Value]) -> tuple[str, Outcome]:
    mapper = Mapper()
    column = staging.REFERENCES[row.table]
    reference = mapper.text(values, column)
    text = mapper.summary(values) if row.table == "content_summaries" else mapper.variant_text(values)
    try:
        # Locked like an upsert would, so that revisions have no gaps.
        video = Video.objects.select_for_update().get(pk=Video.objects.named(reference).pk)
    except Video.DoesNotExist as error:
        raise Unmodelled("orphan", column, values.get(column), f"There is no video {reference} here.") from error
    if video.deleted_at:
        return video.pk, Outcome.SKIPPED_DELETED
    if text:
        Summary.objects.merge({video.pk: [text]}, newest={video.pk}, is_history=True)
    return video.pk, Outcome.MODELLED
