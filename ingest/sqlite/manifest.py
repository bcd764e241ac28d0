"""Whole copies of an old SQLite file, also of one in use, and the manifest that says what is in such a copy.

A copy and its manifest are complete or absent, whatever stops the run that makes them.
"""

import fcntl
import json
import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from .codec import Row, Text, encode
from .digests import TableDigest, library_digest, row_digest, schema_digest
from .reader import (
    COMPANIONS,
    VERSIONS,
    WAL_VERSIONS,
    SnapshotError,
    Source,
    Table,
    check_header,
    connect,
    file_sha256,
    open_snapshot,
)

SUFFIX = ".manifest.json"
STORAGE_CLASSES = {type(None): "null", int: "integer", float: "real", Text: "text", bytes: "blob"}
# So many different rows of types are counted as rows before they are added up by column.
MOST_SIGNATURES = 1000
PAGES_AT_ONCE = 1000
ROWS_AT_ONCE = 1000
# How long the source may be locked by a writer, and how often the lock is tried.
WAIT_SECONDS = 30.0
TRY_SECONDS = 0.1
COPY_TRIES = 3

# Told the stage, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


def no_progress(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


class SnapshotLocked(Exception):
    """Another run makes the same snapshot; the message is a sentence."""


@dataclass(frozen=True)
class TableManifest:
    """A table: rows, keys (None if it has no row), its digest (digests.py), and {column: {storage class: rows}}."""

    rows: int
    first_key: int | None
    last_key: int | None
    sha256: str
    columns: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Manifest:
    """What is in a snapshot. `source` is the name of the file that it was copied from, without its folder."""

    source: str
    made_at: str
    size_bytes: int
    sha256: str
    generation: str
    pragmas: dict[str, int]
    schema_sha256: str
    library_sha256: str
    tables: dict[str, TableManifest]
    schema: list[str]

    def differences(self, other: "Manifest") -> list[str]:
        """The names of what the other says differently of the file; where and when it was made left aside."""
        same_origin = replace(other, source=self.source, made_at=self.made_at)
        return [field.name for field in fields(self) if getattr(self, field.name) != getattr(same_origin, field.name)]


class TableCount:
    """Adds up the rows of a table for its manifest; give them in order of the key."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.digest = TableDigest()
        self.first_key: int | None = None
        self.last_key: int | None = None
        self.signatures: Counter[tuple[type, ...]] = Counter()
        self.types: list[Counter[str]] = [Counter() for _ in table.columns]

    def add(self, key: int, row: Row) -> tuple[type, ...]:
        """Add the next row; the types of its values."""
        if self.first_key is None:
            self.first_key = key
        self.last_key = key
        self.digest.add(key, row_digest(encode(row)))
        signature = tuple(map(type, row))
        self.signatures[signature] += 1
        if len(self.signatures) > MOST_SIGNATURES:
            self.add_up()
        return signature

    def add_up(self) -> None:
        for signature, rows in self.signatures.items():
            for types, kind in zip(self.types, signature, strict=True):
                types[STORAGE_CLASSES[kind]] += rows
        self.signatures.clear()

    def manifest(self) -> TableManifest:
        self.add_up()
        columns = {
            column: dict(sorted(types.items())) for column, types in zip(self.table.columns, self.types, strict=True)
        }
        return TableManifest(self.digest.rows, self.first_key, self.last_key, self.digest.hexdigest(), columns)


def make_manifest(source: Source, progress: Progress = no_progress) -> Manifest:
    """The manifest of an open snapshot, with the snapshot's own name as its source. Reads every row."""
    total = sum(table.rows for table in source.tables.values())
    done = 0
    counts = {name: TableCount(table) for name, table in source.tables.items()}
    for name, count in counts.items():
        for key, row in source.rows(name):
            count.add(key, row)
            done += 1
            if not done % ROWS_AT_ONCE:
                progress("Counting rows", done, total)
    return manifest_of(source, counts)


def manifest_of(source: Source, counts: dict[str, TableCount]) -> Manifest:
    """The manifest of an open snapshot all of whose rows have been counted, by table."""
    tables = {name: count.manifest() for name, count in counts.items()}
    schema = schema_digest(row for _, row in source.schema_rows)
    return Manifest(
        source=source.name,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        size_bytes=source.size_bytes,
        sha256=source.sha256,
        generation=str(source.generation),
        pragmas=dict(source.pragmas),
        schema_sha256=schema,
        library_sha256=library_digest(schema, {name: table.sha256 for name, table in tables.items()}),
        tables=tables,
        schema=list(source.schema),
    )


# Reading and writing manifests


def manifest_path(path: Path) -> Path:
    """Where the manifest of a snapshot lies: beside the file itself, also if the path is a link to it."""
    file = path.resolve()
    return file.with_name(file.name + SUFFIX)


def as_json(manifest: Manifest) -> str:
    """The manifest as it is written: plain ASCII, as names in the file can hold anything."""
    return json.dumps(asdict(manifest), indent=2)


def read_manifest(path: Path) -> Manifest | None:
    """The manifest beside a snapshot, or None if there is none. Raises SnapshotError for one that is damaged."""
    file = manifest_path(path)
    try:
        said = json.loads(file.read_text())
        tables = {name: TableManifest(**table) for name, table in said.pop("tables").items()}
        return Manifest(tables=tables, **said)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SnapshotError(
            f"{file} is damaged: it is no manifest of a snapshot. Make the snapshot again (manage.py snapshot_sqlite), "
            f"or move the manifest away to do without its proof."
        ) from error


def check_manifest(path: Path, sha256: str) -> Manifest | None:
    """The manifest beside a snapshot whose bytes have this digest, or None if there is none.

    Raises SnapshotError if it is damaged, or describes a file of other bytes.
    """
    manifest = read_manifest(path)
    if manifest and manifest.sha256 != sha256:
        raise SnapshotError(
            f"{path} is not the file that its manifest describes: one of the two was changed or replaced since "
            f"they were made. Make the snapshot again (manage.py snapshot_sqlite)."
        )
    return manifest


# Taking a snapshot


def take_snapshot(
    source: Path, target: Path, progress: Progress = no_progress, wait_seconds: float = WAIT_SECONDS
) -> Manifest:
    """Copy an old SQLite file, which may be in use, to a target that is not there yet; its manifest.

    Raises SnapshotError, a sentence, if the source is no whole database of the old dashboard, is locked by a
    writer for longer than `wait_seconds`, or the target cannot be written; SnapshotLocked while another run makes
    the same target. Nothing is left then.
    """
    check_header(source)
    check_target(target)
    try:
        with work_folder(target) as folder:
            copy = back_up(source, folder, progress, wait_seconds)
            manifest = replace(checked(copy, source, progress), source=printable_name(source))
            Path(folder, "manifest.json").write_text(as_json(manifest) + "\n")
            publish(folder, target, progress)
    except OSError as error:
        raise SnapshotError(f"{target} cannot be written: {error.strerror}.") from error
    return manifest


def copy_in_use(source: Path, folder: Path, wait_seconds: float) -> Path:
    """A copy, in an empty folder, of an SQLite file as it is at one moment, whatever is written to it meanwhile.

    Raises SnapshotError, a sentence, where it is no database, or is locked for longer than `wait_seconds`.
    """
    check_header(source)
    return back_up(source, folder, no_progress, wait_seconds)


def printable_name(path: Path) -> str:
    return os.fsencode(path.name).decode(errors="replace")


def check_target(target: Path) -> None:
    """Refuse a target that is there, and one that something left beside it would be taken for a part of."""
    if not target.name:
        raise SnapshotError(f"{target} is a folder; give the name of a file in it.")
    if os.path.lexists(target):
        raise SnapshotError(f"{target} exists already; nothing is ever overwritten, so give another name.")
    for suffix in (*COMPANIONS, "-shm"):
        companion = target.with_name(target.name + suffix)
        if os.path.lexists(companion):
            raise SnapshotError(
                f"{companion} is left from another database and SQLite would take it for a part of {target.name}: "
                f"give another name, or move it away."
            )
    if not target.parent.is_dir():
        raise SnapshotError(f"The folder {target.parent} does not exist; make it first.")


@contextmanager
def work_folder(target: Path) -> Iterator[Path]:
    """A folder beside the target that only this run uses.

    1. It is made if it is not there, and so is a lock in it. 2. The lock is taken; it ends with the process,
    however that ends. 3. What a killed run left is removed. 4. At the end the folder is, before the lock ends:
    the other way round, a run that has just taken the lock would lose its files.
    """
    folder = target.with_name(f".{target.name}.part")
    folder.mkdir(mode=0o700, exist_ok=True)
    lock_path = folder / "lock"
    with lock_path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_ours = os.path.samestat(lock_path.stat(), os.fstat(lock.fileno()))
        except (BlockingIOError, FileNotFoundError):
            is_ours = False
        if not is_ours:
            raise SnapshotLocked(f"Another run is making {target}; wait until it is done.")
        try:
            for left in folder.iterdir():
                if left != lock_path:
                    left.unlink()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def back_up(source: Path, folder: Path, progress: Progress, wait_seconds: float) -> Path:
    """A copy of the source as it is at one moment, in the folder, that is not in WAL mode."""
    try:
        try:
            return copy_pages(readable_source(source, folder), folder, progress, wait_seconds)
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise
        # A program ended while it wrote. What it had begun is undone in a copy: the source is only read.
        files = copy_files(source, folder)
        with closing(sqlite3.connect(files)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return copy_pages(files, folder, progress, wait_seconds)
    except sqlite3.DatabaseError as error:
        raise sentence(error, source, wait_seconds) from error


def code_of(error: sqlite3.DatabaseError) -> int:
    """SQLite's extended code of an error, or 0 for one that Python's module raised itself."""
    return getattr(error, "sqlite_errorcode", 0)


def sentence(error: sqlite3.DatabaseError, source: Path, wait_seconds: float) -> SnapshotError:
    """What SQLite said, for the person who gave the source."""
    match code_of(error) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return SnapshotError(
                f"{source} was locked by a program that writes to it for more than {wait_seconds:g} seconds; "
                f"try again, or stop that program first."
            )
        case sqlite3.SQLITE_FULL:
            return SnapshotError("The disk of the target is full; make room or give another folder.")
        case sqlite3.SQLITE_NOTADB:
            return SnapshotError(f"{source} is no SQLite database.")
    return SnapshotError(f"{source} cannot be read whole; it may be damaged (SQLite says: {error}).")


def readable_source(source: Path, folder: Path) -> Path:
    """The source; or, of one in WAL mode that nobody has open, a copy.

    To read a file in WAL mode, SQLite makes a -wal and a -shm beside it, and with mode=ro it leaves them there.
    """
    with source.open("rb") as file:
        is_wal = file.read(100)[VERSIONS] == WAL_VERSIONS
    resolved = source.resolve()
    in_use = all(resolved.with_name(resolved.name + suffix).exists() for suffix in ("-wal", "-shm"))
    return copy_files(source, folder) if is_wal and not in_use else source


def copy_files(source: Path, folder: Path) -> Path:
    """A copy of a database that nobody has open, with what lies beside it.

    Locks say nothing here, so the copies are compared with the files afterwards.
    """
    resolved = source.resolve()
    for _ in range(COPY_TRIES):
        copies = {}
        for suffix in ("", *COMPANIONS):
            file, copy = resolved.with_name(resolved.name + suffix), folder / f"source.db{suffix}"
            copy.unlink(missing_ok=True)
            if file.exists():
                copies[file] = Path(shutil.copyfile(file, copy))
        with suppress(FileNotFoundError):
            if all(file_sha256(file) == file_sha256(copy) for file, copy in copies.items()):
                return folder / "source.db"
    raise SnapshotError(f"{source} was written to while it was copied; try again.")


def copy_pages(source: Path, folder: Path, progress: Progress, wait_seconds: float) -> Path:
    """Copy a database page by page, as it is at one moment, into `snapshot.db`."""
    copy = folder / "snapshot.db"
    with closing(connect(source)) as connection, closing(sqlite3.connect(copy)) as destination:
        begin_reading(connection, wait_seconds)
        # If this run is killed the copy is thrown away, so it needs no journal; it is flushed in the end.
        destination.execute("PRAGMA journal_mode = OFF")
        destination.execute("PRAGMA synchronous = OFF")
        connection.backup(
            destination,
            pages=PAGES_AT_ONCE,
            progress=lambda _, remaining, total: progress("Copying pages", total - remaining, total),
        )
    with closing(sqlite3.connect(copy)) as destination:
        # The pages of a source in WAL mode say that the copy is in WAL mode too.
        destination.execute("PRAGMA journal_mode = DELETE")
    return copy


def begin_reading(connection: sqlite3.Connection, wait_seconds: float) -> None:
    """Begin a read transaction: all pages are of that moment then. Waits for a writer, and can be interrupted."""
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("BEGIN")
    end = time.monotonic() + wait_seconds
    while True:
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if code_of(error) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(TRY_SECONDS)
        else:
            return


def checked(copy: Path, source: Path, progress: Progress) -> Manifest:
    """The manifest of a copy, once SQLite's check of it has passed and it is one of the old dashboard."""
    progress("Checking the copy", 0, 1)
    with called(source, copy), open_snapshot(copy) as opened:
        return make_manifest(opened, progress)


@contextmanager
def called(source: Path, copy: Path) -> Iterator[None]:
    """Say the source's name where the copy's is said: a person knows the source, and the copy is soon gone."""
    try:
        yield
    except SnapshotError as error:
        raise SnapshotError(str(error).replace(str(copy), str(source))) from error


def publish(folder: Path, target: Path, progress: Progress) -> None:
    """Give both files their names, for good: read-only, and on the disk before anything refers to them.

    1. Both files are flushed. 2. The manifest gets its name, and that is flushed. 3. The database gets its name.
    Stopped between 2 and 3, there is a manifest without a snapshot, which the next run replaces.
    """
    copy, manifest, named_manifest = folder / "snapshot.db", folder / "manifest.json", manifest_path(target)
    for file in (copy, manifest):
        file.chmod(0o444)
        flush(file)
    progress("Naming files", 0, 2)
    try:
        manifest.rename(named_manifest)
        flush(target.parent)
        progress("Naming files", 1, 2)
        check_target(target)
        copy.rename(target)
    except BaseException:
        if copy.exists():
            named_manifest.unlink(missing_ok=True)
        raise
    flush(target.parent)
    progress("Naming files", 2, 2)


def flush(path: Path) -> None:
    """Make what was written to a file or a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
