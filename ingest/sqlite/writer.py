"""Writes an SQLite file that is what it is meant to be, byte for byte: schema, rowids and values.

SQLite changes values on their way in: a column's type turns the text '12' into a number, triggers fire,
generated columns refuse to be written, tables called sqlite_… cannot be made. So the rows go into bare
tables, without names or types, and the real schema is put over them afterwards, as it stood:

1. Each table is made bare: columns without types, with the keys that are B-trees of their own.
2. The caller puts the rows in.
3. The rows of sqlite_master are replaced by the real ones of the tables; then the indexes are made, then
   all rows of sqlite_master are written in their order: views, triggers and virtual tables need no more.
4. The file is read like any snapshot, and must hold exactly the rows that were put in.

The same rows in the same order give the same bytes.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .codec import Row, Text, Value, encode
from .digests import KEY, TableDigest, library_digest, row_digest, schema_digest
from .reader import SnapshotError, identifier, open_snapshot

DEFAULT_PRAGMAS = {"user_version": 0, "application_id": 0, "page_size": 4096, "auto_vacuum": 0}
DIGEST_RANGE = 2**256
# What pragma_table_xinfo says in `hidden` of columns that SQLite computes.
VIRTUAL, STORED = 2, 3
CACHE_KIBIBYTES = 64 * 1024


class WriteError(Exception):
    """The file cannot be written as it is meant; the message is a sentence."""


@dataclass(frozen=True)
class Layout:
    """What a file is made of beside its rows.

    `schema_rows` are those of sqlite_master, (key, (type, name, tbl_name, sql)); `columns` those of each
    table as SELECT * has them; `keyed` the tables whose rows have a key of their own, the rowid.
    """

    schema_rows: tuple[tuple[int, Row], ...]
    columns: Mapping[str, Sequence[str]]
    keyed: frozenset[str]
    pragmas: Mapping[str, int]


@dataclass(frozen=True)
class Written:
    """A file that was written and read back: digests as digests.py defines them, of each table and of all."""

    sha256: str
    size_bytes: int
    tables: dict[str, str]
    library_digest: str


@dataclass(frozen=True)
class Shape:
    """A table made bare. `stored` are the places in a row of what its B-tree holds, beside the rowid.

    `alias` is the place of the column that is the rowid under another name, `generated` those that SQLite computes.
    """

    bare_name: str
    create: str
    stored: tuple[int, ...]
    alias: int | None
    generated: tuple[int, ...]
    has_rowid: bool

    def insert(self, row: Row) -> str:
        """The statement that inserts a row; where a text is no valid UTF-8, it is bound as bytes."""
        names = ["rowid"] if self.has_rowid else []
        names += [f"c{place}" for place in self.stored]
        places = ["?"] if self.has_rowid else []
        places += ["CAST(? AS TEXT)" if isinstance(row[place], Text) else "?" for place in self.stored]
        return f"INSERT INTO {self.bare_name} ({', '.join(names)}) VALUES ({', '.join(places)})"


class Writer:
    """One file in the making; use as a context manager, call `put` for each row and `finish` at the end."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self.layout = path, layout
        self.real = real_tables(layout)
        self.shapes = {
            name: shape_of(self.real, name, columns, f"t{number}")
            for number, (name, columns) in enumerate(layout.columns.items(), start=1)
        }
        self.fast_inserts = {
            name: shape.insert((None,) * len(layout.columns[name])) for name, shape in self.shapes.items()
        }
        self.meant: dict[str, list[int]] = {name: [0, 0] for name in layout.columns}
        self.connection = self.connect()
        pragmas = DEFAULT_PRAGMAS | dict(layout.pragmas)
        for name in ("page_size", "auto_vacuum", "user_version", "application_id"):
            self.connection.execute(f"PRAGMA {name} = {int(pragmas[name])}")
        self.connection.execute("BEGIN")
        for shape in self.shapes.values():
            self.connection.execute(shape.create)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.real.close()

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        # Until it is complete nobody else sees the file, and what is interrupted is thrown away.
        for pragma in (
            "synchronous = OFF", "journal_mode = MEMORY", "locking_mode = EXCLUSIVE",
            f"cache_size = -{CACHE_KIBIBYTES}",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        return connection

    # Rows

    def put(self, table: str, key: int, row: Row, digest: bytes | None = None) -> None:
        """Write a row. Raises sqlite3.IntegrityError where a key of another row is in its way.

        `digest` is that of its canonical bytes, if the caller knows it.
        """
        shape = self.shapes[table]
        # Where columns hide every name of the rowid, the key is the row's place only.
        leading = () if not shape.has_rowid else (key if shape.alias is None else row[shape.alias],)
        try:
            values = [value.decode() if type(value) is Text else value for value in map(row.__getitem__, shape.stored)]
            self.connection.execute(self.fast_inserts[table], (*leading, *values))
        except UnicodeDecodeError:
            values = [bytes(value) if type(value) is Text else value for value in map(row.__getitem__, shape.stored)]
            self.connection.execute(shape.insert(row), (*leading, *values))
        add_to(self.meant[table], key if table in self.layout.keyed else None, digest or row_digest(encode(row)))

    def as_stored(self, table: str, key: int, values: Mapping[str, Value]) -> Row:
        """A row as SQLite itself stores these values: with defaults, types and generated columns.

        Raises sqlite3.IntegrityError where a constraint of the table forbids it.
        """
        shape, columns = self.shapes[table], self.layout.columns[table]
        given = {
            name: values[name]
            for place, name in enumerate(columns)
            if name in values and place not in shape.generated and place != shape.alias
        }
        if shape.alias is not None:
            given[columns[shape.alias]] = key
        names = ", ".join(map(identifier, given))
        places = ", ".join("CAST(? AS TEXT)" if isinstance(value, Text) else "?" for value in given.values())
        self.real.execute("BEGIN")
        try:
            self.real.execute(
                f"INSERT INTO {identifier(table)} ({names}) VALUES ({places})",
                [bytes(value) if isinstance(value, Text) else value for value in given.values()],
            )
            return self.real.execute(f"SELECT * FROM {identifier(table)}").fetchone()
        finally:
            self.real.execute("ROLLBACK")

    # The schema

    def finish(self) -> Written:
        """Put the schema over the rows, then read all of it back. Raises WriteError if it is not what was meant."""
        root_pages = self.root_pages_of_tables()
        self.write_schema(root_pages)
        self.connection.execute("COMMIT")
        self.connection.close()
        self.connection = self.connect()
        self.connection.execute("BEGIN")
        for _, (kind, name, _, sql) in self.layout.schema_rows:
            if kind == b"index" and sql is not None:
                try:
                    self.connection.execute(sql.decode(errors="replace"))
                except sqlite3.DatabaseError as error:
                    raise WriteError(f"The index {shown(name)} cannot be made any more: {error}.") from error
        indexes = self.connection.execute("SELECT CAST(name AS BLOB), rootpage FROM sqlite_master WHERE type = 'index'")
        root_pages |= {(b"index", name): page for name, page in indexes}
        for _, (kind, name, _, sql) in self.layout.schema_rows:
            if kind in (b"view", b"trigger") or is_virtual(kind, sql):
                root_pages[bytes(kind), bytes(name)] = 0
        self.write_schema(root_pages)
        self.connection.execute("COMMIT")
        self.connection.close()
        return self.read_back()

    def root_pages_of_tables(self) -> dict[tuple[bytes, bytes], int]:
        """The root pages of the tables, and of the keys that are B-trees of their own, by type and real name."""
        bare = dict(self.connection.execute("SELECT name, rootpage FROM sqlite_master ORDER BY rowid"))
        keys: dict[str, list[bytes]] = defaultdict(list)
        for _, (kind, name, table, sql) in self.layout.schema_rows:
            if kind == b"index" and sql is None:
                keys[table.decode()].append(bytes(name))
        found = {}
        for table, shape in self.shapes.items():
            found[b"table", table.encode()] = bare[shape.bare_name]
            made = [page for name, page in bare.items() if name.startswith(f"sqlite_autoindex_{shape.bare_name}_")]
            if len(made) != len(keys[table]):
                raise WriteError(f"The keys of the table {table} are not those that its schema says.")
            found |= {(b"index", name): page for name, page in zip(keys[table], made, strict=True)}
        return found

    def write_schema(self, root_pages: Mapping[tuple[bytes, bytes], int]) -> None:
        """Replace the rows of sqlite_master by the real ones, as far as their root pages are known."""
        self.connection.execute("PRAGMA writable_schema = ON")
        self.connection.execute("DELETE FROM sqlite_master")
        text = "CAST(? AS TEXT)"
        for key, row in self.layout.schema_rows:
            kind, name, table, sql = (None if value is None else bytes(value) for value in row)
            if (kind, name) in root_pages:
                self.connection.execute(
                    "INSERT INTO sqlite_master (rowid, type, name, tbl_name, rootpage, sql)"
                    f" VALUES (?, {text}, {text}, {text}, ?, {text})",
                    (key, kind, name, table, root_pages[kind, name], sql),
                )

    def read_back(self) -> Written:
        """Read the file like any snapshot. Raises WriteError where it differs from what was put in."""
        try:
            with open_snapshot(self.path) as source:
                if source.schema_rows != self.layout.schema_rows:
                    raise WriteError("The schema of the written file is not the one that was meant.")
                digests = {}
                for name in source.tables:
                    digest, found = TableDigest(), [0, 0]
                    for key, row in source.rows(name):
                        row_sha256 = row_digest(encode(row))
                        digest.add(key, row_sha256)
                        add_to(found, key if name in self.layout.keyed else None, row_sha256)
                    if found != self.meant[name]:
                        raise WriteError(f"The table {name} of the written file does not hold what was meant.")
                    digests[name] = digest.hexdigest()
                library = library_digest(schema_digest(row for _, row in source.schema_rows), digests)
                return Written(source.sha256, source.size_bytes, digests, library)
        except SnapshotError as error:
            raise WriteError(f"The written file is not what was meant: {error}") from error


def add_to(sums: list[int], key: int | None, digest: bytes) -> None:
    """Count a row, and add its digest to a sum that does not depend on the order."""
    sums[0] += 1
    placed = digest if key is None else row_digest(KEY.pack(key) + digest)
    sums[1] = (sums[1] + int.from_bytes(placed)) % DIGEST_RANGE


def is_virtual(kind: bytes, sql: bytes | None) -> bool:
    """Whether a row of sqlite_master is a virtual table: it has no B-tree, what it holds lies in other tables."""
    return kind == b"table" and sql is not None and sql.lstrip().upper().startswith(b"CREATE VIRTUAL")


def is_internal(name: bytes) -> bool:
    """Whether a table is one of SQLite's own, which no statement can make."""
    return name.lower().startswith(b"sqlite_")


def shown(name: bytes) -> str:
    return name.decode(errors="replace")


def real_tables(layout: Layout) -> sqlite3.Connection:
    """The tables as their schema says, empty, in memory: to ask what they are, and how they store a row."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.text_factory = Text
    for _, (kind, name, _, sql) in layout.schema_rows:
        # SQLite makes its own tables, sqlite_…, itself; none of them has a key.
        if kind != b"table" or is_virtual(kind, sql) or is_internal(name):
            continue
        try:
            connection.execute(sql.decode(errors="replace"))
        except sqlite3.Error as error:
            raise WriteError(f"The table {shown(name)} cannot be made: {error}.") from error
    return connection


def shape_of(real: sqlite3.Connection, table: str, columns: Sequence[str], bare_name: str) -> Shape:
    """The bare form of a table. Raises WriteError for one that has none."""
    if is_internal(table.encode()):
        places = tuple(range(len(columns)))
        create = f"CREATE TABLE {bare_name} ({', '.join(f'c{place}' for place in places)})"
        return Shape(bare_name, create, places, None, (), has_rowid=True)
    described = real.execute(
        "SELECT pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid", (table,)
    ).fetchall()
    keys = sorted(
        real.execute("SELECT name, origin FROM pragma_index_list(?) WHERE origin IN ('pk', 'u')", (table,)),
        key=lambda key: int(key[0].rpartition(b"_")[2]),
    )
    # The primary key of a table WITHOUT ROWID is the table itself, so sqlite_master has no index for it.
    indexes = {name for (name,) in real.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    primary = [name for name, origin in keys if origin == b"pk"]
    has_rowid = indexes.issuperset(primary)
    numbered = [place for place, (part_of_key, _) in enumerate(described) if part_of_key]
    alias = numbered[0] if numbered and not primary else None
    virtual = {place for place, (_, hidden) in enumerate(described) if hidden == VIRTUAL}
    parts = [
        f"c{place} INTEGER PRIMARY KEY" if place == alias else f"c{place}"
        for place in range(len(described))
        if place not in virtual
    ]
    for name, origin in keys:
        members = real.execute(
            'SELECT cid, "desc", coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno', (name.decode(),)
        ).fetchall()
        if virtual.intersection(cid for cid, _, _ in members):
            raise WriteError(f"The table {table} has a unique column that SQLite computes; it cannot be written.")
        listed = ", ".join(
            f"c{cid} COLLATE {identifier(collation.decode())}{' DESC' if descending else ''}"
            for cid, descending, collation in members
        )
        parts.append(f"{'PRIMARY KEY' if origin == b'pk' else 'UNIQUE'} ({listed})")
    return Shape(
        bare_name,
        f"CREATE TABLE {bare_name} ({', '.join(parts)}){'' if has_rowid else ' WITHOUT ROWID'}",
        tuple(place for place in range(len(described)) if place not in virtual and place != alias),
        alias,
        tuple(place for place, (_, hidden) in enumerate(described) if hidden in (VIRTUAL, STORED)),
        has_rowid,
    )
