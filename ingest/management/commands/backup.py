"""`manage.py backup DIR`: the whole database, with a manifest that says what is in it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ingest.backup import Backup, BackupError, make_backup
from ingest.management import base
from ingest.management.commands.import_sqlite import termination_as_interrupt
from ingest.values import printable


class Command(base.Command):
    help = (
        "Write a backup of the whole database into a new folder DIR/ytv2-<time>: a dump, a list of the audio files and "
        "pictures with their SHA-256 (not the files themselves), and a manifest with numbers and digests, all of one "
        "state of the database. The folder appears when it is complete, or not at all. restore_drill tries it. "
        "Exit codes: 0 written; 1 it cannot be written; 4 the database is not ready; 75 interrupted, nothing was "
        "written: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path, help="the folder to put the backup in; it must exist")

    def handle(self, *, folder: Path, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)
        try:
            with termination_as_interrupt():
                backup = make_backup(folder)
        except BackupError as error:
            raise CommandError(printable(str(error)), returncode=1) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted; nothing was written. Run it again.", returncode=75) from error
        self.stdout.write("\n".join(lines(backup)))


def lines(backup: Backup) -> list[str]:
    """What was written, as a person reads it."""
    folder = printable(str(backup.folder))
    return [
        f"{folder}: {backup.size_bytes:,} bytes in {backup.seconds:.1f} seconds, sha256 {backup.sha256[:16]}…",
        *set_lines(backup),
        f"{sum(backup.tables.values()):>12,} rows in {len(backup.tables)} tables",
        f"{backup.media_files:>12,} audio files and pictures are listed, {backup.media_bytes:,} bytes: they are not "
        "in the backup, copy MEDIA_DIR as well",
        "",
        f"Try it: manage.py restore_drill {folder}",
    ]


def set_lines(backup: Backup) -> list[str]:
    """The numbers of what the library holds."""
    sets = backup.sets
    videos = f"{sets['videos'].count:>12,} videos"
    deleted = f", {sets['deleted'].count:,} of them deleted" if sets["deleted"].count else ""
    return [
        videos + deleted,
        f"{sets['summaries'].count:>12,} texts of summaries, all revisions",
        f"{sets['triples'].count:>12,} triples of video, category and subcategory",
        f"{sets['decisions'].count:>12,} videos whose categories a person decided on or looked at",
    ]
