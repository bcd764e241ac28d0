"""Reads an old SQLite file, which is never written: whole or not at all.

Opened with mode=ro, never immutable=1: a file beside a `-wal` can look empty and pass every check.
"""

import hashlib
import os
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from .codec import Row, Text
from .schema import CONTENT_COLUMNS, CONTENT_SUMMARIES_COLUMNS, Generation

HEADER = b"SQLite format 3\x00"
COMPANIONS = ("-wal", "-journal")
# Where the header has the page size, and whether the file is in WAL mode (https://sqlite.org/fileformat2.html).
PAGE_SIZE = slice(16, 18)
VERSIONS = slice(18, 20)
WAL_VERSIONS = b"\x02\x02"
# What a file says of itself beside its schema and rows.
PRAGMAS = ("user_version", "application_id", "page_size", "auto_vacuum")


class SnapshotError(Exception):
    """The file cannot be taken; the message is a sentence for the person who gave it."""


@dataclass(frozen=True)
class Table:
    """A table of the file: its columns in order, and what names a row of it."""

    name: str
    columns: tuple[str, ...]
    rowid: str | None
    rows: int


@dataclass(frozen=True)
class Source:
    """An open snapshot. `sha256` is the digest of the file's bytes.

    `schema` is its CREATE statements for reading, `schema_rows` what sqlite_master says, byte for byte:
    (key, (type, name, tbl_name, sql)).
    """

    connection: sqlite3.Connection
    path: Path
    name: str
    sha256: str
    size_bytes: int
    schema_rows: tuple[tuple[int, Row], ...]
    pragmas: dict[str, int]
    tables: dict[str, Table]

    @property
    def schema(self) -> tuple[str, ...]:
        return tuple(row[3].decode(errors="replace") for _, row in self.schema_rows if row[3] is not None)

    def check_unchanged(self) -> None:
        """Raises SnapshotError where the file was written to since it was opened."""
        check_unchanged(self.path, self.sha256)

    @property
    def generation(self) -> str:
        """The generation of the schema that has all of the file's tables and columns of `content`."""
        if "summary_variants" in self.tables or "summary" in self.tables["content"].columns:
            return Generation.LAST
        if "subcategories_json" in self.tables["content"].columns:
            return Generation.CATEGORISED
        return Generation.FIRST

    def rows(self, name: str, after: int | None = None) -> Iterator[tuple[int, Row]]:
        """Every row of a table as (key, values), in order of the key: its rowid, or its place if it has none.

        `after` leaves out the rows up to that key.
        """
        table = self.tables[name]
        quoted = identifier(name)
        if table.rowid is None:
            rows = enumerate(self.connection.execute(f"SELECT * FROM {quoted}"), start=1)
            yield from rows if after is None else islice(rows, after, None)
            return
        where, parameters = ("", ()) if after is None else (f"WHERE {table.rowid} > ?", (after,))
        for key, *values in self.connection.execute(
            f"SELECT {table.rowid}, * FROM {quoted} {where} ORDER BY {table.rowid}", parameters
        ):
            yield key, tuple(values)


def identifier(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def open_snapshot(path: Path) -> Iterator[Source]:
    """Open a snapshot for reading, in one transaction. Raises SnapshotError, a sentence, for what is none."""
    size_bytes = check_file(path)
    digest = file_sha256(path)
    try:
        with readable(path) as file, closing(connect(file)) as connection:
            connection.text_factory = Text
            connection.execute("BEGIN")
            check_database(connection, path)
            yield Source(
                connection,
                path,
                os.fsencode(path.name).decode(errors="replace"),
                digest,
                size_bytes,
                tuple(read_schema(connection)),
                {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in PRAGMAS},
                read_tables(connection, path),
            )
    except sqlite3.DatabaseError as error:
        raise SnapshotError(f"{path} cannot be read whole; it may be damaged (SQLite says: {error}).") from error
    check_unchanged(path, digest)


def check_unchanged(path: Path, sha256: str) -> None:
    """Raises SnapshotError where the file has become another one."""
    if file_sha256(path) != sha256:
        raise SnapshotError(f"{path} was written to while it was read. Take a copy and import that.")


@contextmanager
def readable(path: Path) -> Iterator[Path]:
    """The file; or, of one in WAL mode, a copy: to read it, SQLite makes a -wal and a -shm beside it."""
    with path.open("rb") as file:
        if file.read(100)[VERSIONS] != WAL_VERSIONS:
            yield path
            return
    with TemporaryDirectory() as folder:
        yield Path(shutil.copyfile(path, Path(folder, "copy.db")))


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(os.fsencode(path.resolve()))}?mode=ro", uri=True, isolation_level=None)


