"""`manage.py purge_deleted --older-than 30d`: erases what was deleted long ago, and keeps the keys."""

import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console
from rich.progress import Progress

from ingest.management import base
from ingest.management.commands.import_sqlite import termination_as_interrupt
from ingest.purge import FullPurgeReport, purge_deleted
from ingest.sqlite.importer import ImportLocked

AGE = re.compile(r"([0-9]{1,5})([dh])")
SHOWN_FAILURES = 20


def age(text: str) -> timedelta:
    """`30d` or `12h` as a span of time."""
    if not (match := AGE.fullmatch(text)):
        raise ArgumentTypeError(f"{text!r} is no age; write a number of days or hours, such as 30d or 12h")
    number, unit = int(match.group(1)), match.group(2)
    return timedelta(days=number) if unit == "d" else timedelta(hours=number)


class Command(base.Command):
    help = (
        "Erase what is stored of videos that were deleted longer ago: content, summaries, categories, files, history, "
        "and their rows in the vault. Their keys stay, so they stay deleted. There is no way back. Run it as often as "
        "you like, say daily: each run erases what has come of age, and tries files again that could not be removed. "
        "Exit codes: 0 done; 1 the call is wrong, or a file could not be removed; 4 the database is not ready; "
        "5 an import or another purge is running; 75 interrupted, the same command goes on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            metavar="AGE",
            type=age,
            required=True,
            help="how long ago a video must have been deleted: 30d, 12h",
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be erased, and erase nothing")

    def handle(self, *, older_than: timedelta, dry_run: bool, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)
        report = self.run_purge(older_than, dry_run)
        self.stdout.write("\n".join(lines(report)))
        if failures := report.files.failures:
            raise CommandError(
                f"Files that could not be removed: {len(failures):,}. Nobody is shown them any more, but they are "
                "still in the media folder (MEDIA_DIR). Mend what is said of them above, and run this again.",
                returncode=1,
            )

    def run_purge(self, older_than: timedelta, dry_run: bool) -> FullPurgeReport:
        console = Console(stderr=True)
        with Progress(console=console, disable=not console.is_terminal) as progress, termination_as_interrupt():
            task = progress.add_task("deleted videos", total=None)
            try:
                return purge_deleted(
                    older_than,
                    by="purge_deleted",
                    is_dry_run=dry_run,
                    progress=lambda videos: progress.advance(task, videos),
                )
            except ImportLocked as error:
                message = "An import or another purge is running; wait until it is done."
                raise CommandError(message, returncode=5) from error
            except KeyboardInterrupt as error:
                raise CommandError(
                    "Interrupted. Each video is either purged or as it was; the same command goes on.", returncode=75
                ) from error


def lines(report: FullPurgeReport) -> list[str]:
    """The report as a person reads it."""
    library, files = report.library, report.files
    before = f"{library.deleted_before:%Y-%m-%d %H:%M} UTC"
    if not library.deleted:
        shown = [f"No video was deleted before {before}."]
    else:
        videos = "1 video was" if library.deleted == 1 else f"{library.deleted:,} videos were"
        shown = [f"{videos} deleted before {before}."]
        erased = {"videos with their content": library.purged, **dict(sorted(library.erased.items()))}
        erased |= {f"files ({files.removed_bytes:,} bytes)": files.removed}
        if erased := {name: number for name, number in erased.items() if number}:
            shown += ["", "Would be erased:" if library.is_dry_run else "Erased:"]
            shown += [f"{number:>10,} {name}" for name, number in erased.items()]
        else:
            shown.append("Nothing was left of them but their keys.")
    if files.failures:
        shown += ["", "Could not be removed:"]
        shown += [f"  {name}: {reason}" for name, reason in list(files.failures.items())[:SHOWN_FAILURES]]
        if len(files.failures) > SHOWN_FAILURES:
            shown.append(f"  … and {len(files.failures) - SHOWN_FAILURES:,} more.")
    if report.snapshots_left_out:
        shown += ["", "Not looked at, because their import into the vault was not finished:"]
        shown += [f"  {name}" for name in report.snapshots_left_out]
        shown.append("Import them again, or remove them in the admin (Snapshots), and run this again.")
    if library.is_dry_run:
        shown += ["", "A dry run: nothing was changed."]
    return shown
