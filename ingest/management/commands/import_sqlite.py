"""`manage.py import_sqlite SNAPSHOT`: the old database into PostgreSQL, with a report of what became of every row."""

import json
import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ingest import audio
from ingest.audio import AudioError, plan_audio_files, take_audio_files
from ingest.management import base
from ingest.sqlite.importer import Ending, Expected, ImportLocked, ImportReport, import_snapshot
from ingest.sqlite.reader import SnapshotError
from ingest.sqlite.vault import VaultDiffers

SHOWN_QUARANTINED = 20


class Command(base.Command):
    help = (
        "Import a snapshot of the old dashboard's SQLite file, which is only read. Every row goes into the vault "
        "first, byte for byte; then the models are written in one transaction: all of it or nothing. Importing the "
        "same file again changes nothing. Exit codes: 0 imported; 1 the file cannot be taken; 2 other numbers than "
        "expected, no model was written; 3 rows are quarantined that nobody has accepted, no model was written; "
        "4 the database is not ready; 5 another import is running; 75 interrupted, the same command goes on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("snapshot", metavar="SNAPSHOT", type=Path, help="the SQLite file")
        parser.add_argument("--dry-run", action="store_true", help="do all of it, report it, and roll everything back")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        parser.add_argument("--report", metavar="FILE", type=Path, help="write the report as JSON to this file, too")
        parser.add_argument(
            "--accept-quarantine",
            action="store_true",
            help="import although some rows cannot be modelled; these stay in the vault",
        )
        parser.add_argument(
            "--audio-dir", metavar="DIR", type=Path, help="take along MP3s from this folder, by the exact id of a video"
        )
        parser.add_argument(
            "--expect-total", metavar="N", type=int, help="stop unless the file has so many videos (rows of content)"
        )
        parser.add_argument(
            "--expect-categorised", metavar="N", type=int, help="stop unless so many videos have a subcategory"
        )

    def handle(self, *, snapshot: Path, **options: Any) -> None:
        if MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes()):
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)
        if folder := options["audio_dir"]:
            if not folder.is_dir():
                raise CommandError(f"{folder} is no folder; check the path given with --audio-dir.")
            try:
                audio.refuse_own_folder(folder)
            except AudioError as error:
                raise CommandError(str(error)) from error
        report = self.run_import(snapshot, options)
        document = json.dumps(asdict(report), indent=2, ensure_ascii=False)
        if options["report"]:
            try:
                options["report"].write_text(document + "\n")
            except OSError as error:
                raise CommandError(
                    f"The report could not be written to {options['report']}: {error.strerror}."
                ) from error
        self.stdout.write(document if options["json"] else "\n".join(lines(report)))
        if report.exit_code:
            raise CommandError(verdict(report), returncode=report.exit_code)

    def run_import(self, snapshot: Path, options: dict[str, Any]) -> ImportReport:
        expected = Expected(options["expect_total"], options["expect_categorised"])

        def take_along(report: ImportReport) -> None:
            if folder := options["audio_dir"]:
                report.audio = plan_audio_files(folder) if options["dry_run"] else take_audio_files(folder, advance)

        with shown_progress() as advance, termination_as_interrupt():
            try:
                return import_snapshot(
                    snapshot,
                    advance,
                    dry_run=options["dry_run"],
                    accept_quarantine=options["accept_quarantine"],
                    expected=expected,
                    then=take_along,
                )
            except (SnapshotError, VaultDiffers, AudioError) as error:
                raise CommandError(str(error)) from error
            except ImportLocked as error:
                raise CommandError(str(error), returncode=5) from error
            except KeyboardInterrupt as error:
                raise CommandError(
                    "Interrupted. Nothing that readers see was changed; the same command goes on where it was.",
                    returncode=75,
                ) from error


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the import as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def shown_progress() -> Iterator[Any]:
    """What is being done, on a terminal's stderr."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks = {}

        def advance(stage: str, rows: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=None)
            progress.advance(tasks[stage], rows)

        yield advance


ENDINGS = {
    Ending.IMPORTED: "Imported.",
    Ending.DRY_RUN: "A dry run: all of this was done and rolled back. Nothing was changed.",
    Ending.QUARANTINE_NOT_ACCEPTED: "Nothing was imported yet.",
    Ending.NOT_AS_EXPECTED: "Nothing was imported.",
}


def verdict(report: ImportReport) -> str:
    """What stands against the import, and the next step."""
    if report.unexpected:
        return " ".join(report.unexpected) + " Look at the file with: manage.py inspect_sqlite SNAPSHOT"
    return (
        f"{report.not_accepted:,} rows are quarantined that nobody has accepted. They are in the vault, byte for byte. "
        "Look at them in the admin (Quarantined rows), accept them there, or run this again with --accept-quarantine."
    )


def lines(report: ImportReport) -> list[str]:
    """The report as a person reads it, one screen."""
    shown = [f"{report.name}: {report.generation} generation, sha256 {report.sha256[:16]}…", ""]
    width = max(20, *(len(name) + 2 for name in report.tables))
    shown.append(
        f"{'table':<{width}}{'rows':>10}{'modelled':>10}{'quarantined':>13}{'deleted here':>14}{'kept as is':>12}"
    )
    for name, table in report.tables.items():
        shown.append(
            f"{name:<{width}}{table.rows:>10,}{table.modelled:>10,}{table.quarantined:>13,}"
            f"{table.skipped_deleted:>14,}{table.kept:>12,}"
        )
    shown += ["", "Videos: " + ", ".join(f"{report.videos[action]:,} {action}" for action in ACTIONS) + "."]
    shown.append(
        f"Written: {report.categorizations_written:,} categorisations, {report.summaries_written:,} summary texts."
    )
    shown.append(f"Videos with a subcategory in the file: {report.categorised:,}.")
    if report.rules:
        shown += ["", "Values changed by rule (docs/import.md):"]
        shown += [f"  {name:<32}{count:>10,}" for name, count in sorted(report.rules.items())]
    for title, names in (("Unknown tables", report.unknown_tables), ("Unknown columns", report.unknown_columns)):
        if names:
            shown += ["", f"{title}, kept in the vault: {', '.join(names)}."]
    if report.quarantined:
        number = sum(report.quarantined_by_code.values())
        shown += ["", f"{number:,} rows are quarantined: kept byte for byte, not shown."]
        shown += [
            f"  {row['table']} {row['key']}: {row['code']}: {row['message']}"
            for row in report.quarantined[:SHOWN_QUARANTINED]
        ]
        if number > SHOWN_QUARANTINED:
            shown.append(f"  … and {number - SHOWN_QUARANTINED:,} more, in the admin (Quarantined rows).")
    if report.audio:
        shown += ["", *audio.lines(report.audio)]
    shown += ["", ENDINGS[report.ending]]
    if report.ending is Ending.IMPORTED and report.changed_nothing:
        again = "Nothing changed: all of this was imported before."
        shown[-1] = again if report.seen_before else "Nothing changed: all of this was here already."
    return shown


ACTIONS = ("created", "updated", "unchanged", "deleted")
