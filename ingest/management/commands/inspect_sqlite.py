"""`manage.py inspect_sqlite SNAPSHOT`: what is in an old file, before anything is done with it."""

import json
import shlex
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ingest.management import base
from ingest.sqlite.inspection import Findings, Inspection, Kind, inspect_snapshot
from ingest.sqlite.reader import SnapshotError
from ingest.values import printable


class Command(base.Command):
    help = (
        "Say what is in a snapshot of the old dashboard's SQLite file: rows, categories, digests to compare with "
        "later, and whatever is odd. The file is only read, and PostgreSQL is not touched. Exit codes: 0 read whole, "
        "1 the file cannot be taken, or is not the one that its manifest describes, 75 interrupted: run it again."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("snapshot", metavar="SNAPSHOT", type=Path, help="the SQLite file")
        parser.add_argument("--json", action="store_true", help="print everything as JSON")

    def handle(self, *, snapshot: Path, **options: Any) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        try:
            with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
                task = bar.add_task("Checking the file", total=None)
                inspection = inspect_snapshot(
                    snapshot,
                    lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total),
                )
        except SnapshotError as error:
            raise CommandError(printable(str(error))) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted; nothing was written. Run it again.", returncode=75) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(inspection), indent=2))
        else:
            self.stdout.write("\n".join(lines(inspection, snapshot)))


def lines(inspection: Inspection, path: Path) -> list[str]:
    """The inspection as a person reads it."""
    manifest, content = inspection.manifest, inspection.content
    shown = [
        f"{printable(inspection.name)}: {manifest.generation} generation, {manifest.size_bytes:,} bytes",
        "Whole: SQLite's check of the file passed"
        + (", and it is the file that its manifest describes." if inspection.described else ". No manifest beside it."),
        "",
        f"{'table':<34}{'rows':>13}",
    ]
    shown += [
        f"{printable(name):<34}{table.rows:>13,}" + ("  (SQLite's own)" if name.startswith("sqlite_") else "")
        for name, table in manifest.tables.items()
    ]
    shown += [
        "",
        f"{'of the rows of content':<34}{content.rows:>13,}",
        f"{'  with subcategories_json':<34}{content.with_subcategories_json:>13,}",
        f"{'  with subcategory':<34}{content.with_subcategory:>13,}",
        f"{'  with a summary':<34}{content.with_summary:>13,}",
        f"{'  with audio':<34}{content.with_audio:>13,}",
        f"{'video, category, subcategory':<34}{inspection.triples.count:>13,}  different triples",
        "",
        f"Digest of the triples  {inspection.triples.sha256}",
        f"Digest of the library  {manifest.library_sha256}",
        f"SHA-256 of the file    {manifest.sha256}",
        "",
    ]
    if inspection.oddities:
        shown += ["Odd, and kept as it is (table, key, column, value):"]
        for kind, findings in inspection.oddities.items():
            shown += [f"{findings.count:>9,}  {Kind(kind).label}", *examples(findings)]
    else:
        shown += ["Nothing is odd in the values of the file."]
    for title, names in (("Tables", inspection.unknown_tables), ("Columns", inspection.unknown_columns)):
        if names:
            shown += [f"{title} that the old dashboard never had, kept as they are: {printable(', '.join(names))}."]
    shown += [""]
    if inspection.quarantined:
        rows = sum(findings.count for findings in inspection.quarantined.values())
        shown += [f"An import would quarantine {rows:,} rows: kept byte for byte, but not shown. By code:"]
        for code, findings in inspection.quarantined.items():
            shown += [f"{findings.count:>9,}  {code}", *examples(findings)]
    else:
        shown += ["An import would take every row; none would be quarantined."]
    return [*shown, f"Next: manage.py import_sqlite {shlex.quote(printable(str(path)))}"]


def examples(findings: Findings) -> list[str]:
    return [
        f"{'':>11}{printable(example.table)} {example.key} {printable(example.column)}: {example.value}"
        for example in findings.examples
    ]
