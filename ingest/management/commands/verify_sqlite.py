"""`manage.py verify_sqlite SNAPSHOT`: the proof that everything of a snapshot is in the library."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ingest.management import base
from ingest.models import SCHEMA_TABLE
from ingest.sqlite.reader import SnapshotError
from ingest.sqlite.self_test import Trial, self_test
from ingest.sqlite.verification.report import NAMELESS, Equation, VerifyReport
from ingest.sqlite.verifier import NotImported, verify_snapshot

SHOWN_DIFFERENCES = 20
SHOWN_DIGITS = 12
TITLES = {
    Equation.VAULT: "1. Vault: each row of the file is in the vault, byte for byte, and no other",
    Equation.ROWS: "2. Rows: rows = modelled + quarantined + deleted here",
    Equation.MODELS: "3. Models: each value of a modelled row, as the models have it now",
    Equation.TRIPLES: "4. Categories: the same triples of video, category and subcategory",
    Equation.ROUND_TRIP: "5. Round trip: written back, the file is the same, but for videos that were changed since",
    Equation.DATABASE: "6. Database: keys, constraints, triggers and counts, by counting",
}


class Command(base.Command):
    help = (
        "Compare a snapshot of the old dashboard's SQLite file with the library, row by row and value by value, on a "
        "path of its own that trusts nothing the import wrote. What was changed here since is told apart from what "
        "is wrong. Nothing is written. Exit codes: 0 everything holds; 1 the file cannot be taken; 2 a difference "
        "that nothing explains, or a damage that the self-test did not find; 4 the snapshot was never imported here, "
        "or not to the end; 75 interrupted, run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("snapshot", metavar="SNAPSHOT", type=Path, help="the SQLite file that was imported")
        parser.add_argument("--json", action="store_true", help="print everything as JSON")
        parser.add_argument(
            "--self-test",
            action="store_true",
            help="afterwards, damage copies of the snapshot in nine ways, and show that each damage is found",
        )

    def handle(self, *, snapshot: Path, **options: Any) -> None:
        if MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes()):
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)
        try:
            with shown_progress() as advance:
                report = verify_snapshot(snapshot, advance)
                trials = self_test(snapshot, advance) if options["self_test"] else []
        except SnapshotError as error:
            raise CommandError(str(error)) from error
        except NotImported as error:
            raise CommandError(str(error), returncode=4) from error
        except OSError as error:
            raise CommandError(
                f"The files to compare with could not be written: {error.strerror}. Make room, or set TMPDIR to "
                "another folder, and run it again."
            ) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted. Nothing was written; run it again.", returncode=75) from error
        if options["json"]:
            document = asdict(report) | {"holds": report.holds, "self_test": [asdict(trial) for trial in trials]}
            self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False))
        else:
            self.stdout.write("\n".join([*lines(report), *trial_lines(trials)]))
        if not report.holds:
            raise CommandError(
                f"Differences that nothing explains: {report.wrong:,}. Keep the snapshot; examples are above.",
                returncode=2,
            )
        if missed := [trial.damage for trial in trials if not trial.holds]:
            raise CommandError(f"The self-test did not find: {', '.join(missed)}.", returncode=2)


@contextmanager
def shown_progress() -> Iterator[Any]:
    """What is being done, on a terminal's stderr."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, Any] = {}

        def advance(stage: str, rows: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=None)
            progress.advance(tasks[stage], rows)

        yield advance


def lines(report: VerifyReport) -> list[str]:
    """The report as a person reads it."""
    shown = [
        f"{report.name}: {report.generation} generation, sha256 {report.sha256[:16]}…, imported {report.imported_at}"
    ]
    sections = {
        Equation.VAULT: vault_lines,
        Equation.ROWS: row_lines,
        Equation.MODELS: model_lines,
        Equation.TRIPLES: triple_lines,
        Equation.ROUND_TRIP: round_trip_lines,
        Equation.DATABASE: database_lines,
    }
    for equation, section in sections.items():
        wrong = report.differences[equation].count
        shown += ["", f"{TITLES[equation]}: {verdict(wrong)}", *section(report), *example_lines(report, equation)]
    shown += ["", *change_lines(report), ""]
    if report.holds:
        shown.append("Everything of the snapshot is here.")
    else:
        counts = [
            f"{report.differences[equation].count:,} in {TITLES[equation].partition(':')[0]}"
            for equation in Equation
            if report.differences[equation].count
        ]
        shown.append(f"WRONG: {'; '.join(counts)}.")
    return shown


def verdict(wrong: int) -> str:
    return f"WRONG ({wrong:,})" if wrong else "ok"


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str | int]], left: int = 1) -> list[str]:
    """A table of text: the first `left` columns stand left, the others right."""
    texts = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  "
        + "  ".join(
            text.ljust(width) if place < left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    ]


