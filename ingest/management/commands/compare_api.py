"""`manage.py compare_api OLD NEW`: the same requests to two libraries, and where their answers differ."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.cutover.comparison import DATABASE, Comparison, NoAnswer, Side, Snapshot, compare, side_of
from ingest.cutover.requests import generate, recorded
from ingest.management import base
from ingest.management.commands.import_sqlite import termination_as_interrupt
from ingest.sqlite.publishing import ExportError, publish, workspace
from ingest.sqlite.reader import SnapshotError
from ingest.values import printable

REQUESTS = 200
SHOWN_DIFFERENCES = 20
SHOWN_LEFT_OUT = 5


class Command(base.Command):
    help = (
        "Ask two libraries the same requests of the read API, and say where their answers differ. OLD and NEW are each "
        "the URL of a running server, the path of an old SQLite file, or the word database: this project's own. The "
        "differences that the contract permits are named and counted. Nothing is written but the report. Exit codes: "
        "0 no unexplained difference; 1 one of the two cannot be asked, or the requests cannot be read; 2 an "
        "unexplained difference; 4 the database is not ready; 75 interrupted, run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        for name in ("old", "new"):
            parser.add_argument(name, metavar=name.upper(), help="a URL, the path of an SQLite file, or: database")
        asked = parser.add_mutually_exclusive_group()
        asked.add_argument("--requests", type=Path, metavar="FILE", help="one path with its query on each line")
        asked.add_argument(
            "--generate",
            type=int,
            default=REQUESTS,
            metavar="N",
            help="make up so many requests from what OLD holds (default: %(default)s)",
        )
        parser.add_argument(
            "--seed", type=int, default=1, help="another number makes up other requests (default: %(default)s)"
        )
        parser.add_argument("--report", type=Path, metavar="FILE", help="also write everything as JSON; a new file")

    def handle(self, *, old: str, new: str, **options: Any) -> None:
        if options["generate"] < 1:
            raise CommandError("--generate needs a number from 1 on.", returncode=1)
        if DATABASE in (old, new):
            check_database()
        try:
            with termination_as_interrupt(), ExitStack() as stack:
                target = options["report"]
                folder = stack.enter_context(workspace(target)) if target else None
                comparison = run(side_of(old), side_of(new), options)
                if folder:
                    made = folder / "report.json"
                    made.write_text(json.dumps(comparison.document(), indent=2, ensure_ascii=False) + "\n")
                    publish({made: target})
        except (NoAnswer, SnapshotError, ExportError, ValueError) as error:
            raise CommandError(printable(str(error)), returncode=1) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted; nothing was written. Run it again.", returncode=75) from error
        self.stdout.write("\n".join(lines(comparison)))
        if not comparison.holds:
            raise CommandError(
                f"Unexplained differences: {comparison.unexplained:,}. Look at the first ones above; do not switch "
                "before each is corrected.",
                returncode=2,
            )


def check_database() -> None:
    try:
        executor = MigrationExecutor(connection)
        is_ready = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise CommandError("The database does not answer. Look at DATABASE_URL.", returncode=4) from error
    if not is_ready:
        raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)


def run(old: Side, new: Side, options: dict[str, Any]) -> Comparison:
    """Compare, with progress on a terminal. Raises SnapshotError where a file became another one meanwhile."""
    digests = {side.library: side.library.sha256 for side in (old, new) if isinstance(side, Snapshot)}
    if options["requests"]:
        requests = recorded(options["requests"])
    else:
        requests = generate(options["generate"], options["seed"], old.answer)
    with shown_progress(len(requests)) as progress:
        comparison = compare(old, new, requests, progress)
    for library, digest in digests.items():
        if library.sha256 != digest:
            raise SnapshotError(f"{library.path} was written to meanwhile. Take a copy, and compare with that.")
    return comparison


@contextmanager
def shown_progress(requests: int) -> Iterator[Any]:
    console = Console(stderr=True)
    columns = (TextColumn("Asking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=requests)
        yield lambda number: progress.advance(task, number)


def lines(comparison: Comparison) -> list[str]:
    """The report as a person reads it."""
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(comparison.by_kind.items()))
    statuses = ", ".join(f"{number:,} answered {status}" for status, number in sorted(comparison.by_status.items()))
    what = "the old dashboard" if comparison.old_is_the_old_dashboard else "answers as the contract says"
    shown = [
        f"Old: {printable(comparison.old)} ({what})",
        f"New: {printable(comparison.new)}",
        f"{comparison.requests:,} requests ({kinds}; {statuses}): {comparison.same:,} with the same answer",
    ]
    if comparison.left_out:
        examples = ", ".join(map(printable, comparison.left_out[:SHOWN_LEFT_OUT]))
        shown.append(f"Left out, no address of the read API: {len(comparison.left_out):,} ({examples})")
    if comparison.permitted:
        shown += ["", "Permitted differences:"]
    for one in sorted(comparison.permitted, key=lambda one: -one.differences):
        shown += [
            f"  {one.name}, since {one.since}: {one.differences:,} in {one.requests:,} requests",
            f"      {one.reason}",
            f"      such as {printable(one.example)}",
        ]
    shown.append("")
    if comparison.holds:
        return [*shown, "No unexplained difference."]
    shown.append(f"UNEXPLAINED: {comparison.unexplained:,} in {comparison.unexplained_requests:,} requests")
    for one in comparison.differences[:SHOWN_DIFFERENCES]:
        shown += [
            f"  {printable(one.request)}",
            f"    {printable(one.path)}",
            f"      old: {printable(one.old)}",
            f"      new: {printable(one.new)}",
        ]
    if comparison.unexplained > SHOWN_DIFFERENCES:
        shown.append(f"  … and {comparison.unexplained - SHOWN_DIFFERENCES:,} more; --report keeps the first 200.")
    return shown
