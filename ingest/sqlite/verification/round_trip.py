"""Equation 5: the file comes back out of the library; if that has changed since, out of the vault alone."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ingest.models import SCHEMA_TABLE
from ingest.sqlite.codec import Row, encode
from ingest.sqlite.digests import TableDigest, library_digest, row_digest, schema_digest
from ingest.sqlite.exporter import export_library, restore_vault
from ingest.sqlite.publishing import ExportError
from ingest.sqlite.reader import Source, open_snapshot

from .old_values import lenient, same_bytes
from .report import Equation, RoundTrip
from .run import Run
from .streams import Following
from .summaries import VARIANT_COLUMNS, who_brought
from .summary_rows import TEXT_COLUMNS

# How a row of a table names its video.
REFERENCES = {
    "content": "id", "content_summaries": "content_id", "summary_variants": "video_id", "content_files": "content_id"
}  # fmt: skip


def check_round_trips(run: Run) -> None:
    """The file comes back out of the library; if that has changed since, out of the vault alone."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "written.db")
        exports = {
            "export": lambda: export_library(path, snapshot=run.snapshot),
            "vault to file": lambda: restore_vault(run.snapshot, path),
        }
        for name, write in exports.items():
            try:
                write()
            except ExportError as error:
                run.wrong(Equation.ROUND_TRIP, "", None, "", f"{name}: {error}")
                run.report.round_trip.append(RoundTrip(name, "", "", wrong=1))
                continue
            trip = compare_file(run, name, path, may_differ=name == "export")
            path.unlink()
            if trip.source_digest == trip.file_digest:
                # The export takes every row from the vault, so the vault gives the same file.
                return


def compare_file(run: Run, name: str, path: Path, *, may_differ: bool) -> RoundTrip:
    """A file written back with the snapshot; where it may differ, only in rows of videos that changed."""
    expected = {table.table: table.file_digest for table in run.report.vault if table.table in run.source.tables}
    schema = schema_digest(row for _, row in run.source.schema_rows)
    with open_snapshot(path) as written:
        digests = {}
        for table in written.tables:
            digest = TableDigest()
            for key, row in written.rows(table):
                digest.add(key, row_digest(encode(row)))
            digests[table] = digest.hexdigest()
            run.progress("round trip", digest.rows)
        written_schema = schema_digest(row for _, row in written.schema_rows)
        trip = RoundTrip(name, library_digest(schema, expected), library_digest(written_schema, digests))
        run.report.round_trip.append(trip)
        if trip.source_digest == trip.file_digest:
            return trip
        if schema != written_schema:
            trip.wrong += 1
            run.wrong(Equation.ROUND_TRIP, SCHEMA_TABLE, None, "", f"{name}: the schema is not the file's.")
        for table in [table for table in run.source.tables if expected[table] != digests.get(table)]:
            if table in written.tables:
                compare_written(run, trip, table, written, may_differ)
    return trip


def compare_written(run: Run, trip: RoundTrip, table: str, written: Source, may_differ: bool) -> None:
    """Each row that is not as in the file must be of a video that changed, was deleted, or is new."""
    rows = Following(written.rows(table))

    def new_rows(before: int | None) -> None:
        for key, row in rows.before(before):
            video_id = video_of(run, table, None, row)
            is_explained = not video_id or is_changed(run, table, video_id, row)
            note(run, trip, table, key, video_id, "this row is not in the file", is_explained and may_differ)

    for key, row in run.source.rows(table):
        new_rows(key)
        _, other = rows.take(key) or (key, None)
        if other is None or encode(other) != encode(row):
            video_id = video_of(run, table, key, row)
            is_explained = is_changed(run, table, video_id, other) if video_id else table == "sqlite_sequence"
            state = "comes back otherwise" if other else "is missing"
            column = first_difference(run.source.tables[table].columns, row, other or ())
            note(run, trip, table, key, video_id, f"this row {state}", is_explained and may_differ, column)
    new_rows(None)


def is_changed(run: Run, table: str, video_id: str, written: Row | None) -> bool:
    """Whether a video changed, or has a text beside those of the file; `written` is the row that was written back."""
    if run.ledger.is_changed(video_id):
        return True
    if written is None or table not in VARIANT_COLUMNS:
        return False
    text = dict(zip(run.source.tables[table].columns, written, strict=False)).get(TEXT_COLUMNS[table])
    if by := who_brought(run.snapshot, video_id, text):
        run.ledger.add_change("summaries beside those of the file", by, video_id, None)
    return bool(by)


def video_of(run: Run, table: str, key: int | None, row: Row) -> str:
    """The video that a row belongs to, or ""; `key` if it is in the snapshot."""
    if key is not None and (video_id := run.ledger.video_of(table, key)):
        return video_id
    values = dict(zip(run.source.tables[table].columns, row, strict=False))
    reference = REFERENCES.get(table)
    found = run.ledger.video_named(lenient(values.get(reference))) if reference else None
    return found[0] if found else ""


def first_difference(columns: Sequence[str], one: Row, other: Row) -> str:
    """The first column where two rows differ, or ""."""
    pairs = zip(columns, one, other, strict=False)
    return next((column for column, value, written in pairs if not same_bytes(value, written)), "")


def note(
    run: Run, trip: RoundTrip, table: str, key: int, video_id: str, message: str, is_explained: bool, column: str = ""
) -> None:
    """Count a row that is not as in the file."""
    if is_explained or run.is_purged(table, key):
        trip.explained += 1
        return
    trip.wrong += 1
    run.wrong(Equation.ROUND_TRIP, table, key, column, f"{trip.name}: {message}.", video_id=video_id)
