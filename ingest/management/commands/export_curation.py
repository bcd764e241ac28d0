"""`manage.py export_curation FILE`: what people decided on categories, as a file to keep."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ingest.curation_files import ExportReport, Format, export_curation, write_curation
from ingest.management import base
from ingest.management.commands.import_sqlite import termination_as_interrupt
from ingest.sqlite.publishing import ExportError
from ingest.values import printable

STDOUT = Path("-")


class Command(base.Command):
    help = (
        "Write what people decided on the categories of videos into a file, by names and ids, with who and when: CSV "
        "or JSON by its ending. FILE appears when it is complete, or not at all. import_curation takes it back. "
        "Exit codes: 0 written; 1 it cannot be written; 4 the database is not ready; 75 interrupted, nothing was "
        "written: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "target", metavar="FILE", type=Path, help="the file to write; it must not exist; - is stdout, with --format"
        )
        parser.add_argument("--format", choices=list(Format), help="for stdout; a file has it in its name")
        parser.add_argument(
            "--all",
            action="store_true",
            dest="everything",
            help="also the categories on which nobody has decided, for people to read; importing passes them over",
        )

    def handle(self, *, target: Path, everything: bool, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)
        form = options["format"]
        if (target == STDOUT) != bool(form):
            raise CommandError("Give --format with - for stdout, and no --format with a file.", returncode=1)
        try:
            with termination_as_interrupt():
                if form:
                    report = write_curation(self.stdout, Format(form), everything=everything)
                else:
                    report = export_curation(target, everything=everything)
        except (ExportError, ValueError) as error:
            raise CommandError(printable(str(error)), returncode=1) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted; nothing was written. Run it again.", returncode=75) from error
        (self.stderr if form else self.stdout).write("\n".join(lines(report)))


def lines(report: ExportReport) -> list[str]:
    """The report as a person reads it."""
    shown = ["Written." if report.file == str(STDOUT) else f"{printable(report.file)}: written."]
    numbers = {
        "videos with categories that people decided on": report.curated,
        "videos that were only looked at": report.reviewed,
        "videos on which nobody has decided": report.without_state,
        "pairs of category and subcategory": report.pairs,
        "of the videos are deleted": report.deleted,
    }
    return shown + [f"{number:>10,} {what}" for what, number in numbers.items() if number]
