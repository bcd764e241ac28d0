"""`manage.py export_sqlite TARGET`: the library as a file of the old database, on which the old dashboard runs."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ingest.management import base
from ingest.sqlite.exporter import ExportReport, NothingToExportFrom, export_library
from ingest.sqlite.publishing import ExportError
from ingest.values import printable


class Command(base.Command):
    help = (
        "Write the library as a file of the old dashboard's SQLite database, of the generation that was imported "
        "last. Rows that nothing changed come back byte for byte; what the old schema cannot hold is listed in "
        "TARGET.report.json, with its values. TARGET appears when it is complete and was read back, or not at all. "
        "Exit codes: 0 written; 1 it cannot be written; 4 an import is unfinished, or the database is not ready; "
        "75 interrupted, nothing was written: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", metavar="TARGET", type=Path, help="the file to write; it must not exist")
        parser.add_argument(
            "--since-import", action="store_true", help="only rows that the imported snapshot does not have like that"
        )
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *, target: Path, since_import: bool, **options: Any) -> None:
        if MigrationExecutor(connection).migration_plan(MigrationExecutor(connection).loader.graph.leaf_nodes()):
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} rows"), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            tasks = {}

            def advance(stage: str, rows: int) -> None:
                if stage not in tasks:
                    tasks[stage] = progress.add_task(stage, total=None)
                progress.advance(tasks[stage], rows)

            try:
                report = export_library(target, since_import=since_import, progress=advance)
            except NothingToExportFrom as error:
                raise CommandError(printable(str(error)), returncode=4) from error
            except ExportError as error:
                raise CommandError(printable(str(error))) from error
            except KeyboardInterrupt as error:
                raise CommandError("Interrupted; nothing was written. Run it again.", returncode=75) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report), indent=2, ensure_ascii=False))
        else:
            self.stdout.write("\n".join(lines(report)))


def lines(report: ExportReport) -> list[str]:
    """The report as a person reads it, one screen."""
    origin = f"base {printable(report.base['name'])}" if report.base else "no snapshot was imported: every row is new"
    shown = [
        f"{printable(report.file)}: {report.size_bytes:,} bytes, sha256 {report.sha256[:16]}…",
        f"{report.generation} generation; {origin}.",
        f"Library digest {report.library_digest}.",
        "",
        f"{'table':<34}{'as it came':>12}{'changed':>10}{'new':>10}{'left out':>10}",
    ]
    for name, table in report.tables.items():
        shown.append(
            f"{printable(name):<34}{table.verbatim:>12,}{table.changed:>10,}{table.new:>10,}{table.left_out:>10,}"
        )
    if report.since_import:
        shown += ["", "Only the changed and the new rows are in the file."]
    if report.left_out:
        shown += ["", f"Left out: {report.left_out:,} rows whose video is deleted, or whose text was removed."]
    if report.not_held:
        shown += ["", "The old schema has no place for these (all values are in the report):"]
        shown += [f"  {what.replace('_', ' '):<32}{count:>12,}" for what, count in report.not_held.items()]
    else:
        shown += ["", "The old schema has a place for everything that the library says of its videos."]
    shown += ["", f"Report: {printable(report.report_file)}"]
    return shown
