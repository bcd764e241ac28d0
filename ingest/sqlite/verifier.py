"""Proves that a snapshot is in the library, whole and exact.

A path of its own: it trusts nothing that the importer wrote. The file is read again and compared with the vault
byte for byte, and with the models value by value, by rules that are written here (docs/import.md). Whatever is
not equal is explained by the history of the library, or it is wrong.
"""

import ast
import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache, cached_property, lru_cache
from itertools import groupby, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pgtrigger
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.db import connection, models, transaction

from ingest.models import SCHEMA_TABLE, QuarantinedRow, RowOutcome, Snapshot, VaultRow
from summaries.models import Summary, SummaryEvent, Variant
from summaries.rendering import render
from videos.keys import VideoKey, natural_key
from videos.models import Categorization, CategorizationEvent, Category, Origin, Pair, Subcategory, Video, VideoEvent

from .codec import Row, Text, Value, decode, encode
from .digests import TableDigest, library_digest, row_digest, schema_digest
from .exporter import export_library, restore_vault
from .inspection import Triple, printable, triples_digest
from .inverse import content_values, variant_values
from .publishing import ExportError
from .reader import Source, identifier, open_snapshot

ROWS_AT_ONCE = 1000
VIDEOS_AT_ONCE = 300
# What a report holds of each equation's differences; all of them are counted.
MOST_EXAMPLES = 200
SHOWN_CHARACTERS = 60
# More summaries than this are rendered again by sample: one takes about 0.1 ms.
RENDERED_AT_MOST = 20_000
# Who made a change that the history has no name for.
NAMELESS = "without a name"
ORIGINS = {origin.value: origin for origin in Origin}
MODELLED_TABLES = ("content", "content_summaries", "summary_variants")
TEXT_COLUMNS = {"content": "summary", "content_summaries": "summary_text", "summary_variants": "content"}
# How a row of a table names its video.
REFERENCES = {
    "content": "id", "content_summaries": "content_id", "summary_variants": "video_id", "content_files": "content_id"
}  # fmt: skip

Progress = Callable[[str, int], None]


class NotImported(Exception):
    """The snapshot was never imported here, or not to the end; the message says the command."""


class Equation(StrEnum):
    """What is proven, in the order of the report."""

    VAULT = "vault"
    ROWS = "rows"
    MODELS = "models"
    TRIPLES = "triples"
    ROUND_TRIP = "round_trip"
    DATABASE = "database"


class Verdict(StrEnum):
    """What a comparison of one value found; the names are fields of ColumnCount."""

    EXACT = "exact"
    BY_RULE = "by_rule"
    CHANGED = "changed_later"
    KEPT = "newer_kept"
    CURATED = "curated_kept"
    VAULT_ONLY = "vault_only"
    WRONG = "wrong"


EXACT, BY_RULE = Verdict.EXACT, Verdict.BY_RULE


@dataclass(frozen=True)
class Difference:
    """One thing that is wrong; values are shown around the place where they differ, escaped for a terminal."""

    table: str
    key: int | None
    video_id: str
    column: str
    source: str
    stored: str
    message: str


@dataclass
class Differences:
    """All that is wrong in one equation: how many, and the first of them."""

    count: int = 0
    examples: list[Difference] = field(default_factory=list)

    def add(self, difference: Difference) -> None:
        self.count += 1
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(difference)


@dataclass
class VaultTable:
    """Equation 1: the rows of a table in the file and in the vault, and the digests computed from each."""

    table: str
    rows_in_file: int = 0
    rows_in_vault: int = 0
    file_digest: str = ""
    vault_digest: str = ""
    wrong: int = 0


@dataclass
class RowCount:
    """Equation 2: rows = modelled + quarantined + skipped_deleted; `lost` are in none of them."""

    table: str
    rows: int = 0
    modelled: int = 0
    quarantined: int = 0
    skipped_deleted: int = 0
    lost: int = 0
    wrong: int = 0


@dataclass
class ColumnCount:
    """Equation 3: the values of a column of modelled, live rows, by what the comparison found."""

    table: str
    column: str
    compared: int = 0
    exact: int = 0
    by_rule: int = 0
    changed_later: int = 0
    newer_kept: int = 0
    curated_kept: int = 0
    vault_only: int = 0
    wrong: int = 0


@dataclass
class HtmlCheck:
    """Summaries of the library, those whose HTML was rendered again, and those where it differs."""

    summaries: int = 0
    rendered: int = 0
    wrong: int = 0


@dataclass
class TripleCount:
    """Equation 4: triples (video, category, subcategory) of modelled, live videos."""

    source: int = 0
    models: int = 0
    source_digest: str = ""
    models_digest: str = ""
    explained: int = 0
    wrong: int = 0


@dataclass
class RoundTrip:
    """Equation 5: a file written back, by its digest; `explained` rows differ because their videos changed."""

    name: str
    source_digest: str
    file_digest: str
    explained: int = 0
    wrong: int = 0


@dataclass
class DatabaseCheck:
    """Equation 6: how many things of a kind were looked at, and how many are wrong."""

    name: str
    checked: int
    wrong: int


@dataclass
class Change:
    """What became of videos of the snapshot since its import: how many, by whom, when first and last."""

    kind: str
    by: str
    videos: int
    first: str
    last: str
    examples: list[str]


@dataclass
class VerifyReport:
    """Every equation with its numbers. All hold if nothing is wrong in any."""

    name: str
    sha256: str
    generation: str
    imported_at: str
    vault: list[VaultTable] = field(default_factory=list)
    rows: list[RowCount] = field(default_factory=list)
    models: list[ColumnCount] = field(default_factory=list)
    html: HtmlCheck = field(default_factory=HtmlCheck)
    triples: TripleCount = field(default_factory=TripleCount)
    round_trip: list[RoundTrip] = field(default_factory=list)
    database: list[DatabaseCheck] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    differences: dict[str, Differences] = field(
        default_factory=lambda: {equation.value: Differences() for equation in Equation}
    )

    @property
    def wrong(self) -> int:
        return sum(differences.count for differences in self.differences.values())

    @property
    def holds(self) -> bool:
        """Whether everything of the snapshot is here, or its absence is explained."""
        return not self.wrong


def verify_snapshot(path: Path, progress: Progress = lambda stage, rows: None) -> VerifyReport:
    """Compare a snapshot with the library, which is only read, at one moment.

    Raises SnapshotError for a file that cannot be taken, NotImported for one that is not here yet.
    `progress` is told the stage and how many more rows are done.
    """
    with open_snapshot(path) as source, one_moment():
        return Verifier(source, imported(source, path), progress).run()


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


# Old values, read for a comparison: by rules of this file's own ------------------------------------


def read_number(value: Value) -> int:
    """A count: nothing is 0, 12.0 is 12. Raises ValueError."""
    if not value:
        return 0
    if isinstance(value, int | float) and value == int(value):
        return int(value)
    raise ValueError("no whole number")


TIME_PARTS = re.compile(r"([0-9-]{8,10})(?:[T ]([0-9:]+)(?:[.,]([0-9]+))?\s*(Z|[+-][0-9:]+)?)?")


@lru_cache(maxsize=10_000)
def read_time(value: Value) -> datetime | None:
    """An instant: no zone is UTC, a date is its midnight, finer than a microsecond is cut. Raises ValueError."""
    if value is None or not value.strip():
        return None
    if not (match := TIME_PARTS.fullmatch(value.decode().strip())):
        raise ValueError("no time")
    date, clock, fraction, zone = match.groups(default="")
    hour, minute, second, *_ = *(int(part) for part in clock.split(":") if part), 0, 0, 0
    moment = datetime.strptime(date.replace("-", ""), "%Y%m%d").replace(
        hour=hour, minute=minute, second=second, microsecond=int(fraction[:6].ljust(6, "0")), tzinfo=UTC
    )
    if zone in ("", "Z"):
        return moment
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return moment + offset if zone[0] == "-" else moment - offset


def read_json(value: Value) -> Any:
    """A JSON value; nothing is None. Raises ValueError."""
    return json.loads(value.decode()) if value and value.strip() else None


def same_json(one: Any, other: Any) -> bool:
    """Whether two parsed JSON values say the same: 1 and 1.0 do, 1 and true do not."""
    match one, other:
        case (bool() | None, _) | (_, bool() | None):
            return one is other
        case (int() | float(), int() | float()):
            return one == other or float(one) == float(other)
        case dict(), dict():
            return one.keys() == other.keys() and all(same_json(item, other[key]) for key, item in one.items())
        case list(), list():
            return len(one) == len(other) and all(map(same_json, one, other))
    return type(one) is type(other) and one == other


def is_text(value: Value) -> bool:
    return value is None or type(value) is Text


class Kind(StrEnum):
    """What a column holds, and so which old values say the same as a field of a model."""

    TEXT = "text"
    NUMBER = "number"
    OPTIONAL_NUMBER = "optional_number"
    FLAG = "flag"
    TIME = "time"
    JSON = "json"
    JSON_LIST = "json_list"

    def holds(self, value: Value, stored: Any) -> bool:
        """Whether the stored field says what the old value says."""
        try:
            match self:
                case Kind.TEXT:
                    return is_text(value) and (value or b"") == stored.encode()
                case Kind.NUMBER:
                    return read_number(value) == stored
                case Kind.OPTIONAL_NUMBER:
                    return stored is None if value is None else read_number(value) == stored
                case Kind.FLAG:
                    return read_number(value) == int(stored)
                case Kind.TIME:
                    return is_text(value) and read_time(value) == stored
                case Kind.JSON:
                    return is_text(value) and same_json(read_json(value), stored)
                case Kind.JSON_LIST:
                    return is_text(value) and same_json(read_json(value) or [], stored)
        except (ValueError, OverflowError, RecursionError, AttributeError):
            return False

    def is_empty(self, value: Value) -> bool:
        """Whether the old value says nothing, so that no merge would take it over another."""
        match self:
            case Kind.TEXT | Kind.TIME:
                return not value or not value.strip()
            case Kind.JSON | Kind.JSON_LIST:
                return any(self.holds(value, nothing) for nothing in (None, [], {}, ""))
        return not value


