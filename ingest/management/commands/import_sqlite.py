"""`manage.py import_sqlite SNAPSHOT`: the old database into PostgreSQL, all of it or nothing."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ingest.sqlite.importer import ImportLocked, ImportReport, import_snapshot
from ingest.sqlite.reader import SnapshotError

SHOWN_QUARANTINED = 20


class Command(BaseCommand):
    help = (
        "Import a snapshot of the old dashboard's SQLite file. Everything happens in one transaction: it is imported "
        "whole, or nothing is written. The file is only read. Importing the same file again changes nothing. "
        "Exit codes: 0 imported, 1 the file cannot be taken, 5 another import is running."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("snapshot", metavar="SNAPSHOT", type=Path, help="the SQLite file")
        parser.add_argument("--json", action="store_true", help="print the report as JSON, with every quarantined row")

    def handle(self, *, snapshot: Path, **options: Any) -> None:
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} rows"), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            tasks = {}

            def advance(stage: str, rows: int) -> None:
                if stage not in tasks:
                    tasks[stage] = progress.add_task(stage, total=None)
                progress.advance(tasks[stage], rows)

            try:
                report = import_snapshot(snapshot, advance)
            except SnapshotError as error:
                raise CommandError(str(error)) from error
            except ImportLocked as error:
                raise CommandError(str(error), returncode=5) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(report), indent=2, ensure_ascii=False))
        else:
            self.stdout.write("\n".join(lines(report)))


def lines(report: ImportReport) -> list[str]:
    """The report as a person reads it, one screen."""
    shown = [f"{report.name}: {report.generation} generation, sha256 {report.sha256[:16]}…", ""]
    shown.append(f"{'table':<20}{'rows':>10}{'modelled':>10}{'quarantined':>13}{'deleted here':>14}{'kept as is':>12}")
    for name, table in report.tables.items():
        shown.append(
            f"{name:<20}{table.rows:>10,}{table.modelled:>10,}{table.quarantined:>13,}"
            f"{table.skipped_deleted:>14,}{table.kept:>12,}"
        )
    shown += ["", "Videos: " + ", ".join(f"{report.videos[action]:,} {action}" for action in ACTIONS) + "."]
    shown.append(
        f"Written: {report.categorizations_written:,} categorisations, {report.summaries_written:,} summary texts."
    )
    if report.rules:
        shown += ["", "Values changed by rule:"]
        shown += [f"  {name:<32}{count:>10,}" for name, count in sorted(report.rules.items())]
    for title, names in (("Unknown tables", report.unknown_tables), ("Unknown columns", report.unknown_columns)):
        if names:
            shown += ["", f"{title}, kept in the vault: {', '.join(names)}."]
    if report.quarantined:
        shown += ["", f"{len(report.quarantined):,} rows are quarantined: kept byte for byte, not shown."]
        shown += [
            f"  {row['table']} {row['key']}: {row['code']}: {row['message']}"
            for row in report.quarantined[:SHOWN_QUARANTINED]
        ]
        if len(report.quarantined) > SHOWN_QUARANTINED:
            shown.append(f"  … and {len(report.quarantined) - SHOWN_QUARANTINED:,} more; --json lists all.")
    if report.changed_nothing:
        shown += ["", "Nothing changed: all of this was imported before." if report.seen_before else "Nothing changed."]
    return shown


ACTIONS = ("created", "updated", "unchanged", "deleted")
