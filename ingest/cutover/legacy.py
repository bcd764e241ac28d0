"""The old dashboard's own SQLite file: the one module that may write it, and a guard that keeps everything else away.

A video is written in one transaction of the file. Of a row only what no longer says what is stored here is changed;
columns and tables that are not known stay as they are. The file is never made.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import local
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote

from django.conf import settings

from ingest.sqlite.codec import Text, Value
from ingest.sqlite.differences import StoredVideo, content_changes, differing, read_back
from ingest.sqlite.inverse import content_values, old_id, summary_values, variant_values
from ingest.sqlite.mapping import Mapper, Unmodelled, VideoRow
from ingest.sqlite.reader import connect, identifier
from ingest.sqlite.staging import PLACES, chronological
from summaries.models import Summary, SummaryText, Variant
from videos.upsert import VideoRecord

# Somebody else's write may take so long.
BUSY_SECONDS = 10
COMPANIONS = ("", "-wal", "-journal", "-shm")
# Each table beside `content` with the column that names the video.
TABLES = {
    "content_summaries": "content_id",
    "content_files": "content_id",
    "migration_log": "content_id",
    "summary_variants": "video_id",
}

# A text with the rowid of its row.
Placed = tuple[int, SummaryText]


class Found(NamedTuple):
    """What the file says of a video, its texts in the order of time; whether its generation holds subcategories."""

    row: VideoRow
    texts: list[SummaryText]
    holds_subcategories: bool


class NotTaken(Exception):
    """The old system does not take this video; the message is a sentence. Others may go on.

    `is_its_fault`: it may be the old system's, so that others may not be taken either.
    """

    def __init__(self, message: str, is_its_fault: bool = False) -> None:
        super().__init__(message)
        self.is_its_fault = is_its_fault


class Unanswered(Exception):
    """The old system takes nothing at all now; the message is a sentence with the next step."""


# The guard ----------------------------------------------------------------------------------------

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
NO_FOLDER = -1
guarded: frozenset[str] = frozenset()
is_installed = False
within = local()


def install_guard() -> None:
    """From now on nothing in this process but `writable` may write LEGACY_SQLITE: it gets a PermissionError.

    It sees what Python opens, removes, renames and cuts. It does not see other programs, nor ATTACH within SQLite.
    https://docs.python.org/3/library/audit_events.html
    """
    global guarded, is_installed
    path = os.path.realpath(settings.LEGACY_SQLITE) if settings.LEGACY_SQLITE else ""
    guarded = frozenset(path + companion for companion in COMPANIONS) if path else frozenset()
    if guarded and not is_installed:
        sys.addaudithook(guard)
        is_installed = True


def guard(event: str, arguments: tuple[Any, ...]) -> None:
    """Raises PermissionError for what would write the file."""
    if event not in WRITES or getattr(within, "is_allowed", False):
        return
    for path, folder in WRITES[event](*arguments):
        if resolved(path, folder) in guarded:
            raise PermissionError(
                f"{settings.LEGACY_SQLITE} is the old library (LEGACY_SQLITE), which nothing but dual write may write. "
                "Work on a copy of it."
            )


Written = Iterator[tuple[Any, int]]


def opened(path: Any, mode: str | None = None, flags: int = 0, *_: Any) -> Written:
    if flags & WRITING:
        yield path, NO_FOLDER


def removed(path: Any, folder: int = NO_FOLDER, *_: Any) -> Written:
    yield path, folder


def renamed(source: Any, target: Any, source_folder: int = NO_FOLDER, target_folder: int = NO_FOLDER) -> Written:
    yield source, source_folder
    yield target, target_folder


def cut(path: Any, *_: Any) -> Written:
    yield path, NO_FOLDER


def connected(database: Any, *_: Any) -> Written:
    """SQLite opens its file for writing unless a URI says otherwise."""
    name = os.fsdecode(database)
    if name.startswith("file:"):
        name, _, query = name.removeprefix("file:").partition("#")[0].partition("?")
        if parse_qs(query).get("mode", [""])[-1] == "ro":
            return
        name = unquote(name)
        if name.startswith("//"):
            name = "/" + name[2:].partition("/")[2]
    yield name, NO_FOLDER


# For each event what it would write: (path, the descriptor of the folder that it is relative to).
WRITES: dict[str, Callable[..., Written]] = {
    "open": opened,
    "os.remove": removed,
    "os.rename": renamed,
    "os.truncate": cut,
    "sqlite3.connect": connected,
}


def resolved(path: Any, folder: int) -> str:
    """The real path; empty for what is none, such as a descriptor, which was opened before."""
    if not isinstance(path, str | bytes | os.PathLike):
        return ""
    name = os.fsdecode(path)
    if folder != NO_FOLDER:
        name = os.path.join(f"/proc/self/fd/{folder}", name)  # noqa: PTH118
    try:
        return os.path.realpath(name)
    except ValueError:
        # A NUL byte: whoever opens it is told so.
        return ""


@contextmanager
def writable(path: Path) -> Iterator[sqlite3.Connection]:
    """The file in a transaction: committed at the end of the block, rolled back if it raises.

    Raises Unanswered where the file cannot be written now.
    """
    within.is_allowed = True
    try:
        address = f"file:{quote(os.fsencode(path.resolve()))}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.text_factory = Text
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        raise Unanswered(
            f"The old file {path} cannot be written (SQLite says: {error}). Check LEGACY_SQLITE, the rights "
            "to the file and its folder, and whether another program keeps it locked."
        ) from error
    finally:
        within.is_allowed = False


# Rows ---------------------------------------------------------------------------------------------


def write(path: Path, video: StoredVideo, summaries: Sequence[Summary]) -> None:
    """Let the file say what is stored of a video; `summaries` are all its revisions.

    Raises NotTaken and Unanswered.
    """
    try:
        with writable(path) as connection:
            write_content(connection, video)
            write_summaries(connection, video.record, summaries)
    except sqlite3.IntegrityError as error:
        raise NotTaken(f"The old file's own rules forbid this row (SQLite says: {error}).") from error


def delete(path: Path, record: VideoRecord) -> None:
    """Remove a video's rows from all tables. Raises Unanswered."""
    with writable(path) as connection:
        while row := find(connection, record):
            names = own_names(connection, row, record)
            connection.execute("DELETE FROM content WHERE rowid = ?", (row["rowid"],))
            for table, column in TABLES.items():
                if columns_of(connection, table):
                    remove(connection, table, column, names)