# A column of `content`: its kind, and the field that it became.
FIELDS: dict[str, tuple[Kind, str]] = {
    "id": (Kind.TEXT, "legacy_id"),
    **{
        name: (kind, name)
        for kind, names in {
            Kind.TEXT: "title canonical_url thumbnail_url channel_name channel_id content_type complexity_level "
            "language subcategories_json format_source processing_status",
            Kind.NUMBER: "duration_seconds word_count audio_duration_seconds transcript_chars view_count like_count "
            "comment_count",
            Kind.FLAG: "has_audio has_transcript",
            Kind.TIME: "published_at indexed_at created_at updated_at",
            Kind.JSON: "analysis",
            Kind.JSON_LIST: "key_topics named_entities",
        }.items()
        for name in names.split()
    },
}
# A column of `summary_variants` beside its text: its kind, and the field that it became.
VARIANT_FIELDS: dict[str, tuple[Kind, str]] = {
    "metadata": (Kind.JSON, "metadata"),
    "raw_payload": (Kind.JSON, "raw_payload"),
    "created_at": (Kind.TIME, "created_at"),
    "updated_at": (Kind.TIME, "updated_at"),
    "file_size": (Kind.OPTIONAL_NUMBER, "file_size_bytes"),
    "word_count": (Kind.OPTIONAL_NUMBER, "word_count"),
}
# Columns whose old values the inverse mapping can make up, where nothing is stored.
MADE_UP = ("id", "subcategories_json", "analysis")
# Fields that keep what they have, however old it is.
SET_ONCE = ("id", "indexed_at", "created_at")
PLACEHOLDERS = {
    "title": re.compile(r"untitled|\(untitled\)|unknown|temp|content \S*", re.IGNORECASE),
    "channel_name": re.compile("unknown|temp", re.IGNORECASE),
    "canonical_url": re.compile(r"https?://(www\.)?example\.com/?"),
    "thumbnail_url": re.compile(r"https?://(www\.)?example\.com/?"),
}


def is_placeholder(column: str, value: Value) -> bool:
    """Whether the old value only stands for one."""
    pattern = PLACEHOLDERS.get(column)
    return bool(pattern and pattern.fullmatch(lenient(value)))


def lenient(value: Value) -> str:
    """A value as text that names something; bytes that are no UTF-8 stay apart."""
    if value is None:
        return ""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else str(value)


class SourcePair(NamedTuple):
    """A category that a row is in, its subcategory, and the column that says so."""

    category: str
    subcategory: str | None
    column: str

    @property
    def names(self) -> tuple[str, str | None]:
        return self.category, self.subcategory


@cache
def taxonomy() -> tuple[dict[str, list[str]], frozenset[str]]:
    """The known categories with their subcategories, and all names that a joined text is split into."""
    listed = json.loads(Path(settings.BASE_DIR, "videos", "taxonomy.json").read_text())
    categories = {entry["category"]: entry["subcategories"] for entry in listed["categories"]}
    return categories, frozenset([*categories, *listed["older_flat_names"]])


def flat_names(value: Value) -> list[str]:
    """The names in `category`: a JSON list, a JSON string, plain text, or known names joined by commas."""
    text = lenient(value).strip()
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = text
    if isinstance(parsed, list):
        return unique(parsed)
    if isinstance(parsed, str):
        parts = parsed.split(", ")
        return unique(parts if len(parts) > 1 and taxonomy()[1].issuperset(parts) else [parsed])
    return [] if parsed is None else unique([text])


def structured_names(value: Any) -> dict[str, list[str]]:
    """Category → subcategories of `{"categories": [{category, subcategories}]}` or of the bare list."""
    entries = value.get("categories") if isinstance(value, dict) else value
    below: dict[str, list[str]] = {}
    for entry in entries or []:
        if name := str(entry["category"]).strip():
            below[name] = unique([*below.get(name, []), *(entry.get("subcategories") or [])])
    return below


def unique(names: Iterable[Any]) -> list[str]:
    """Names without white space around them, empty ones and repetitions."""
    return list(dict.fromkeys(name for name in (str(name).strip() for name in names) if name))


def source_pairs(values: dict[str, Value]) -> tuple[list[SourcePair], str]:
    """The categories that a row of `content` says, in order; and a subcategory that belongs to none of them."""
    flat = flat_names(values.get("category"))
    below, column = {}, "subcategories_json"
    try:
        below = structured_names(read_json(values.get("subcategories_json")))
        if not below and isinstance(analysis := read_json(values.get("analysis")), dict):
            below, column = structured_names(analysis.get("categories")), "analysis"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # Of a row that is modelled this can be read; otherwise the comparison says what is missing.
        below = {}
    lone = lenient(values.get("subcategory")).strip()
    if lone and not below and flat:
        listed = taxonomy()[0]
        parent = next((name for name in flat if lone in listed.get(name, ())), flat[0])
        below, column, lone = {parent: [lone]}, "subcategory", ""
    pairs = []
    for category in dict.fromkeys([*flat, *below]):
        if names := below.get(category):
            pairs += [SourcePair(category, name, column) for name in names]
        else:
            pairs.append(SourcePair(category, None, "category" if category in flat else column))
    return pairs, lone if not below else ""


def own_variant(text: str) -> str:
    """The variant of `content.summary`: what its object names, else the plain one."""
    for read in (json.loads, ast.literal_eval) if text.lstrip().startswith("{") else ():
        try:
            value = read(text.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, dict) and isinstance(kind := value.get("summary_type"), str):
            return Variant.parse(kind)
        break
    return Variant.COMPREHENSIVE.value


# Rows side by side ---------------------------------------------------------------------------------


class Following:
    """Rows of a query, the first column of which grows, asked for by growing keys."""

    def __init__(self, rows: Iterator[tuple]) -> None:
        self.rows = rows
        self.next = next(rows, None)

    def before(self, key: int | None) -> Iterator[tuple]:
        """The rows with smaller keys that were not taken; all that are left for None."""
        while self.next is not None and (key is None or self.next[0] < key):
            row, self.next = self.next, next(self.rows, None)
            yield row

    def take(self, key: int) -> tuple | None:
        """The row with this key."""
        if self.next is None or self.next[0] != key:
            return None
        row, self.next = self.next, next(self.rows, None)
        return row


