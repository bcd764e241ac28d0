"""The command that writes a made-up snapshot in the old dashboard's SQLite schema."""

import sqlite3
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from ingest.management import base
from ingest.sqlite.schema import Generation
from ingest.sqlite.synthetic import write_snapshot


class Command(base.Command):
    """Shows what `write_snapshot` does: the result on stdout, the progress on stderr."""

    help = (
        "Writes a made-up library as a SQLite file in the schema of the old dashboard, to try an import on "
        "or to measure with. The same options give the same file. Django's own database is not touched."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the SQLite file to write; its folder must exist")
        parser.add_argument("--videos", type=int, default=300, help="how many videos (default: %(default)s)")
        parser.add_argument(
            "--seed", type=int, default=1, help="another number gives another library (default: %(default)s)"
        )
        parser.add_argument(
            "--generation",
            choices=[generation.value for generation in Generation],
            default=Generation.LAST.value,
            help=(
                "the state of the schema: first, as in September 2025; categorised, with structured "
                "categories; last, with summary variants as well (default: %(default)s)"
            ),
        )
        parser.add_argument("--force", action="store_true", help="replace the file if it exists")

    def handle(self, *, file: Path, videos: int, seed: int, generation: str, force: bool, **_: Any) -> None:
        bar = Progress(
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        try:
            with bar:
                task = bar.add_task("Writing videos", total=videos)
                summary = write_snapshot(
                    file,
                    videos,
                    seed,
                    Generation(generation),
                    progress=lambda written: bar.update(task, completed=written),
                    overwrite=force,
                )
        except FileExistsError as error:
            raise CommandError(f"{error} Use --force to replace it.") from error
        except (OSError, ValueError, sqlite3.Error) as error:
            raise CommandError(str(error)) from error

        for table, rows in summary.rows.items():
            self.stdout.write(f"{table}: {rows}")
        self.stdout.write(f"file: {summary.path}")
        self.stdout.write(f"bytes: {summary.size_bytes}")
