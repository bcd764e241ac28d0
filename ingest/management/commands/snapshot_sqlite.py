"""`manage.py snapshot_sqlite SOURCE TARGET`: a whole copy of the old database, also of one in use."""

import shlex
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ingest.management import base
from ingest.sqlite.manifest import WAIT_SECONDS, Manifest, SnapshotLocked, as_json, manifest_path, take_snapshot
from ingest.sqlite.reader import SnapshotError
from ingest.values import printable


class Command(base.Command):
    help = (
        "Copy the old dashboard's SQLite file, also while it is in use, and write beside the copy a manifest of what "
        "is in it. The source is only read. Both files are read-only, and complete or absent: whatever stops this "
        "command, run it again. PostgreSQL is not touched. Exit codes: 0 copied and checked, 1 the source cannot be "
        "taken or the target not be written, 5 another run makes the same target, 75 interrupted: run it again."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", metavar="SOURCE", type=Path, help="the SQLite file, in use or not")
        parser.add_argument("target", metavar="TARGET", type=Path, help="the copy; it must not exist, its folder must")
        parser.add_argument(
            "--wait",
            metavar="SECONDS",
            type=float,
            default=WAIT_SECONDS,
            help="how long to wait for a program that keeps the source locked (default: %(default)g)",
        )
        parser.add_argument("--json", action="store_true", help="print the manifest")

    def handle(self, *, source: Path, target: Path, wait: float, **options: Any) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        try:
            with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
                task = bar.add_task("Waiting for the source", total=None)
                manifest = take_snapshot(
                    source,
                    target,
                    lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total),
                    wait,
                )
        except SnapshotError as error:
            raise CommandError(printable(str(error))) from error
        except SnapshotLocked as error:
            raise CommandError(printable(str(error)), returncode=5) from error
        except KeyboardInterrupt as error:
            left = f"{target} and its manifest are whole" if target.exists() else "nothing was written; run it again"
            raise CommandError(f"Interrupted: {printable(left)}.", returncode=75) from error
        self.stdout.write(as_json(manifest) if options["json"] else "\n".join(lines(manifest, target)))


def lines(manifest: Manifest, target: Path) -> list[str]:
    """What was copied, as a person reads it."""
    return [
        f"Snapshot    {printable(str(target))}",
        f"Manifest    {printable(str(manifest_path(target)))}",
        f"Copied from {printable(manifest.source)} ({manifest.generation} generation), {manifest.made_at}",
        f"Size        {manifest.size_bytes:,} bytes",
        f"SHA-256     {manifest.sha256}",
        "",
        f"{'table':<20}{'rows':>13}",
        *(f"{printable(name):<20}{table.rows:>13,}" for name, table in manifest.tables.items()),
        "",
        "The copy is whole: SQLite's check of it passed, and both files are read-only.",
        f"Next: manage.py inspect_sqlite {shlex.quote(printable(str(target)))}",
    ]