def stream(statement: str, parameters: Sequence[Any]) -> Iterator[tuple]:
    """The rows of a query through a cursor of the server's, so that memory stays flat."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, parameters)
        while rows := cursor.fetchmany(2 * ROWS_AT_ONCE):
            yield from rows


def batches(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


def side_by_side(one: Any, other: Any) -> tuple[str, str]:
    """Two values for people, from a little before the first difference."""
    texts = [in_words(one), in_words(other)]
    same = next((place for place, pair in enumerate(zip(*texts, strict=False)) if len(set(pair)) > 1), None)
    start = max(0, (min(map(len, texts)) if same is None else same) - SHOWN_CHARACTERS // 2)
    shown = []
    for text in texts:
        part = text[start : start + SHOWN_CHARACTERS]
        shown.append(("…" if start else "") + part + ("…" if len(text) > start + SHOWN_CHARACTERS else ""))
    return shown[0], shown[1]


def in_words(value: Any) -> str:
    match value:
        case None:
            return "NULL"
        case Text():
            return f"'{printable(value.decode(errors='backslashreplace'))}'"
        case bytes():
            return f"x'{value.hex()}'"
        case str():
            return f"'{printable(value)}'"
        case datetime():
            return value.isoformat()
        case (str(category), None | str() as subcategory):
            return printable(category if subcategory is None else f"{category} › {subcategory}")
        case list() if all(isinstance(item, tuple) for item in value):
            return ", ".join(map(in_words, value)) or "none"
        case list() | dict():
            return printable(json.dumps(value, ensure_ascii=False, default=str))
    return str(value)


class Side(StrEnum):
    """Who has a triple."""

    SOURCE = "source"
    MODELS = "models"
    BOTH = "both"


class Ledger:
    """What was found of each row, in a temporary file of SQLite, so that memory stays flat."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.executescript("""
            PRAGMA synchronous = OFF; PRAGMA cache_size = -32768;
            CREATE TABLE name (name BLOB, rank INTEGER, key INTEGER, PRIMARY KEY (name, rank)) WITHOUT ROWID;
            CREATE TABLE video (video_id TEXT PRIMARY KEY, key INTEGER, is_live INTEGER, is_newer INTEGER)
                WITHOUT ROWID;
            CREATE TABLE video_of (source TEXT, key INTEGER, video_id TEXT, PRIMARY KEY (source, key)) WITHOUT ROWID;
            CREATE TABLE summary (video_id TEXT, source TEXT, key INTEGER);
            CREATE TABLE triple (side TEXT, video BLOB, category BLOB, subcategory BLOB);
            CREATE TABLE change (kind TEXT, actor TEXT, video_id TEXT, at TEXT, PRIMARY KEY (kind, actor, video_id))
                WITHOUT ROWID;
            CREATE INDEX change_video ON change (video_id);
            BEGIN;
        """)

    def close(self) -> None:
        self.database.close()

    def add_video(self, key: int, video: Video, old_id: str, native_id: str, is_newer: bool) -> bool:
        """Note that a row of `content` is this video; whether no earlier row is."""
        cursor = self.database.execute(
            "INSERT OR IGNORE INTO video VALUES (?, ?, ?, ?)", (video.pk, key, video.deleted_at is None, is_newer)
        )
        self.database.execute("INSERT INTO video_of VALUES ('content', ?, ?)", (key, video.pk))
        self.add_names(key, 0, old_id, video.pk, native_id)
        return cursor.rowcount == 1

    def add_names(self, key: int, first_rank: int, *names: str) -> None:
        """Note names of a row: from rank 0 its old ID, its key and the id it has; from 3 those of a refused row."""
        for rank, name in enumerate(names, start=first_rank):
            if name:
                encoded = name.encode(errors="surrogateescape")
                self.database.execute("INSERT OR REPLACE INTO name VALUES (?, ?, ?)", (encoded, rank, key))

    def add_unlisted(self, video: Video) -> None:
        """Note a video that rows of other tables name, and no row of `content`."""
        self.database.execute("INSERT OR IGNORE INTO video VALUES (?, NULL, ?, 0)", (video.pk, not video.deleted_at))

    def is_named(self, name: str, rank: int) -> bool:
        """Whether an earlier row, taken or refused, has this old ID (rank 0) or key (rank 1)."""
        encoded = name.encode(errors="surrogateescape")
        statement = "SELECT 1 FROM name WHERE name = ? AND rank IN (?, ?)"
        return bool(self.database.execute(statement, (encoded, rank, rank + 3)).fetchone())

    def video_named(self, name: str) -> tuple[str, bool] | None:
        """The video that a row of another table names, and whether it is live."""
        for candidate in VideoKey.parse(name).candidates:
            found = self.database.execute(
                "SELECT video.video_id, is_live FROM name JOIN video_of USING (key) JOIN video USING (video_id)"
                " WHERE name = ? AND rank < 3 AND source = 'content' ORDER BY rank LIMIT 1",
                (candidate.encode(),),
            ).fetchone()
            if found:
                return found[0], bool(found[1])
        return None

    def key_of(self, video_id: str) -> int:
        """The row of `content` that is this video."""
        return self.database.execute("SELECT key FROM video WHERE video_id = ?", (video_id,)).fetchone()[0]

    def add_summary(self, video_id: str, table: str, key: int) -> None:
        self.database.execute("INSERT INTO summary VALUES (?, ?, ?)", (video_id, table, key))

    def add_row(self, table: str, key: int, video_id: str) -> None:
        """Note which video a row of another table than `content` belongs to."""
        self.database.execute("INSERT INTO video_of VALUES (?, ?, ?)", (table, key, video_id))

    def video_of(self, table: str, key: int) -> str | None:
        found = self.database.execute(
            "SELECT video_id FROM video_of WHERE source = ? AND key = ?", (table, key)
        ).fetchone()
        return found[0] if found else None

    def summaries(self) -> Iterator[tuple[str, bool, list[tuple[str, int]]]]:
        """Each live video with summaries: its key, whether its data here was newer, the places of its texts."""
        rows = self.database.execute(
            "SELECT video_id, is_newer, source, summary.key FROM summary JOIN video USING (video_id)"
            " ORDER BY video_id, source, summary.key"
        )
        for (video_id, is_newer), group in groupby(rows, key=lambda row: row[:2]):
            yield video_id, bool(is_newer), [row[2:] for row in group]

    def add_triples(self, side: Side, video: str, pairs: Iterable[tuple[str, str | None]]) -> None:
        def stored(name: str | None) -> bytes | None:
            return None if name is None else name.encode(errors="surrogatepass")

        self.database.executemany(
            "INSERT INTO triple VALUES (?, ?, ?, ?)",
            [(side, stored(video), stored(category), stored(subcategory)) for category, subcategory in pairs],
        )

    def triples(self, side: Side) -> Iterator[Triple]:
        """The triples of one side, with those that both have."""
        for row in self.database.execute(
            "SELECT video, category, subcategory FROM triple WHERE side IN (?, ?)", (side, Side.BOTH)
        ):
            yield tuple(None if name is None else name.decode(errors="surrogatepass") for name in row)

    def has_triples(self, side: Side) -> bool:
        """Whether this side has triples that the other lacks, or has in another order."""
        return bool(self.database.execute("SELECT 1 FROM triple WHERE side = ? LIMIT 1", (side,)).fetchone())

    def add_change(self, kind: str, by: str, video_id: str, at: datetime | None) -> None:
        self.database.execute(
            "INSERT INTO change VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
            (kind, by, video_id, at.astimezone(UTC).isoformat(timespec="seconds") if at else ""),
        )

    def is_changed(self, video_id: str) -> bool:
        return bool(self.database.execute("SELECT 1 FROM change WHERE video_id = ? LIMIT 1", (video_id,)).fetchone())

    def changes(self) -> list[Change]:
        """The changes by kind and person, the most frequent first."""
        rows = self.database.execute(
            "SELECT kind, actor, count(*), min(at), max(at) FROM change GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        ).fetchall()
        return [
            Change(
                kind, by, videos, first, last,
                [
                    video_id
                    for (video_id,) in self.database.execute(
                        "SELECT video_id FROM change WHERE kind = ? AND actor = ? ORDER BY at DESC LIMIT 3", (kind, by)
                    )
                ],
            )
            for kind, by, videos, first, last in rows
        ]  # fmt: skip


# The history ---------------------------------------------------------------------------------------


class Explanation(NamedTuple):
    """Why a value differs from the file's: the verdict, and by whom and when if that is known."""

    verdict: Verdict
    by: str = ""
    at: datetime | None = None


def explained_by(event: models.Model) -> Explanation:
    """The explanation that an event of the history gives."""
    return Explanation(Verdict.CHANGED, actor(event), event.pgh_created_at)


def context_of(event: models.Model) -> dict[str, Any]:
    """What the history has noted of who made a change, and how."""
    context = event.pgh_context
    return context.metadata if context and isinstance(context.metadata, dict) else {}


def actor(event: models.Model) -> str:
    """Who made a change."""
    match context_of(event):
        case {"user": user} if user is not None:
            return user_name(user)
        case {"import_sqlite": sha256}:
            return snapshot_name(sha256)
        case {"name": str(name)} if name:
            return printable(name)
        case {"url": str(url)}:
            return f"a request to {printable(url)}"
    return NAMELESS


@lru_cache(maxsize=1000)
def snapshot_name(sha256: str) -> str:
    snapshot = Snapshot.objects.filter(sha256=sha256).first()
    return f"the import of {snapshot.name if snapshot else sha256}"


@lru_cache(maxsize=1000)
def user_name(number: Any) -> str:
    users = get_user_model().objects
    user = users.filter(pk=number).first() if isinstance(number, int) else None
    return user.get_username() if user else f"user {number}"


def events_of(event_model: type[models.Model], reference: str, video_ids: Iterable[str]) -> dict[str, list[Any]]:
    """The events of these videos, oldest first, by video_id."""
    events: dict[str, list[Any]] = defaultdict(list)
    for event in (
        event_model.objects.filter(**{f"{reference}__in": list(video_ids)})
        .select_related("pgh_context")
        .order_by("pgh_id")
    ):
        events[getattr(event, reference)].append(event)
    return events


@dataclass
class ContentRow:
    """A row of `content`, and what stands for it here."""

    key: int
    values: dict[str, Value]
    quarantine: tuple[str, str, bytes] | None = None
    video: Video | None = None

    @cached_property
    def old_id(self) -> str:
        return lenient(self.values.get("id"))

    @cached_property
    def native_key(self) -> str | None:
        """The key that the row's own values give, or None."""
        try:
            return natural_key(*(lenient(self.values.get(name)) for name in ("video_id", "id", "canonical_url")))[1]
        except ValueError:
            return None

    @cached_property
    def time(self) -> datetime | None:
        """The time of the row's data."""
        try:
            return read_time(self.values.get("updated_at"))
        except (ValueError, AttributeError, OverflowError):
            return None


@dataclass
class StoredPair:
    """A categorisation as it stands here."""

    number: int
    category_id: int
    subcategory_id: int | None
    category: str
    subcategory: str | None
    origin: str

    @property
    def names(self) -> tuple[str, str | None]:
        return self.category, self.subcategory


@dataclass
class SourceText:
    """A text of a summary in the file; `values` are the other columns of its row."""

    table: str
    key: int
    column: str
    text: Value
    variant: str
    values: dict[str, Value]

    @property
    def is_flagged(self) -> bool:
        """Whether its row says that it is the latest of its variant."""
        return Kind.FLAG.holds(self.values.get("is_latest"), True)


def find_videos(rows: list[ContentRow]) -> None:
    """The video of each row: the one with its old ID, else the one with its own key."""
    videos = Video.objects.defer(*generated_fields(Video))
    old_ids = [row.old_id for row in rows if is_storable(row.old_id)]
    by_old_id = {
        video.legacy_id: video for video in videos.exclude(legacy_id="").filter(legacy_id__in=old_ids) if old_ids
    }
    for row in rows:
        row.video = by_old_id.get(row.old_id)
    keys = {row.key: row.native_key for row in rows if not row.video}
    by_key = videos.in_bulk([key for key in keys.values() if key and is_storable(key)])
    for row in rows:
        row.video = row.video or by_key.get(keys[row.key])