def check_file(path: Path) -> int:
    """The size of the file in bytes, if it can be a whole database, with nothing of it in another file."""
    size_bytes = check_header(path)
    file = path.resolve()
    for suffix in COMPANIONS:
        companion = file.with_name(file.name + suffix)
        if companion.exists() and companion.stat().st_size:
            raise SnapshotError(
                f"{companion.name} lies beside {file}: a part of the data is only there. Make a whole copy "
                f"(manage.py snapshot_sqlite {shlex.quote(str(file))} COPY.db) and give that."
            )
    return size_bytes


def check_header(path: Path) -> int:
    """The size of the file in bytes, if it can be a database at all."""
    try:
        if path.is_dir():
            raise SnapshotError(f"{path} is a folder; give the SQLite file in it.")
        size_bytes = path.stat().st_size
        if not path.is_file():
            raise SnapshotError(f"{path} is no file; give an SQLite file.")
        with path.open("rb") as file:
            start = file.read(100)
    except FileNotFoundError as error:
        raise SnapshotError(f"{path} does not exist; check the path.") from error
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read: {error.strerror}.") from error
    if not size_bytes:
        raise SnapshotError(f"{path} is empty (0 bytes): the copy that made it failed.")
    if not start.startswith(HEADER):
        raise SnapshotError(f"{path} is no SQLite database.")
    # SQLite takes what is missing of the last page for zeros. 65,536 is written as 1.
    page_size = int.from_bytes(start[PAGE_SIZE]) if start[PAGE_SIZE] != b"\x00\x01" else 65_536
    if page_size and size_bytes % page_size:
        raise SnapshotError(f"{path} is damaged: its {size_bytes:,} bytes are no whole pages, so its end is cut off.")
    return size_bytes


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_database(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a damaged file, one of another schema, and one whose text is not UTF-8."""
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    if encoding != b"UTF-8":
        raise SnapshotError(f"{path} stores its text as {encoding.decode()}; only UTF-8 can be kept byte for byte.")
    (result,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if result != b"ok":
        said = " ".join(result.decode(errors="replace").split())
        raise SnapshotError(f"{path} is damaged (SQLite says: {said}).")


def read_schema(connection: sqlite3.Connection) -> Iterator[tuple[int, Row]]:
    """The rows of sqlite_master less the page numbers, in the order of the file."""
    for key, *values in connection.execute("SELECT rowid, type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"):
        yield key, tuple(values)


def read_tables(connection: sqlite3.Connection, path: Path) -> dict[str, Table]:
    """The file's tables by name. Raises SnapshotError unless it is a database of the old dashboard."""
    tables = {}
    for name_bytes, statement in connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY rowid"
    ).fetchall():
        name = decoded(name_bytes, path)
        if statement.lstrip().upper().startswith(b"CREATE VIRTUAL"):
            # What it holds lies in ordinary tables of its own, which are read.
            continue
        # The same columns as SELECT * has: generated ones too, which table_info leaves out.
        columns = tuple(
            decoded(column, path)
            for (column,) in connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1", (name,))
        )
        (rows,) = connection.execute(f"SELECT count(*) FROM {identifier(name)}").fetchone()
        tables[name] = Table(name, columns, rowid_of(connection, name, columns), rows)
    required = {"content": CONTENT_COLUMNS, "content_summaries": CONTENT_SUMMARIES_COLUMNS}
    for name, columns in required.items():
        if name not in tables:
            raise SnapshotError(f"{path} is no database of the old dashboard: it has no table {name}.")
        missing = [column for column in columns if column not in tables[name].columns]
        if missing:
            raise SnapshotError(
                f"{path} is no database of the old dashboard: its table {name} has no column {', '.join(missing)}."
            )
    return tables


def decoded(name: bytes, path: Path) -> str:
    """A name of the schema as text."""
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise SnapshotError(f"{path} has a table or column whose name is no valid UTF-8: {name!r}.") from error


def rowid_of(connection: sqlite3.Connection, name: str, columns: tuple[str, ...]) -> str | None:
    """A name of the rowid that no column hides, or None for a table WITHOUT ROWID."""
    taken = {column.lower() for column in columns}
    for alias in ("rowid", "_rowid_", "oid"):
        if alias not in taken:
            try:
                connection.execute(f"SELECT {alias} FROM {identifier(name)} LIMIT 0")
            except sqlite3.OperationalError:
                return None
            return alias
    return None
