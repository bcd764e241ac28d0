"""Equation 1: each row of the file is in the vault, byte for byte, and no other."""

from collections.abc import Iterator, Sequence

from django.db.models import Count

from ingest.models import SCHEMA_TABLE, VaultRow
from ingest.sqlite.codec import Row, decode, encode
from ingest.sqlite.digests import TableDigest, row_digest

from .report import Equation, VaultTable
from .run import Run
from .streams import ROWS_AT_ONCE, Following, stream


def compare_with_vault(run: Run) -> None:
    """Each row of the file beside the vault's, in order of their keys."""
    compare_table(run, SCHEMA_TABLE, iter(run.source.schema_rows), ("type", "name", "tbl_name", "sql"))
    for name, table in run.source.tables.items():
        compare_table(run, name, run.source.rows(name), table.columns)
    check_other_tables(run)
    check_purged(run)
    described = {
        name: {"columns": list(table.columns), "has_rowid": table.rowid is not None}
        for name, table in run.source.tables.items()
    }
    if run.snapshot.tables != described or run.snapshot.pragmas != run.source.pragmas:
        run.wrong(
            Equation.VAULT, SCHEMA_TABLE, None, "", "What the vault says of tables and pragmas differs.",
            source=described | run.source.pragmas, stored=run.snapshot.tables | run.snapshot.pragmas,
        )  # fmt: skip


def check_other_tables(run: Run) -> None:
    """The vault must have no table that is not in the file."""
    others = VaultRow.objects.filter(snapshot=run.snapshot).exclude(table__in=[SCHEMA_TABLE, *run.source.tables])
    for table, rows in others.order_by().values_list("table").annotate(Count("pk")):
        run.report.vault.append(VaultTable(table, rows_in_vault=rows, wrong=rows))
        run.wrong(Equation.VAULT, table, None, "", f"The vault has {rows} rows of a table that is not in the file.")


def check_purged(run: Run) -> None:
    """A purge takes out rows of deleted videos only."""
    for table, keys in run.purged.items():
        live = stream(
            "SELECT outcome.key, video.video_id FROM ingest_rowoutcome AS outcome"
            " JOIN videos_video AS video USING (video_id)"
            ' WHERE outcome.snapshot_id = %s AND outcome."table" = %s AND outcome.key = ANY(%s)'
            " AND video.deleted_at IS NULL",
            [run.snapshot.pk, table, list(keys)],
        )
        for key, video_id in live:
            message = "This row is said to be purged, and its video is not deleted."
            run.wrong(Equation.VAULT, table, key, "", message, video_id=video_id)


def compare_table(run: Run, name: str, rows: Iterator[tuple[int, Row]], columns: Sequence[str]) -> None:
    """The rows of one table, and the digests of both sides."""
    counted = VaultTable(name)
    run.report.vault.append(counted)
    of_file, of_vault = TableDigest(), TableDigest()
    vault = Following(
        stream(
            'SELECT key, content, sha256 FROM ingest_vaultrow WHERE snapshot_id = %s AND "table" = %s ORDER BY key',
            [run.snapshot.pk, name],
        )
    )

    def wrong(key: int, message: str) -> None:
        counted.wrong += 1
        run.wrong(Equation.VAULT, name, key, "", message)

    def vaulted(key: int, content: bytes, digest: bytes) -> None:
        computed = row_digest(content)
        of_vault.add(key, computed)
        if computed != digest:
            wrong(key, "The digest in the vault is not that of its bytes.")

    def extra(before: int | None) -> None:
        for row in vault.before(before):
            vaulted(*row)
            wrong(row[0], "This row is in the vault, and not in the file.")

    for number, (key, row) in enumerate(rows, start=1):
        extra(key)
        content = encode(row)
        stored = vault.take(key)
        if stored is None and run.is_purged(name, key):
            counted.purged += 1
            continue
        of_file.add(key, row_digest(content))
        if stored is None:
            wrong(key, "This row of the file is not in the vault.")
        else:
            vaulted(*stored)
            if stored[1] != content:
                counted.wrong += 1
                compare_values(run, name, key, columns, row, stored[1])
        if not number % ROWS_AT_ONCE:
            run.progress("vault", ROWS_AT_ONCE)
    extra(None)
    counted.rows_in_file, counted.rows_in_vault = of_file.rows, of_vault.rows
    counted.file_digest, counted.vault_digest = of_file.hexdigest(), of_vault.hexdigest()


def compare_values(run: Run, table: str, key: int, columns: Sequence[str], row: Row, content: bytes) -> None:
    """Name the columns where a row of the vault differs from the file's."""
    try:
        stored = decode(content)
    except ValueError as error:
        run.wrong(Equation.VAULT, table, key, "", f"The vault's bytes are damaged: {error}.")
        return
    if len(stored) != len(row):
        run.wrong(Equation.VAULT, table, key, "", f"The vault has {len(stored)} values for {len(row)} columns.")
        return
    for column, one, other in zip(columns, row, stored, strict=True):
        if encode((one,)) != encode((other,)):
            run.wrong(
                Equation.VAULT, table, key, column, "The vault has another value than the file.",
                source=one, stored=other,
            )  # fmt: skip
