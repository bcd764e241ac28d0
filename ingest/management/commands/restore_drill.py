"""`manage.py restore_drill FOLDER`: whether a backup can be restored, and is what was saved."""

import getpass
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ingest.backup import BackupDamaged, BackupError, BackupOutdated, Drill, drill
from ingest.management import base
from ingest.management.commands.backup import set_lines
from ingest.management.commands.import_sqlite import termination_as_interrupt
from ingest.scratch import ScratchError, ScratchInUse
from ingest.values import printable


class Command(base.Command):
    help = (
        "Try a backup: check its files, restore it into a database of its own beside the library, compare all of it "
        "with its manifest, and drop that database again. The library is only told that this was done. Exit codes: 0 "
        "it can be restored, and is whole; 1 it cannot be tried; 2 it is damaged: make another one; 4 the database is "
        "not ready, or the backup is of another version of the program; 5 another drill, rehearsal or comparison is "
        "running; 75 interrupted: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="FOLDER", type=Path, help="the folder of one backup, as DIR/ytv2-<time>")
        parser.add_argument("--by", default=getpass.getuser(), help="who does it; default: your user name here")

    def handle(self, *, folder: Path, by: str, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise CommandError("The database is not ready. Run manage.py migrate first.", returncode=4)
        self.stderr.write("Restoring the backup into a database of its own …")
        try:
            with termination_as_interrupt():
                done = drill(folder, by)
        except BackupDamaged as error:
            raise CommandError(printable(str(error)), returncode=2) from error
        except BackupOutdated as error:
            raise CommandError(printable(str(error)), returncode=4) from error
        except ScratchInUse as error:
            raise CommandError(str(error), returncode=5) from error
        except (BackupError, ScratchError) as error:
            raise CommandError(printable(str(error)), returncode=1) from error
        except KeyboardInterrupt as error:
            raise CommandError("Interrupted. Run it again.", returncode=75) from error
        self.stdout.write("\n".join(lines(done)))


def lines(done: Drill) -> list[str]:
    """What was found, as a person reads it."""
    return [
        f"{printable(done.folder.name)} can be restored, and is whole. Restoring took {done.seconds:.1f} seconds.",
        *set_lines(done.backup),
        f"Made at {done.backup.made_at:%Y-%m-%d %H:%M:%S} UTC from PostgreSQL {done.backup.versions['postgresql']}. "
        f"Their digests are those of the manifest, and {done.tables} tables have as many rows.",
        "It was restored into a database of its own, which is dropped again. The library is as it was.",
    ]