def vault_lines(report: VerifyReport) -> list[str]:
    rows = [
        (
            "the schema" if table.table == SCHEMA_TABLE else table.table,
            table.rows_in_file,
            table.rows_in_vault,
            table.file_digest[:SHOWN_DIGITS],
            table.vault_digest[:SHOWN_DIGITS],
            verdict(table.wrong),
        )
        for table in report.vault
    ]
    purged = sum(table.purged for table in report.vault)
    said = [f"  {purged:,} rows of deleted videos were purged, and are left out here."] if purged else []
    return table_lines(("table", "rows of file", "of vault", "digest of file", "of vault", ""), rows) + said


def row_lines(report: VerifyReport) -> list[str]:
    rows = [
        (
            table.table,
            table.rows,
            table.modelled,
            table.quarantined,
            table.skipped_deleted,
            table.lost,
            verdict(table.lost + table.wrong),
        )
        for table in report.rows
    ]
    return table_lines(("table", "rows", "modelled", "quarantined", "deleted here", "LOST", ""), rows)


def model_lines(report: VerifyReport) -> list[str]:
    header = (
        "table", "column", "compared", "same bytes", "by a rule", "changed later", "newer kept", "curated kept",
        "in vault only", "",
    )  # fmt: skip
    whole = {
        table: sum(count.table == table and count.exact == count.compared for count in report.models)
        for table in dict.fromkeys(count.table for count in report.models)
    }
    rows = [
        (
            count.table,
            count.column,
            count.compared,
            count.exact,
            count.by_rule,
            count.changed_later,
            count.newer_kept,
            count.curated_kept,
            count.vault_only,
            verdict(count.wrong),
        )
        for count in report.models
        if count.exact != count.compared
    ]
    html = report.html
    return [
        *(f"  {table}: {columns} columns came back with the same bytes everywhere" for table, columns in whole.items()),
        *(table_lines(header, rows, left=2) if rows else []),
        f"  HTML of summaries: {html.rendered:,} of {html.summaries:,} rendered again: {verdict(html.wrong)}",
    ]


def triple_lines(report: VerifyReport) -> list[str]:
    triples = report.triples
    rows = [
        ("the file", triples.source, triples.source_digest[:SHOWN_DIGITS]),
        ("the models", triples.models, triples.models_digest[:SHOWN_DIGITS]),
    ]
    explained = [f"  Differences that are changes, or were there first: {triples.explained:,}"] * bool(
        triples.explained
    )
    return [*table_lines(("", "triples", "digest"), rows), *explained]


def round_trip_lines(report: VerifyReport) -> list[str]:
    rows = [
        (
            trip.name,
            trip.source_digest[:SHOWN_DIGITS],
            trip.file_digest[:SHOWN_DIGITS],
            trip.explained,
            verdict(trip.wrong),
        )
        for trip in report.round_trip
    ]
    return table_lines(("", "digest of snapshot", "of file", "rows of changed or new videos", ""), rows)


def database_lines(report: VerifyReport) -> list[str]:
    return table_lines(
        ("", "looked at", ""), [(check.name, check.checked, verdict(check.wrong)) for check in report.database]
    )


def example_lines(report: VerifyReport, equation: Equation) -> list[str]:
    """The first differences: where, what, and both values."""
    differences = report.differences[equation]
    shown: list[str] = []
    for one in differences.examples[:SHOWN_DIFFERENCES]:
        place = " ".join(filter(None, [one.table, "" if one.key is None else str(one.key), one.column]))
        video = f" (video {one.video_id})" if one.video_id else ""
        shown.append(f"  WRONG{f' {place}{video}' if place else ''}: {one.message}")
        if one.source != one.stored:
            shown += [f"      file: {one.source}", f"      here: {one.stored}"]
    if differences.count > SHOWN_DIFFERENCES:
        shown.append(f"  … and {differences.count - SHOWN_DIFFERENCES:,} more; --json lists the first 200.")
    return shown


def change_lines(report: VerifyReport) -> list[str]:
    """What became of videos of the snapshot since the import, by whom and when."""
    if not report.changes:
        return ["Nothing of the snapshot was changed here since the import."]
    shown = ["Changed here, and so no fault of the import:"]
    for change in report.changes:
        videos = f"{change.videos:,} video{'' if change.videos == 1 else 's'}"
        by = f" by {change.by}" if change.by and change.by != NAMELESS else f" {change.by}".rstrip()
        times = change.first if change.first == change.last else f"{change.first} to {change.last}"
        when = f", {times}" if times else ""
        shown.append(f"  {change.kind}: {videos}{by}{when} ({', '.join(change.examples)}{more(change.videos)})")
    return shown


def more(videos: int) -> str:
    return ", …" if videos > 3 else ""


def trial_lines(trials: Sequence[Trial]) -> list[str]:
    """What the self-test found."""
    if not trials:
        return []
    shown = ["", "Self-test: copies of the snapshot were damaged, and compared with this library"]
    for trial in trials:
        if trial.not_tried:
            shown.append(f"  {trial.damage}: could not be tried, {trial.not_tried}")
        else:
            shown.append(
                f"  {trial.damage} ({trial.place}): {'found' if trial.holds else 'NOT FOUND'};"
                f" vault: {trial.in_vault or 'nothing'}; models: {trial.in_models or 'nothing'}"
            )
    return shown
