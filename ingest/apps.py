from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate


class IngestConfig(AppConfig):
    name = "ingest"
    verbose_name = "What comes in and goes out"

    def ready(self) -> None:
        from . import checks  # noqa: F401

        if settings.LEGACY_SQLITE:
            from .cutover.legacy import install_guard

            install_guard()
        post_migrate.connect(import_configured_snapshot, sender=self, dispatch_uid="ingest.import_configured_snapshot")


def import_configured_snapshot(using: str, **_: Any) -> None:
    """Import the snapshot that SQLITE_SNAPSHOT names, once, when `migrate` has brought all tables up to date.

    At the end of `migrate` and not inside a migration: the importer of today needs the tables of today,
    which a migration in the middle of the order does not have. Raises CommandError with a sentence.
    """
    from pathlib import Path

    from django.core.management import call_command
    from django.core.management.base import CommandError
    from django.db import connections
    from django.db.migrations.executor import MigrationExecutor

    from .models import Snapshot
    from .sqlite.reader import SnapshotError, check_file, file_sha256

    if not settings.SQLITE_SNAPSHOT or using != "default":
        return
    executor = MigrationExecutor(connections[using])
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        # The signal also ends a `migrate` of one app, or back to an earlier state: tables are missing then.
        return
    path = Path(settings.SQLITE_SNAPSHOT)
    try:
        check_file(path)
        if not Snapshot.objects.imported().filter(sha256=file_sha256(path), vaulted_at__isnull=False).exists():
            call_command("import_sqlite", str(path))
    except SnapshotError as error:
        raise CommandError(f"SQLITE_SNAPSHOT: {error}") from error
    except CommandError as error:
        raise CommandError(f"SQLITE_SNAPSHOT: {error}", returncode=error.returncode) from error
