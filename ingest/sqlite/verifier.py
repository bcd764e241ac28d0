"""Proves that a snapshot is in the library, whole and exact.

A path of its own: it trusts nothing that the importer wrote. The file is read again and compared with the vault
byte for byte, and with the models value by value, by rules that are written here (docs/import.md). Whatever is
not equal is explained by the history of the library, or it is wrong. The parts are in verification/.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.db import connection, transaction

from ingest.models import Snapshot

from .reader import Source, open_snapshot
from .verification.content import compare_content
from .verification.database import check_database
from .verification.pairs import count_triples
from .verification.report import VerifyReport
from .verification.round_trip import check_round_trips
from .verification.run import Progress, Run
from .verification.summaries import check_html, compare_summaries
from .verification.summary_rows import REFERENCES, check_summary_rows
from .verification.vault import compare_with_vault


class NotImported(Exception):
    """The snapshot was never imported here, or not to the end; the message says the command."""


def verify_snapshot(path: Path, progress: Progress = lambda stage, rows: None) -> VerifyReport:
    """Compare a snapshot with the library, which is only read, at one moment.

    Raises SnapshotError for a file that cannot be taken, NotImported for one that is not here yet.
    `progress` is told the stage and how many more rows are done.
    """
    with open_snapshot(path) as source, one_moment():
        run = Run(source, imported(source, path), progress)
        with closing(run.ledger):
            compare(run)
            check_html(run)
            check_round_trips(run)
            run.report.changes = run.ledger.changes()
            run.report.changed_videos = run.ledger.changed_videos()
            check_database(run)
    return run.report


def compare_snapshot(source: Source, snapshot: Snapshot, progress: Progress = lambda stage, rows: None) -> VerifyReport:
    """The first four equations only: what is in the file beside what is here."""
    run = Run(source, snapshot, progress)
    with closing(run.ledger):
        compare(run)
    return run.report


def compare(run: Run) -> None:
    compare_with_vault(run)
    compare_content(run)
    for table in REFERENCES:
        if table in run.source.tables:
            check_summary_rows(run, table)
    compare_summaries(run)
    count_triples(run)
    run.report.models = run.column_counts()


def imported(source: Source, path: Path) -> Snapshot:
    """The snapshot that this file was imported as. Raises NotImported."""
    snapshot = Snapshot.objects.filter(sha256=source.sha256).first()
    command = f"manage.py import_sqlite {path}"
    if not snapshot:
        raise NotImported(f"{path} was never imported here. Import it first: {command}")
    if not (snapshot.vaulted_at and snapshot.imported_at):
        raise NotImported(f"The import of {path} is not finished. Finish it: {command}")
    return snapshot


@contextmanager
def one_moment() -> Iterator[None]:
    """Everything inside is read as of one moment, and nothing can be written."""
    is_own = not connection.in_atomic_block
    with transaction.atomic():
        if is_own:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
