"""The vault: every row of a snapshot, verbatim, before anything is made of it (design.md, Lossless import).

Filled in batches that are committed one by one, so that an interrupted import goes on where it was.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from django.db import transaction
from django.db.models import Count, Max
from django.utils import timezone

from ingest.models import SCHEMA_TABLE, Snapshot, VaultRow
from videos.copy import copy_rows

from .codec import Row, decode, encode
from .digests import row_digest
from .reader import SnapshotError, Source

# What one batch holds at most: of many small rows, or of a few large ones.
BATCH_ROWS, BATCH_BYTES = 5000, 8 * 2**20
COLUMNS = {"snapshot_id": "int8", "table": "text", "key": "int8", "content": "bytea", "sha256": "bytea"}


class VaultDiffers(Exception):
    """The vault of a snapshot does not hold what the file holds; the message is a sentence."""


def fill_vault(source: Source, progress: Callable[[str, int], None]) -> Snapshot:
    """Put what is not there yet of a snapshot into the vault. Raises VaultDiffers and SnapshotError."""
    snapshot, _ = Snapshot.objects.get_or_create(
        sha256=source.sha256,
        defaults={
            "name": source.name,
            "size_bytes": source.size_bytes,
            "generation": source.generation,
            "schema": list(source.schema),
        },
    )
    if snapshot.vaulted_at:
        return snapshot
    last_keys = dict(snapshot.rows.order_by().values("table").annotate(last=Max("key")).values_list("table", "last"))
    fill_table(snapshot, SCHEMA_TABLE, (row for row in source.schema_rows if row[0] > last_keys.get(SCHEMA_TABLE, 0)))
    for table in source.tables:
        fill_table(snapshot, table, source.rows(table, after=last_keys.get(table)), progress)
    counts = dict(snapshot.rows.order_by().values("table").annotate(n=Count("pk")).values_list("table", "n"))
    expected = {name: table.rows for name, table in source.tables.items() if table.rows}
    counts.pop(SCHEMA_TABLE, None)
    if counts != expected:
        raise VaultDiffers(
            f"The vault of {source.name} has other rows than the file ({counts} instead of {expected}). "
            "Remove it in the admin (Snapshots), and import again."
        )
    try:
        source.check_unchanged()
    except SnapshotError:
        # Nobody knows which of the two files its rows came from.
        snapshot.delete()
        raise
    snapshot.tables = {
        table.name: {"columns": list(table.columns), "has_rowid": table.rowid is not None}
        for table in source.tables.values()
    }
    snapshot.pragmas = source.pragmas
    snapshot.vaulted_at = timezone.now()
    snapshot.save(update_fields=["tables", "pragmas", "vaulted_at"])
    return snapshot


def fill_table(
    snapshot: Snapshot,
    table: str,
    rows: Iterable[tuple[int, Row]],
    progress: Callable[[str, int], None] = lambda stage, rows: None,
) -> None:
    """Add rows of a table, each batch in a transaction of its own unless the caller has one."""
    rows = iter(rows)
    while (first := next(rows, None)) is not None:
        with transaction.atomic():
            written = copy_rows("ingest_vaultrow", COLUMNS, one_batch(snapshot, table, chain([first], rows)))
        progress("vault", written)


def one_batch(snapshot: Snapshot, table: str, rows: Iterator[tuple[int, Row]]) -> Iterator[tuple]:
    written_bytes = 0
    for number, (key, row) in enumerate(rows, start=1):
        content = encode(row)
        yield snapshot.pk, table, key, content, row_digest(content)
        written_bytes += len(content)
        if number == BATCH_ROWS or written_bytes > BATCH_BYTES:
            return


def vaulted_rows(snapshot: Snapshot, table: str) -> Iterator[tuple[int, Row]]:
    """The rows of a table as (key, values), in order of the key, out of the vault."""
    rows = VaultRow.objects.filter(snapshot=snapshot, table=table).order_by("key").values_list("key", "content")
    for key, content in rows.iterator(chunk_size=1000):
        yield key, decode(bytes(content))