def read(path: Path, record: VideoRecord) -> Found | None:
    """What the file says of a video; None if it has none, or no readable one. Raises Unanswered."""
    try:
        with closing(connect(path)) as connection:
            connection.text_factory = Text
            connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
            if (row := find(connection, record)) is None or (said := read_back(row)) is None:
                return None
            texts = [(PLACES["content"], said.summary)] if said.summary else []
            names = own_names(connection, row, record)
            texts += [(PLACES["content_summaries"], text) for _, text in flat_texts(connection, names)]
            texts += [(PLACES["summary_variants"], text) for _, text in recorded_texts(connection, names)]
            return Found(said, chronological(texts), "subcategories_json" in row)
    except sqlite3.Error as error:
        raise Unanswered(f"The old file {path} cannot be read (SQLite says: {error}). Check LEGACY_SQLITE.") from error


def columns_of(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table that can be written; none if there is no such table."""
    return [bytes(row[1]).decode() for row in connection.execute(f"PRAGMA table_info({identifier(table)})")]


def rows(connection: sqlite3.Connection, table: str, column: str, name: str) -> list[dict[str, Value]]:
    """The rows whose column is this text, each with its rowid."""
    columns = ["rowid", *columns_of(connection, table)]
    listed = ", ".join(map(identifier, columns))
    found = connection.execute(f"SELECT {listed} FROM {table} WHERE {identifier(column)} = ? ORDER BY rowid", (name,))
    return [dict(zip(columns, row, strict=True)) for row in found]


def find(connection: sqlite3.Connection, record: VideoRecord) -> dict[str, Value] | None:
    """The video's row of `content`: by its old ID, else by its key."""
    for column, name in (("id", old_id(record)), ("id", record.video_id), ("video_id", record.video_id)):
        if found := rows(connection, "content", column, name):
            return found[0]
    return None


def own_names(connection: sqlite3.Connection, row: Mapping[str, Value], record: VideoRecord) -> list[str]:
    """What rows of other tables may call the video, less what is also another one's name."""
    names = {record.video_id, f"yt:{record.video_id}", old_id(record)}
    names |= {name.decode(errors="replace") for name in (row["id"], row["video_id"]) if isinstance(name, Text)}
    return [
        name
        for name in sorted(names - {""})
        if not connection.execute(
            "SELECT 1 FROM content WHERE (id = ? OR video_id = ?) AND rowid <> ?", (name, name, row["rowid"])
        ).fetchone()
    ]


def write_content(connection: sqlite3.Connection, video: StoredVideo) -> None:
    values = content_values(video.record, video.pairs)
    row = find(connection, video.record)
    if row is None:
        put(connection, "content", values)
        return
    said = read_back(row)
    if said and said.record.video_id == video.record.video_id:
        changes = content_changes(row, said, video, differing(said.record, video.record))
    else:
        # An import could not take the row, or took it for another: now it is this video's.
        changes = {name: value for name, value in values.items() if name != "id"}
    update(connection, "content", row["rowid"], changes)


def write_summaries(connection: sqlite3.Connection, record: VideoRecord, summaries: Sequence[Summary]) -> None:
    """The best text as the one that the old dashboard shows, and revisions where the file has a table of them."""
    latest = [summary for summary in summaries if summary.is_latest]
    row = find(connection, record)
    if not latest or row is None:
        return
    best = min(latest, key=lambda one: Variant.rank(one.variant))
    names = own_names(connection, row, record)
    if not says(flat_texts(connection, names), best):
        name = row["id"].decode() if isinstance(row["id"], Text) else record.video_id
        values = summary_values(best, name)
        if held := rows(connection, "content_summaries", "content_id", name):
            update(connection, "content_summaries", held[0]["rowid"], values)
        else:
            put(connection, "content_summaries", values)
    if columns_of(connection, "summary_variants"):
        write_revisions(connection, record, names, summaries)


def write_revisions(
    connection: sqlite3.Connection, record: VideoRecord, names: Sequence[str], summaries: Sequence[Summary]
) -> None:
    """Add the revisions that no row says, and let the latest of each variant be the latest.

    A text that `content_summaries` has needs no row here as long as its variant has none.
    """
    flat, recorded = flat_texts(connection, names), recorded_texts(connection, names)
    variants = {text.variant for _, text in recorded}
    for summary in sorted(summaries, key=lambda one: (one.variant, one.revision)):
        if same := says(recorded, summary):
            recorded.remove(same)
            key, text = same
            if text.is_latest != summary.is_latest:
                update(connection, "summary_variants", key, {"is_latest": int(summary.is_latest)})
        elif summary.variant in variants or not says(flat, summary):
            put(connection, "summary_variants", variant_values(summary, record.video_id))
            variants.add(summary.variant)
    held = {summary.variant for summary in summaries}
    for key, text in recorded:
        if text.variant in held and text.is_latest:
            update(connection, "summary_variants", key, {"is_latest": 0})


def says(texts: Sequence[Placed], summary: Summary) -> Placed | None:
    """The first of these rows that has this text of this variant."""
    return next((row for row in texts if (row[1].variant, row[1].text) == (summary.variant, summary.text)), None)


def flat_texts(connection: sqlite3.Connection, names: Sequence[str]) -> list[Placed]:
    """The texts of `content_summaries`, with their rowids."""
    return texts(connection, "content_summaries", names, Mapper().summary)


def recorded_texts(connection: sqlite3.Connection, names: Sequence[str]) -> list[Placed]:
    """The texts of `summary_variants`, with their rowids, in that order; of an older file none."""
    if not columns_of(connection, "summary_variants"):
        return []
    return texts(connection, "summary_variants", names, Mapper().variant_text)


def texts(
    connection: sqlite3.Connection,
    table: str,
    names: Sequence[str],
    read_text: Callable[[dict[str, Value]], SummaryText | None],
) -> list[Placed]:
    found = []
    for row in (row for name in names for row in rows(connection, table, TABLES[table], name)):
        try:
            text = read_text(row)
        except Unmodelled:
            continue
        if text:
            found.append((row["rowid"], text))
    return sorted(found, key=lambda one: one[0])


# Statements


def bound(value: Value) -> Value | str:
    return value.decode() if isinstance(value, Text) else value


def put(connection: sqlite3.Connection, table: str, values: Mapping[str, Value]) -> None:
    """Add a row with the values that the table has columns for."""
    own = {name: bound(value) for name, value in values.items() if name in columns_of(connection, table)}
    listed, places = ", ".join(map(identifier, own)), ", ".join("?" for _ in own)
    connection.execute(f"INSERT INTO {identifier(table)} ({listed}) VALUES ({places})", list(own.values()))


def update(connection: sqlite3.Connection, table: str, key: Value, values: Mapping[str, Value]) -> None:
    """Change what the table has columns for."""
    own = {name: bound(value) for name, value in values.items() if name in columns_of(connection, table)}
    if own:
        listed = ", ".join(f"{identifier(name)} = ?" for name in own)
        connection.execute(f"UPDATE {identifier(table)} SET {listed} WHERE rowid = ?", [*own.values(), key])


def remove(connection: sqlite3.Connection, table: str, column: str, names: Sequence[str]) -> None:
    places = ", ".join("?" for _ in names)
    connection.execute(f"DELETE FROM {identifier(table)} WHERE {identifier(column)} IN ({places})", list(names))