class Verifier:
    """One run over an open snapshot, inside a transaction."""

    def __init__(self, source: Source, snapshot: Snapshot, progress: Progress = lambda stage, rows: None) -> None:
        self.source, self.snapshot, self.progress = source, snapshot, progress
        self.report = VerifyReport(
            snapshot.name, source.sha256, source.generation, snapshot.imported_at.isoformat(timespec="seconds")
        )
        self.ledger = Ledger()
        # What the videos of the batch were before each change, oldest first; of those that were asked for.
        self.history: dict[str, list[VideoEvent]] = {}
        self.verdicts: Counter[tuple[str, str, Verdict]] = Counter()
        self.categories = dict(Category.objects.values_list("pk", "name"))
        self.subcategories = dict(Subcategory.objects.values_list("pk", "name"))

    def run(self) -> VerifyReport:
        """Every equation."""
        with closing(self.ledger):
            self.compare_with_vault()
            self.compare_with_models()
            self.check_html()
            self.report.changes = self.ledger.changes()
            self.check_round_trips()
            self.check_database()
        return self.report

    def compare(self) -> VerifyReport:
        """The first four equations: what is in the file beside what is here."""
        with closing(self.ledger):
            self.compare_with_vault()
            self.compare_with_models()
        return self.report

    def compare_with_models(self) -> None:
        """Equations 2, 3 and 4."""
        self.check_content()
        for table, reference in (("content_summaries", "content_id"), ("summary_variants", "video_id")):
            if table in self.source.tables:
                self.check_summary_rows(table, reference)
        self.check_texts()
        self.count_triples()
        self.report.models = self.column_counts()

    def wrong(
        self,
        equation: Equation,
        table: str,
        key: int | None,
        column: str,
        message: str,
        *,
        video_id: str = "",
        source: Any = None,
        stored: Any = None,
    ) -> None:
        """Note something that nothing explains."""
        shown = side_by_side(source, stored)
        self.report.differences[equation].add(Difference(table, key, printable(video_id), column, *shown, message))

    def count(self, table: str, column: str, verdict: Verdict) -> None:
        self.verdicts[table, column, verdict] += 1

    def column_counts(self) -> list[ColumnCount]:
        """What was counted, in the order of the tables and of their columns."""
        counts: dict[tuple[str, str], ColumnCount] = {}
        for (table, column, verdict), number in self.verdicts.items():
            counted = counts.setdefault((table, column), ColumnCount(table, column))
            counted.compared += number
            setattr(counted, verdict.value, number)

        def place(counted: ColumnCount) -> tuple[int, int]:
            columns = self.source.tables[counted.table].columns
            return (
                MODELLED_TABLES.index(counted.table),
                columns.index(counted.column) if counted.column in columns else len(columns),
            )

        return sorted(counts.values(), key=place)

    # 1. The vault

    def compare_with_vault(self) -> None:
        """Each row of the file beside the vault's, in order of their keys."""
        self.compare_table(SCHEMA_TABLE, iter(self.source.schema_rows), ("type", "name", "tbl_name", "sql"))
        for name, table in self.source.tables.items():
            self.compare_table(name, self.source.rows(name), table.columns)
        known = [SCHEMA_TABLE, *self.source.tables]
        for table, rows in (
            VaultRow.objects.filter(snapshot=self.snapshot)
            .exclude(table__in=known)
            .order_by()
            .values_list("table")
            .annotate(models.Count("pk"))
        ):
            self.report.vault.append(VaultTable(table, rows_in_vault=rows, wrong=rows))
            self.wrong(
                Equation.VAULT, table, None, "", f"The vault has {rows} rows of a table that is not in the file."
            )
        described = {
            name: {"columns": list(table.columns), "has_rowid": table.rowid is not None}
            for name, table in self.source.tables.items()
        }
        if self.snapshot.tables != described or self.snapshot.pragmas != self.source.pragmas:
            self.wrong(
                Equation.VAULT, SCHEMA_TABLE, None, "", "What the vault says of tables and pragmas differs.",
                source=described | self.source.pragmas, stored=self.snapshot.tables | self.snapshot.pragmas,
            )  # fmt: skip

    def compare_table(self, name: str, rows: Iterator[tuple[int, Row]], columns: Sequence[str]) -> None:
        counted = VaultTable(name)
        of_file, of_vault = TableDigest(), TableDigest()
        vault = Following(
            stream(
                'SELECT key, content, sha256 FROM ingest_vaultrow WHERE snapshot_id = %s AND "table" = %s ORDER BY key',
                [self.snapshot.pk, name],
            )
        )

        def vaulted(key: int, content: bytes, digest: bytes) -> None:
            computed = row_digest(content)
            of_vault.add(key, computed)
            if computed != digest:
                counted.wrong += 1
                self.wrong(
                    Equation.VAULT, name, key, "", "The digest in the vault is not that of its bytes."
                )  # fmt: skip

        def extra(before: int | None) -> None:
            for key, content, digest in vault.before(before):
                vaulted(key, content, digest)
                counted.wrong += 1
                self.wrong(Equation.VAULT, name, key, "", "This row is in the vault, and not in the file.")

        for number, (key, row) in enumerate(rows, start=1):
            extra(key)
            content = encode(row)
            of_file.add(key, row_digest(content))
            if (stored := vault.take(key)) is None:
                counted.wrong += 1
                self.wrong(Equation.VAULT, name, key, "", "This row of the file is not in the vault.")
            else:
                vaulted(*stored)
                if stored[1] != content:
                    counted.wrong += 1
                    self.compare_values(name, key, columns, row, stored[1])
            if not number % ROWS_AT_ONCE:
                self.progress("vault", ROWS_AT_ONCE)
        extra(None)
        counted.rows_in_file, counted.rows_in_vault = of_file.rows, of_vault.rows
        counted.file_digest, counted.vault_digest = of_file.hexdigest(), of_vault.hexdigest()
        self.report.vault.append(counted)

    def compare_values(self, table: str, key: int, columns: Sequence[str], row: Row, content: bytes) -> None:
        """Name the columns where a row of the vault differs from the file's."""
        try:
            stored = decode(content)
        except ValueError as error:
            self.wrong(Equation.VAULT, table, key, "", f"The vault's bytes are damaged: {error}.")
            return
        if len(stored) != len(row):
            self.wrong(Equation.VAULT, table, key, "", f"The vault has {len(stored)} values for {len(row)} columns.")
            return
        for column, one, other in zip(columns, row, stored, strict=True):
            if encode((one,)) != encode((other,)):
                self.wrong(
                    Equation.VAULT, table, key, column, "The vault has another value than the file.",
                    source=one, stored=other,
                )  # fmt: skip

    # 2 and 3. Rows of `content`

    def outcomes(self, table: str) -> Following:
        return Following(
            stream(
                'SELECT key, outcome, video_id FROM ingest_rowoutcome WHERE snapshot_id = %s AND "table" = %s'
                " ORDER BY key",
                [self.snapshot.pk, table],
            )
        )

    def quarantined(self, table: str) -> Following:
        return Following(
            stream(
                'SELECT row.key, quarantined.code, quarantined."column", quarantined.value'
                " FROM ingest_quarantinedrow AS quarantined JOIN ingest_vaultrow AS row ON row.id = quarantined.row_id"
                ' WHERE row.snapshot_id = %s AND row."table" = %s AND quarantined.resolved_at IS NULL ORDER BY row.key',
                [self.snapshot.pk, table],
            )
        )

    def check_content(self) -> None:
        counted = RowCount("content")
        self.report.rows.append(counted)
        outcomes, quarantined = self.outcomes("content"), self.quarantined("content")
        columns = self.source.tables["content"].columns
        for batch in batches(self.source.rows("content"), ROWS_AT_ONCE):
            rows = [ContentRow(key, dict(zip(columns, values, strict=True))) for key, values in batch]
            for row in rows:
                self.check_unknown_quarantine("content", quarantined, row.key, counted)
                if found := quarantined.take(row.key):
                    row.quarantine = found[1:]
            find_videos(rows)
            self.load_history(row for row in rows if row.video and is_later(row.video, row))
            live = [row for row in rows if self.judge(row, counted)]
            self.compare_content(live)
            for row in rows:
                self.check_outcome("content", row.key, outcomes, counted, row.video.pk if row.video else "")
            self.progress("models", len(rows))
        self.check_unknown_quarantine("content", quarantined, None, counted)
        self.check_unknown_outcomes("content", outcomes, None, counted)

    def check_unknown_quarantine(self, table: str, quarantined: Following, key: int | None, counted: RowCount) -> None:
        """What is quarantined of rows before this key that are not in the file."""
        for row in quarantined.before(key):
            counted.wrong += 1
            self.wrong(Equation.ROWS, table, row[0], row[2], "This row is quarantined, and is not in the file.")

    def check_unknown_outcomes(self, table: str, outcomes: Following, key: int | None, counted: RowCount) -> None:
        """What was imported of rows before this key that are not in the file."""
        for row in outcomes.before(key):
            counted.wrong += 1
            self.wrong(
                Equation.ROWS, table, row[0], "", "This row was imported, and is not in the file.", video_id=row[2]
            )

    def check_outcome(self, table: str, key: int, outcomes: Following, counted: RowCount, video_id: str) -> None:
        """What the import noted of a row, beside what was found of it."""
        self.check_unknown_outcomes(table, outcomes, key, counted)
        outcome = outcomes.take(key)
        if outcome is None:
            counted.wrong += 1
            self.wrong(Equation.ROWS, table, key, "", "The import noted no outcome of this row.", video_id=video_id)
        elif outcome[1] == "modelled" and video_id and outcome[2] != video_id:
            counted.wrong += 1
            self.wrong(
                Equation.ROWS, table, key, "video_id", "The import put this row into another video than the file says.",
                video_id=outcome[2], source=video_id, stored=outcome[2],
            )  # fmt: skip

    def judge(self, row: ContentRow, counted: RowCount) -> bool:
        """Count a row as what it is; whether it is a live video."""
        counted.rows += 1
        if row.quarantine:
            counted.quarantined += 1
            self.check_quarantine("content", row.key, row.values, row.quarantine, counted)
            self.check_why_quarantined(row, counted)
            return False
        if row.video is None:
            counted.lost += 1
            self.wrong(
                Equation.ROWS, "content", row.key, "id", "LOST: this row is no video, and it is not quarantined.",
                video_id=row.native_key or "", source=row.values.get("id"),
            )  # fmt: skip
            return False
        video = row.video
        if video.deleted_at:
            counted.skipped_deleted += 1
            self.ledger.add_change("deleted", video.deleted_by or NAMELESS, video.pk, video.deleted_at)
        else:
            counted.modelled += 1
        is_first = self.ledger.add_video(
            row.key, video, row.old_id, lenient(row.values.get("video_id")), self.was_newer(row)
        )
        if not is_first:
            counted.wrong += 1
            self.wrong(
                Equation.ROWS, "content", row.key, "id", "An earlier row of the file is the same video here.",
                video_id=video.pk, source=row.values.get("id"), stored=video.legacy_id,
            )  # fmt: skip
        return video.deleted_at is None

    def check_quarantine(
        self, table: str, key: int, values: dict[str, Value], quarantine: tuple[str, str, bytes], counted: RowCount
    ) -> None:
        """The quarantined value must be the file's."""
        code, column, value = quarantine
        if column in values and (value is None or bytes(value) != encode((values[column],))):
            counted.wrong += 1
            self.wrong(
                Equation.ROWS, table, key, column, f"The value quarantined as {code} is not the file's.",
                source=values[column], stored=readable(value),
            )  # fmt: skip

    def check_why_quarantined(self, row: ContentRow, counted: RowCount) -> None:
        """A quarantined row must not be a sound one: its name is another's, or a value is held by no model."""
        code, column, _ = row.quarantine
        message = ""
        if code == "duplicate_key":
            if not (self.ledger.is_named(row.old_id, 0) or self.ledger.is_named(row.native_key or "", 1)):
                message = "This row is quarantined as a duplicate, but no earlier row of the file has its name."
        elif code == "old_id_taken":
            self.ledger.add_names(row.key, 3, row.old_id, row.native_key or "")
            if not row.video or row.video.pk == row.native_key:
                message = "This row is quarantined because another video has its old ID, but none has."
        elif row.video and row.video.deleted_at is None and column in FIELDS:
            kind, name = FIELDS[column]
            if kind.holds(row.values.get(column), getattr(row.video, name)):
                message = "This row is quarantined, but its video holds the value that could not be stored."
        if message:
            counted.wrong += 1
            self.wrong(
                Equation.ROWS, "content", row.key, column, message,
                video_id=row.video.pk if row.video else "", source=row.values.get(column),
            )  # fmt: skip
        row.video = None

    # What the history says of a video

    def load_history(self, rows: Iterable[ContentRow]) -> None:
        """Read the history of these rows' videos."""
        video_ids = {row.video.pk for row in rows} - self.history.keys()
        if video_ids:
            self.history |= {video_id: [] for video_id in video_ids} | events_of(VideoEvent, "pgh_obj_id", video_ids)

    def as_imported(self, video: Video) -> Video | VideoEvent:
        """The video as it was right after the import, as far as the history knows."""
        later = (event for event in self.history[video.pk] if event.pgh_created_at > self.snapshot.imported_at)
        return next(later, video)

    def was_newer(self, row: ContentRow) -> bool:
        """Whether the video had newer data than the row when the row was imported."""
        return is_later(row.video, row) and is_later(self.as_imported(row.video), row)

    def explain(self, row: ContentRow, column: str, kind: Kind, name: str) -> Explanation:
        """Why a field of the row's video does not say what the column says."""
        value, events = row.values[column], self.history[row.video.pk]
        for event in reversed(events):
            if kind.holds(value, getattr(event, name)):
                return explained_by(event)
        if self.was_newer(row):
            return Explanation(Verdict.KEPT)
        if column in SET_ONCE or kind.is_empty(value) or is_placeholder(column, value):
            kept = getattr(self.as_imported(row.video), name)
            before = (event for event in events if event.pgh_created_at <= self.snapshot.imported_at)
            if any(getattr(event, name) == kept for event in before) or self.is_of_another_snapshot(row, column, kept):
                return Explanation(Verdict.KEPT)
        return Explanation(Verdict.WRONG)

    def is_of_another_snapshot(self, row: ContentRow, column: str, kept: Any) -> bool:
        """Whether another snapshot that was imported here says of the video what was kept."""
        kind, _ = FIELDS[column]
        outcomes = RowOutcome.objects.filter(table="content", video_id=row.video.pk).exclude(snapshot=self.snapshot)
        for snapshot, key in outcomes.values_list("snapshot", "key"):
            vaulted = VaultRow.objects.select_related("snapshot").get(snapshot=snapshot, table="content", key=key)
            columns = vaulted.snapshot.tables.get("content", {}).get("columns", [])
            values = dict(zip(columns, decode(bytes(vaulted.content)), strict=False))
            if column in values and kind.holds(values[column], kept):
                return True
        return False

    def settle(self, video_id: str, explanation: Explanation) -> None:
        """Note an explained difference, for the summary of what changed."""
        kind = {
            Verdict.CHANGED: "changed", Verdict.KEPT: "newer data kept", Verdict.CURATED: "curated categories kept"
        }[explanation.verdict]  # fmt: skip
        self.ledger.add_change(kind, explanation.by, video_id, explanation.at)

    # 3. Columns of `content`

    def compare_content(self, rows: list[ContentRow]) -> None:
        """The values of rows that are live videos, through the inverse mapping; then whatever differs."""
        stored_pairs = self.stored_pairs([row.video.pk for row in rows])
        differing: list[tuple[ContentRow, str, Kind, str]] = []
        uncategorised: list[tuple[ContentRow, list[SourcePair], list[StoredPair]]] = []
        for row in rows:
            wanted, lone = source_pairs(row.values)
            stored = stored_pairs.get(row.video.pk, [])
            are_same = [pair.names for pair in wanted] == [pair.names for pair in stored]
            self.add_triples(row, wanted, stored, are_same)
            if are_same:
                self.count("content", "categories", Verdict.EXACT)
            else:
                uncategorised.append((row, wanted, stored))
            pairs = [Pair(pair.category, pair.subcategory, ORIGINS[pair.origin]) for pair in stored]
            as_old = content_values(row.video, pairs)
            for column, value in row.values.items():
                if found := FIELDS.get(column):
                    kind, name = found
                    is_exact = type(value) is type(old := as_old[column]) and value == old
                    # Where the inverse mapping may add something of its own, the field is asked all the same.
                    if (is_exact and column not in MADE_UP) or kind.holds(value, getattr(row.video, name)):
                        self.verdicts["content", column, EXACT if is_exact else BY_RULE] += 1
                    else:
                        differing.append((row, column, *found))
                elif column == "video_id":
                    self.compare_key(row, value)
                elif column in ("category", "subcategory"):
                    if are_same:
                        self.compare_category_column(row, column, value, as_old[column], stored, lone)
                elif column == "summary":
                    if lenient(value).strip():
                        self.ledger.add_summary(row.video.pk, "content", row.key)
                else:
                    self.count("content", column, Verdict.VAULT_ONLY)
        self.load_history([row for row, *_ in differing] + [row for row, *_ in uncategorised])
        for row, column, kind, name in differing:
            explanation = self.explain(row, column, kind, name)
            self.count("content", column, explanation.verdict)
            if explanation.verdict is Verdict.WRONG:
                self.wrong(
                    Equation.MODELS, "content", row.key, column, "The video has another value than the file.",
                    video_id=row.video.pk, source=row.values[column], stored=getattr(row.video, name),
                )  # fmt: skip
            else:
                self.settle(row.video.pk, explanation)
        self.explain_pairs(uncategorised)
        self.history.clear()

    def compare_key(self, row: ContentRow, value: Value) -> None:
        if row.native_key != row.video.pk:
            self.count("content", "video_id", Verdict.WRONG)
            self.wrong(
                Equation.MODELS, "content", row.key, "video_id", "The row's own key is another than its video's.",
                video_id=row.video.pk, source=value, stored=row.video.pk,
            )  # fmt: skip
        else:
            is_exact = value == row.video.pk.encode()
            self.count("content", "video_id", Verdict.EXACT if is_exact else Verdict.BY_RULE)

    def compare_category_column(
        self, row: ContentRow, column: str, value: Value, old: Value, stored: list[StoredPair], lone: str
    ) -> None:
        """One of the two flat columns, where the pairs are the same. What the pairs cannot say is kept beside them."""
        text = lenient(value).strip()
        if type(value) is type(old) and value == old:
            verdict = Verdict.EXACT
        elif column == "category" or not text or text in [pair.subcategory for pair in stored]:
            verdict = Verdict.BY_RULE
        elif not lone:
            # The structured categories are what the old dashboard showed; this name is none of theirs.
            verdict = Verdict.VAULT_ONLY
        else:
            verdict = Verdict.BY_RULE if row.video.extra.get("subcategory") == lone else Verdict.WRONG
        if verdict is Verdict.WRONG:
            self.load_history([row])
            for event in reversed(self.history[row.video.pk]):
                if event.extra.get("subcategory") == lone:
                    verdict = Verdict.CHANGED
                    self.settle(row.video.pk, explained_by(event))
                    break
        self.count("content", column, verdict)
        if verdict is Verdict.WRONG:
            self.wrong(
                Equation.MODELS, "content", row.key, column, "The video lacks the subcategory of the file.",
                video_id=row.video.pk, source=value, stored=row.video.extra.get("subcategory"),
            )  # fmt: skip

    # 4. Categories

    def stored_pairs(self, video_ids: list[str]) -> dict[str, list[StoredPair]]:
        pairs: dict[str, list[StoredPair]] = defaultdict(list)
        for number, video_id, category, subcategory, origin in (
            Categorization.objects.filter(video__in=video_ids)
            .order_by("video", "position")
            .values_list("pk", "video_id", "category_id", "subcategory_id", "origin")
        ):
            pairs[video_id].append(
                StoredPair(number, category, subcategory, *self.names(category, subcategory), origin)
            )
        return pairs

    def names(self, category_id: int, subcategory_id: int | None) -> tuple[str, str | None]:
        """The names of a category and a subcategory, which may be gone."""
        below = None if subcategory_id is None else self.subcategories.get(subcategory_id, f"#{subcategory_id}")
        return self.categories.get(category_id, f"#{category_id}"), below

    def add_triples(self, row: ContentRow, wanted: list[SourcePair], stored: list[StoredPair], are_same: bool) -> None:
        name = row.old_id or lenient(row.values.get("video_id"))
        sides = {Side.BOTH: wanted} if are_same else {Side.SOURCE: wanted, Side.MODELS: stored}
        for side, pairs in sides.items():
            self.ledger.add_triples(side, name, [pair.names for pair in pairs])
        self.report.triples.source += len(wanted)
        self.report.triples.models += len(stored)

    def count_triples(self) -> None:
        triples = self.report.triples
        triples.source_digest = triples_digest(self.ledger.triples(Side.SOURCE)).sha256
        is_same = not self.ledger.has_triples(Side.MODELS) and not self.ledger.has_triples(Side.SOURCE)
        triples.models_digest = (
            triples.source_digest if is_same else triples_digest(self.ledger.triples(Side.MODELS)).sha256
        )
        triples.wrong = self.report.differences[Equation.TRIPLES].count

    def explain_pairs(self, differing: list[tuple[ContentRow, list[SourcePair], list[StoredPair]]]) -> None:
        """Why these videos are in other categories than the file says."""
        events = events_of(CategorizationEvent, "video_id", [row.video.pk for row, *_ in differing])
        for row, wanted, stored in differing:
            reasons = PairHistory(self, row, wanted, stored, events[row.video.pk])
            verdicts = Counter()
            for column, message, explanation in reasons.explained():
                verdicts[explanation.verdict] += 1
                if explanation.verdict is Verdict.WRONG:
                    self.wrong(
                        Equation.TRIPLES, "content", row.key, column, message, video_id=row.video.pk,
                        source=[pair.names for pair in wanted], stored=[pair.names for pair in stored],
                    )  # fmt: skip
                else:
                    self.report.triples.explained += 1
                    self.settle(row.video.pk, explanation)
            worst = next(
                verdict
                for verdict in (Verdict.WRONG, Verdict.CHANGED, Verdict.CURATED, Verdict.KEPT)
                if verdicts[verdict]
            )
            for column in ("categories", "category", "subcategory"):
                if column == "categories" or column in row.values:
                    self.count("content", column, worst)

    @cached_property
    def renames(self) -> dict[tuple[str, str], Explanation]:
        """Who changed which category or subcategory in the admin since the import; no other history has it."""
        entries = LogEntry.objects.filter(
            content_type__app_label="videos",
            content_type__model__in=("category", "subcategory"),
            action_flag=CHANGE,
            action_time__gt=self.snapshot.imported_at,
        )
        return {
            (entry.content_type.model, entry.object_id): Explanation(
                Verdict.CHANGED, entry.user.get_username(), entry.action_time
            )
            for entry in entries.select_related("content_type", "user")
        }

    # 2 and 3. Summaries

    def check_summary_rows(self, table: str, reference: str) -> None:
        """Which video each row belongs to. Texts are compared when all of a video's are known."""
        counted = RowCount(table)
        self.report.rows.append(counted)
        outcomes, quarantined = self.outcomes(table), self.quarantined(table)
        columns = self.source.tables[table].columns
        for key, row in self.source.rows(table):
            values = dict(zip(columns, row, strict=True))
            self.check_unknown_quarantine(table, quarantined, key, counted)
            counted.rows += 1
            quarantine = quarantined.take(key)
            found = self.ledger.video_named(lenient(values.get(reference)))
            if not found and not quarantine:
                found = self.unlisted_video(lenient(values.get(reference)))
            video_id, is_live = found or ("", False)
            if quarantine:
                counted.quarantined += 1
                self.check_quarantine(table, key, values, quarantine[1:], counted)
                if quarantine[1] == "orphan" and found:
                    self.check_orphan(table, key, reference, values, video_id, counted)
                video_id = ""
            elif not found:
                counted.lost += 1
                self.wrong(
                    Equation.ROWS, table, key, reference, "LOST: no video has this row, and it is not quarantined.",
                    source=values.get(reference),
                )  # fmt: skip
            elif not is_live:
                counted.skipped_deleted += 1
            else:
                counted.modelled += 1
                self.count(table, reference, Verdict.EXACT)
                if lenient(values.get(TEXT_COLUMNS[table])).strip():
                    self.ledger.add_summary(video_id, table, key)
                else:
                    self.count(table, TEXT_COLUMNS[table], Verdict.BY_RULE)
            if video_id:
                self.ledger.add_row(table, key, video_id)
            self.check_outcome(table, key, outcomes, counted, video_id)
            if not counted.rows % ROWS_AT_ONCE:
                self.progress("models", ROWS_AT_ONCE)
        self.check_unknown_quarantine(table, quarantined, None, counted)
        self.check_unknown_outcomes(table, outcomes, None, counted)

    def unlisted_video(self, name: str) -> tuple[str, bool] | None:
        """A video that is not in the file, and that a summary of the file could be given to afterwards."""
        try:
            video = Video.objects.named(name)
        except Video.DoesNotExist:
            return None
        self.ledger.add_unlisted(video)
        return video.pk, video.deleted_at is None

    def check_orphan(
        self, table: str, key: int, reference: str, values: dict[str, Value], video_id: str, counted: RowCount
    ) -> None:
        """A summary whose video is here is no orphan, unless the video itself was quarantined at first."""
        was_quarantined = QuarantinedRow.objects.filter(
            row__snapshot=self.snapshot,
            row__table="content",
            row__key=self.ledger.key_of(video_id),
            resolved_at__isnull=False,
        )
        if not was_quarantined.exists():
            counted.wrong += 1
            self.wrong(
                Equation.ROWS, table, key, reference, "This row is quarantined as an orphan, but its video is here.",
                video_id=video_id, source=values.get(reference),
            )  # fmt: skip

    def check_texts(self) -> None:
        """Each text is a stored revision of its video, and the latest one is the latest."""
        counts = {counted.table: counted for counted in self.report.rows}
        for batch in batches(self.ledger.summaries(), VIDEOS_AT_ONCE):
            video_ids = [video_id for video_id, *_ in batch]
            stored: dict[tuple[str, str], list[Summary]] = defaultdict(list)
            for summary in (
                Summary.objects.filter(video__in=video_ids)
                .defer("html", *generated_fields(Summary))
                .order_by("video", "variant", "revision")
            ):
                stored[summary.video_id, summary.variant].append(summary)
            events = events_of(SummaryEvent, "video_id", video_ids)
            for video_id, was_newer, places in batch:
                texts = [self.source_text(table, key) for table, key in places]
                for text in texts:
                    same_variant = stored[video_id, text.variant]
                    is_here = self.compare_text(video_id, text, texts, same_variant, events[video_id], was_newer)
                    if not is_here and text.table != "content":
                        counts[text.table].modelled -= 1
                        counts[text.table].lost += 1
                for variant in dict.fromkeys(text.variant for text in texts):
                    of_variant = [text for text in texts if text.variant == variant]
                    self.check_latest(video_id, of_variant, stored[video_id, variant], was_newer)
                self.progress("summaries", len(texts))

    def source_text(self, table: str, key: int) -> SourceText:
        """Read a text again from the file."""
        described = self.source.tables[table]
        if described.rowid is None:
            _, row = next(self.source.rows(table, after=key - 1))
        else:
            statement = f"SELECT * FROM {identifier(table)} WHERE {described.rowid} = ?"
            row = self.source.connection.execute(statement, (key,)).fetchone()
        values = dict(zip(described.columns, row, strict=True))
        column = TEXT_COLUMNS[table]
        text = values.pop(column)
        match table:
            case "content":
                return SourceText(table, key, column, text, own_variant(lenient(text)), {})
            case "content_summaries":
                return SourceText(table, key, column, text, Variant.parse(lenient(values["summary_type"])), values)
        return SourceText(table, key, column, text, Variant.parse(lenient(values.get("variant_type"))), values)

    def compare_text(
        self,
        video_id: str,
        text: SourceText,
        texts: list[SourceText],
        stored: list[Summary],
        events: list[SummaryEvent],
        was_newer: bool,
    ) -> bool:
        """One text of the file with the stored revisions of its variant; whether it is here, or explained."""
        same = [summary for summary in stored if Kind.TEXT.holds(text.text, summary.text)]
        if same:
            self.count(text.table, text.column, Verdict.EXACT)
            self.compare_beside(video_id, text, texts, same, events, was_newer)
            return True
        explanation = Explanation(Verdict.KEPT if was_newer and stored else Verdict.WRONG)
        for event in reversed(events):
            if event.variant == text.variant and Kind.TEXT.holds(text.text, event.text):
                explanation = explained_by(event)
                break
        self.count(text.table, text.column, explanation.verdict)
        if explanation.verdict is Verdict.WRONG:
            self.wrong(
                Equation.MODELS, text.table, text.key, text.column,
                f"This text is no revision of {printable(text.variant)}; the latest one is shown.",
                video_id=video_id, source=text.text,
                stored=next((summary.text for summary in stored if summary.is_latest), None),
            )  # fmt: skip
        else:
            self.settle(video_id, explanation)
        return explanation.verdict is not Verdict.WRONG

    def compare_beside(
        self,
        video_id: str,
        text: SourceText,
        texts: list[SourceText],
        same: list[Summary],
        events: list[SummaryEvent],
        was_newer: bool,
    ) -> None:
        """The other columns of a text's row with the stored revisions that have the text."""
        as_old = [variant_values(summary, video_id) for summary in same]
        for column, value in text.values.items():
            if column in ("content_id", "video_id", "is_latest"):
                continue
            if column in ("summary_type", "variant_type"):
                is_exact = value == text.variant.encode()
                self.count(text.table, column, Verdict.EXACT if is_exact else Verdict.BY_RULE)
            elif column == "revision":
                is_exact = value in [summary.revision for summary in same]
                self.count(text.table, column, Verdict.EXACT if is_exact else Verdict.BY_RULE)
            elif text.table == "summary_variants" and column in VARIANT_FIELDS:
                kind, name = VARIANT_FIELDS[column]
                fields = [getattr(summary, name) for summary in same]
                if any(kind.holds(value, field) for field in fields):
                    is_exact = any(type(value) is type(old[column]) and value == old[column] for old in as_old)
                    self.count(text.table, column, Verdict.EXACT if is_exact else Verdict.BY_RULE)
                else:
                    twins = [
                        other.values[column]
                        for other in texts
                        if other is not text and column in other.values
                        and (other.variant, other.text) == (text.variant, text.text)
                    ]  # fmt: skip
                    if any(kind.holds(twin, field) for twin in twins for field in fields):
                        # The same text twice in the file: one revision here, which has the other row's values.
                        self.count(text.table, column, Verdict.VAULT_ONLY)
                    else:
                        self.explain_beside(video_id, text, column, fields, events, was_newer)
            else:
                self.count(text.table, column, Verdict.VAULT_ONLY)

    def explain_beside(
        self,
        video_id: str,
        text: SourceText,
        column: str,
        fields: list[Any],
        events: list[SummaryEvent],
        was_newer: bool,
    ) -> None:
        """Why a value beside a text differs."""
        kind, name = VARIANT_FIELDS[column]
        explanation = Explanation(Verdict.KEPT if was_newer else Verdict.WRONG)
        for event in reversed(events):
            if (
                event.variant == text.variant
                and hasattr(event, name)
                and kind.holds(text.values[column], getattr(event, name))
            ):
                explanation = explained_by(event)
                break
        self.count(text.table, column, explanation.verdict)
        if explanation.verdict is Verdict.WRONG:
            self.wrong(
                Equation.MODELS, text.table, text.key, column, "The revision has another value than the file.",
                video_id=video_id, source=text.values[column], stored=fields[0],
            )  # fmt: skip
        else:
            self.settle(video_id, explanation)

    def check_latest(self, video_id: str, texts: list[SourceText], stored: list[Summary], was_newer: bool) -> None:
        """What the file has as the latest text of a variant must be the latest here, or an older revision now."""
        revisions = [text for text in texts if text.table == "summary_variants"]
        claimed = [text for text in revisions if text.is_flagged] if revisions else texts
        latest = next((summary for summary in stored if summary.is_latest), None)
        if not claimed or latest is None:
            return
        first = claimed[0]
        column = "is_latest" if revisions else first.column
        if any(Kind.TEXT.holds(text.text, latest.text) for text in claimed):
            if revisions:
                for _ in revisions:
                    self.count(first.table, column, Verdict.EXACT)
            return
        known = [
            summary.revision for summary in stored if any(Kind.TEXT.holds(text.text, summary.text) for text in claimed)
        ]
        if not known:
            # Why the file's text is not here has been said of the text.
            return
        is_in_file = any(Kind.TEXT.holds(text.text, latest.text) for text in texts)
        is_again = sum(summary.text == latest.text for summary in stored) > 1
        if latest.revision > max(known) and (not is_in_file or is_again):
            at = latest.created_at or latest.generated_at
            self.ledger.add_change("newer revisions of summaries", NAMELESS, video_id, at)
            verdict = Verdict.CHANGED
        elif was_newer:
            self.settle(video_id, Explanation(Verdict.KEPT))
            verdict = Verdict.KEPT
        else:
            self.wrong(
                Equation.MODELS, first.table, first.key, column,
                f"Another text is the latest {printable(latest.variant)} here than in the file.",
                video_id=video_id, source=first.text, stored=latest.text,
            )  # fmt: skip
            verdict = Verdict.WRONG
        for _ in revisions or [first][: verdict is Verdict.WRONG]:
            self.count(first.table, column, verdict)

    def check_html(self) -> None:
        """The HTML of summaries is what rendering their texts gives now; of many, an even sample."""
        html = self.report.html
        html.summaries = Summary.objects.count()
        every = -(-html.summaries // RENDERED_AT_MOST) or 1
        for number, video_id, variant, text, stored in stream(
            "SELECT id, video_id, variant, text, html FROM summaries_summary WHERE id %% %s = 0", [every]
        ):
            html.rendered += 1
            if (rendered := render(text, variant)) != stored:
                html.wrong += 1
                self.wrong(
                    Equation.MODELS, "summaries_summary", number, "html", "The HTML is not what its text gives.",
                    video_id=video_id, source=rendered, stored=stored,
                )  # fmt: skip

    # 5. Round trip

    def check_round_trips(self) -> None:
        """The file comes back out of the library; if that has changed since, out of the vault alone."""
        with TemporaryDirectory() as folder:
            path = Path(folder, "written.db")
            exports = {
                "export": lambda: export_library(path, snapshot=self.snapshot),
                "vault to file": lambda: restore_vault(self.snapshot, path),
            }
            for name, write in exports.items():
                try:
                    write()
                except ExportError as error:
                    self.wrong(Equation.ROUND_TRIP, "", None, "", f"{name}: {error}")
                    self.report.round_trip.append(RoundTrip(name, "", "", wrong=1))
                    continue
                trip = self.compare_file(name, path, may_differ=name == "export")
                path.unlink()
                if trip.source_digest == trip.file_digest:
                    # The export takes every row from the vault, so the vault gives the same file.
                    return

    def compare_file(self, name: str, path: Path, *, may_differ: bool) -> RoundTrip:
        """A file written back with the snapshot; where it may differ, only in rows of videos that changed."""
        expected = {table.table: table.file_digest for table in self.report.vault if table.table in self.source.tables}
        schema = schema_digest(row for _, row in self.source.schema_rows)
        with open_snapshot(path) as written:
            digests = {}
            for table in written.tables:
                digest = TableDigest()
                for key, row in written.rows(table):
                    digest.add(key, row_digest(encode(row)))
                digests[table] = digest.hexdigest()
                self.progress("round trip", digest.rows)
            written_schema = schema_digest(row for _, row in written.schema_rows)
            trip = RoundTrip(name, library_digest(schema, expected), library_digest(written_schema, digests))
            self.report.round_trip.append(trip)
            if trip.source_digest == trip.file_digest:
                return trip
            if schema != written_schema:
                trip.wrong += 1
                self.wrong(Equation.ROUND_TRIP, SCHEMA_TABLE, None, "", f"{name}: the schema is not the file's.")
            for table in [table for table in self.source.tables if expected[table] != digests.get(table)]:
                if table in written.tables:
                    self.compare_written(trip, table, written, may_differ)
        return trip

    def compare_written(self, trip: RoundTrip, table: str, written: Source, may_differ: bool) -> None:
        """Each row that is not as in the file must be of a video that changed, was deleted, or is new."""
        rows = Following(written.rows(table))
        columns = self.source.tables[table].columns

        def differs(key: int, row: Row, other: Row | None, is_new: bool) -> None:
            video_id = self.ledger.video_of(table, key) if not is_new else None
            values = dict(zip(columns, row, strict=False))
            if (
                not video_id
                and (reference := REFERENCES.get(table))
                and (found := self.ledger.video_named(lenient(values.get(reference))))
            ):
                video_id = found[0]
            if may_differ and (self.ledger.is_changed(video_id) if video_id else is_new or table == "sqlite_sequence"):
                trip.explained += 1
                return
            trip.wrong += 1
            state = "is not in the file" if is_new else "comes back otherwise" if other else "is missing"
            column = next(
                (name for name, *pair in zip(columns, row, other or (), strict=False) if len(set(map(repr, pair))) > 1),
                "",
            )
            self.wrong(
                Equation.ROUND_TRIP, table, key, column,
                f"{trip.name}: this row {state}.",
                video_id=video_id or "",
            )  # fmt: skip

        for key, row in self.source.rows(table):
            for new_key, new_row in rows.before(key):
                differs(new_key, new_row, None, True)
            found = rows.take(key)
            if found is None or encode(found[1]) != encode(row):
                differs(key, row, found and found[1], False)
        for new_key, new_row in rows.before(None):
            differs(new_key, new_row, None, True)

    # 6. The database

    def check_database(self) -> None:
        """Foreign keys, uniqueness, triggers, pointers and counts, whatever the constraints say."""
        for name, check in DATABASE_CHECKS.items():
            checked, faults = check()
            self.report.database.append(DatabaseCheck(name, checked, len(faults)))
            for table, what, message in faults:
                self.wrong(Equation.DATABASE, table, None, what, message)
            self.progress("database", 1)


class PairHistory:
    """Why a video is in other categories than its row of the file says."""

    def __init__(
        self,
        verifier: Verifier,
        row: ContentRow,
        wanted: list[SourcePair],
        stored: list[StoredPair],
        events: list[CategorizationEvent],
    ) -> None:
        self.verifier, self.row, self.wanted, self.stored, self.events = verifier, row, wanted, stored, events
        own = [event.pgh_id for event in events if self.is_by_import(event)]
        # The last event that the import of this snapshot wrote.
        self.last_of_import = max(own, default=None)

    def is_by_import(self, event: CategorizationEvent) -> bool:
        return context_of(event).get("import_sqlite") == self.verifier.snapshot.sha256

    def names(self, event: CategorizationEvent) -> tuple[str, str | None]:
        return self.verifier.names(event.category_id, event.subcategory_id)

    def explained(self) -> Iterator[tuple[str, str, Explanation]]:
        """Each difference: the column that says it, a message, the explanation."""
        in_file, here = {pair.names for pair in self.wanted}, {pair.names for pair in self.stored}
        missing = [pair for pair in self.wanted if pair.names not in here]
        extra = [pair for pair in self.stored if pair.names not in in_file]
        if not missing and not extra:
            yield "categories", "The categories stand in another order.", self.why_order()
        renames = [rename for pair in extra if (rename := self.rename_of(pair))]
        changed = None
        for pair in missing:
            explanation = self.why_missing(pair)
            if explanation.verdict is Verdict.WRONG and renames:
                explanation = renames.pop()
            if explanation.verdict is Verdict.CHANGED:
                changed = explanation
            yield pair.column, f"The video is not in {in_words(pair.names)}.", explanation
        for pair in extra:
            explanation = self.rename_of(pair) or self.why_extra(pair, changed)
            yield "categories", f"The file does not say that the video is in {in_words(pair.names)}.", explanation

    def why_missing(self, pair: SourcePair) -> Explanation:
        before_a_change = [event for event in reversed(self.events) if event.pgh_label != "insert"]
        for event in before_a_change:
            if self.names(event) == pair.names:
                return explained_by(event)
        if any(event.pgh_label == "insert" and self.names(event) == pair.names for event in self.events):
            # It was here, and went without a trace.
            return Explanation(Verdict.WRONG)
        for event in before_a_change:
            if event.category_id not in self.verifier.categories:
                # Its name went with the category.
                return explained_by(event)
        return self.why_kept()

    def why_extra(self, pair: StoredPair, changed: Explanation | None) -> Explanation:
        own = [event for event in reversed(self.events) if event.id == pair.number]
        for event in own:
            if event.pgh_label == "update":
                return explained_by(event)
        names = (pair.category_id, pair.subcategory_id)
        inserted = next((event for event in own if (event.category_id, event.subcategory_id) == names), None)
        if inserted is None:
            return Explanation(Verdict.WRONG)
        if self.is_by_import(inserted):
            return changed or Explanation(Verdict.WRONG)
        if self.last_of_import is None:
            is_later = inserted.pgh_created_at > self.verifier.snapshot.imported_at
        else:
            is_later = inserted.pgh_id > self.last_of_import
        if is_later or changed:
            return explained_by(inserted)
        return Explanation(
            Verdict.CURATED if pair.origin == Origin.CURATED else Verdict.KEPT, actor(inserted), inserted.pgh_created_at
        )

    def why_kept(self) -> Explanation:
        """Why the import left the categories as they were, if it did."""
        curated = [event for event in self.events if event.origin == Origin.CURATED and not self.is_by_import(event)]
        if curated:
            return Explanation(Verdict.CURATED, actor(curated[-1]), curated[-1].pgh_created_at)
        return Explanation(Verdict.KEPT if self.stored and self.verifier.was_newer(self.row) else Verdict.WRONG)

    def why_order(self) -> Explanation:
        for event in reversed(self.events):
            if event.pgh_label != "insert":
                return explained_by(event)
        return self.why_kept()

    def rename_of(self, pair: StoredPair) -> Explanation | None:
        """Who renamed the category or the subcategory of a row that is itself as it was inserted."""
        renames = self.verifier.renames
        is_untouched = any(
            (event.id, event.category_id, event.subcategory_id) == (pair.number, pair.category_id, pair.subcategory_id)
            for event in self.events
        )
        names = [("subcategory", str(pair.subcategory_id)), ("category", str(pair.category_id))]
        return next((renames[name] for name in names if name in renames), None) if is_untouched else None


# The database itself ---------------------------------------------------------------------------------

# Table, what is wrong there, a sentence.
Fault = tuple[str, str, str]
OWN_APPS = ("videos", "summaries", "ingest")
OWN_TABLES = r"^(videos|summaries|ingest)_"


def query(statement: str, parameters: Sequence[Any] = ()) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall()


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def check_foreign_keys() -> tuple[int, list[Fault]]:
    """Rows that refer to nothing, counted by query: constraints can be switched off."""
    keys = query(
        """
        SELECT conname, conrelid::regclass::text, confrelid::regclass::text, convalidated,
            (SELECT array_agg(attname ORDER BY place) FROM unnest(conkey) WITH ORDINALITY AS key(number, place)
                JOIN pg_attribute ON attrelid = conrelid AND attnum = key.number)::text[],
            (SELECT array_agg(attname ORDER BY place) FROM unnest(confkey) WITH ORDINALITY AS key(number, place)
                JOIN pg_attribute ON attrelid = confrelid AND attnum = key.number)::text[]
        FROM pg_constraint WHERE contype = 'f' AND conrelid::regclass::text ~ %s ORDER BY 2, 1
        """,
        [OWN_TABLES],
    )
    faults: list[Fault] = []
    for name, table, target, is_validated, columns, target_columns in keys:
        if not is_validated:
            faults.append((table, name, f"The foreign key {name} was never validated."))
        is_set = " AND ".join(f"one.{quoted(column)} IS NOT NULL" for column in columns)
        is_same = " AND ".join(
            f"other.{quoted(other)} = one.{quoted(column)}"
            for column, other in zip(columns, target_columns, strict=True)
        )
        ((orphans,),) = query(
            f"SELECT count(*) FROM {table} AS one WHERE {is_set}"
            f" AND NOT EXISTS (SELECT FROM {target} AS other WHERE {is_same})"
        )
        if orphans:
            faults.append((table, ", ".join(columns), f"{orphans} rows refer to rows of {target} that are not there."))
    there = {(table, tuple(columns)) for _, table, _, _, columns, _ in keys}
    for model in own_models():
        for reference in model._meta.local_concrete_fields:
            if reference.is_relation and reference.db_constraint:
                place = (model._meta.db_table, (reference.column,))
                if place not in there:
                    faults.append((place[0], reference.column, "The foreign key of this column is not there."))
    return len(keys), faults


def check_unique_keys() -> tuple[int, list[Fault]]:
    """Keys that are there twice, counted by query."""
    indexes = query(
        """
        SELECT indexrelid::regclass::text, indrelid::regclass::text, indisvalid, indnullsnotdistinct,
            (SELECT array_agg(pg_get_indexdef(indexrelid, place, true) ORDER BY place)
                FROM generate_series(1, indnkeyatts::int) AS place), pg_get_expr(indpred, indrelid)
        FROM pg_index WHERE indisunique AND indrelid::regclass::text ~ %s ORDER BY 2, 1
        """,
        [OWN_TABLES],
    )
    faults: list[Fault] = []
    for name, table, is_valid, _, keys, predicate in indexes:
        if not is_valid:
            faults.append((table, name, f"The unique index {name} is not valid."))
        where = " AND ".join([f"({key}) IS NOT NULL" for key in keys] + ([f"({predicate})"] if predicate else []))
        ((twice,),) = query(
            f"SELECT count(*) FROM"
            f" (SELECT FROM {table} WHERE {where} GROUP BY {', '.join(keys)} HAVING count(*) > 1) AS twice"
        )
        if twice:
            faults.append((table, ", ".join(keys), f"{twice} values of this key are there more than once."))
    return len(indexes), faults


def check_constraints() -> tuple[int, list[Fault]]:
    """Constraints and triggers of the models: all there, and switched on."""
    there = {
        name for (name,) in query("SELECT conname::text FROM pg_constraint UNION SELECT relname::text FROM pg_class")
    }
    expected = [(model, constraint.name) for model in own_models() for constraint in model._meta.constraints]
    faults = [
        (model._meta.db_table, name, f"The constraint {name} is not there.")
        for model, name in expected
        if name not in there
    ]
    faults += [
        (table, name, f"The constraint {name} was never validated.")
        for table, name in query(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " WHERE NOT convalidated AND contype <> 'f' AND conrelid::regclass::text ~ %s",
            [OWN_TABLES],
        )
    ]
    return len(expected), faults


def check_triggers() -> tuple[int, list[Fault]]:
    """Triggers that are off, or not there: those of foreign keys, of history, of counts and of tombstones."""
    triggers = query(
        "SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE tgrelid::regclass::text ~ %s",
        [OWN_TABLES],
    )
    there = {(table, name) for table, name, _ in triggers}
    faults = [
        (table, name, f"The trigger {name} is switched off.") for table, name, state in triggers if state not in "OA"
    ]
    for model, trigger in pgtrigger.registered():
        place = (model._meta.db_table, trigger.get_pgid(model))
        if model._meta.app_label in OWN_APPS and place not in there:
            faults.append((*place, f"The trigger {place[1]} is not there."))
    return len(triggers), faults


def check_latest_revisions() -> tuple[int, list[Fault]]:
    """Each variant of a video has one latest summary, the one with the highest revision."""
    rows = query(
        """
        SELECT video_id, variant, count(*) FILTER (WHERE is_latest), max(revision),
            max(revision) FILTER (WHERE is_latest)
        FROM summaries_summary GROUP BY 1, 2
        HAVING count(*) FILTER (WHERE is_latest) <> 1
            OR max(revision) <> max(revision) FILTER (WHERE is_latest)
        ORDER BY 1, 2
        """
    )
    ((variants,),) = query(
        "SELECT count(*) FROM (SELECT DISTINCT video_id, variant FROM summaries_summary) AS variants"
    )
    return variants, [
        (
            "summaries_summary",
            "is_latest",
            printable(
                f"{variant} of {video_id} has {latest} latest revisions;"
                f" the highest is {highest}, the latest is {shown}."
            ),
        )
        for video_id, variant, latest, highest, shown in rows
    ]


def check_facet_counts() -> tuple[int, list[Fault]]:
    """The kept counts are what counting the videos gives."""
    rows = query("""
        WITH live AS (SELECT * FROM videos_video WHERE deleted_at IS NULL), counted AS (
            SELECT facet.name, facet.value, NULL::bigint AS category, NULL::bigint AS subcategory, count(*) AS videos
            FROM live CROSS JOIN LATERAL (VALUES
                ('total', ''), ('source', source), ('language', language), ('content_type', content_type),
                ('complexity_level', complexity_level), ('channel', channel_name), ('has_audio', has_audio::text)
            ) AS facet(name, value) WHERE facet.value <> '' OR facet.name = 'total' GROUP BY 1, 2
            UNION ALL SELECT 'category', '', category_id, NULL, count(DISTINCT video_id)
            FROM videos_categorization JOIN live USING (video_id) GROUP BY 3
            UNION ALL SELECT 'subcategory', '', category_id, subcategory_id, count(*)
            FROM videos_categorization JOIN live USING (video_id) WHERE subcategory_id IS NOT NULL GROUP BY 3, 4
        ), kept AS (
            SELECT facet, value, category_id, subcategory_id, sum(count)::bigint AS videos
            FROM videos_facetcount WHERE facet <> 'revision' GROUP BY 1, 2, 3, 4 HAVING sum(count) <> 0
        )
        SELECT coalesce(facet, name), coalesce(kept.value, counted.value), coalesce(category_id, category),
            coalesce(subcategory_id, subcategory), coalesce(kept.videos, 0), coalesce(counted.videos, 0)
        FROM kept FULL JOIN counted ON name = facet AND counted.value = kept.value
            AND coalesce(category, 0) = coalesce(category_id, 0)
            AND coalesce(subcategory, 0) = coalesce(subcategory_id, 0)
    """)
    names = dict(Category.objects.values_list("pk", "name")) if rows else {}
    below = dict(Subcategory.objects.values_list("pk", "name")) if rows else {}
    return len(rows), [
        (
            "videos_facetcount",
            facet,
            printable(
                f"The count of {facet} {value or below.get(subcategory) or names.get(category) or ''} is {kept},"
                f" and {counted} by counting."
            ),
        )
        for facet, value, category, subcategory, kept, counted in rows
        if kept != counted
    ]


DATABASE_CHECKS: dict[str, Callable[[], tuple[int, list[Fault]]]] = {
    "foreign keys without orphans": check_foreign_keys,
    "unique keys without duplicates": check_unique_keys,
    "constraints there and validated": check_constraints,
    "triggers there and switched on": check_triggers,
    "variants with one latest revision, the highest": check_latest_revisions,
    "counts of filters equal to a recount": check_facet_counts,
}


def own_models() -> list[type[models.Model]]:
    return [model for label in OWN_APPS for model in apps.get_app_config(label).get_models()]


def generated_fields(model: type[models.Model]) -> list[str]:
    """The names of columns that PostgreSQL computes."""
    return [column.name for column in model._meta.local_concrete_fields if column.generated]


def is_storable(name: str) -> bool:
    """Whether PostgreSQL can hold a text, and so can be asked for it."""
    try:
        return b"\x00" not in name.encode()
    except UnicodeEncodeError:
        return False


def is_later(video: Video | VideoEvent, row: ContentRow) -> bool:
    """Whether the video's data is newer than the row's."""
    return bool(video.updated_at and row.time and video.updated_at > row.time)


def readable(content: bytes | None) -> Value:
    """The value of canonical bytes, or the bytes themselves where they are damaged."""
    try:
        return None if content is None else decode(bytes(content))[0]
    except (ValueError, IndexError):
        return bytes(content)
