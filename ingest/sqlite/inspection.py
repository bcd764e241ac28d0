"""What is in an old SQLite file, from the file alone: numbers to compare with later, and whatever is odd.

Memory stays flat: what grows with the library (names of videos, triples) lies in temporary files of SQLite.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from json.encoder import encode_basestring_ascii
from pathlib import Path

from videos.keys import VideoKey, natural_key
from videos.models import Pair

from ..values import one_line
from .codec import Row, Text, Value
from .manifest import Manifest, Progress, TableCount, check_manifest, manifest_of, no_progress
from .mapping import Mapper, Unmodelled
from .plain import PLAIN_NAME, READINGS, PlainRows, PlainVideo, values_at
from .reader import SnapshotError, Source, Table, open_snapshot
from .schema import Generation

SHOWN_EXAMPLES = 3
ROWS_AT_ONCE = 1000
# Rows whose videos are looked up together; they are held in memory.
NAMES_AT_ONCE = 200
# Signatures of types that are looked at once only; a file can have any number of them.
MOST_SIGNATURES = 10_000

JSON_COLUMNS = {
    "content": ("subcategories_json", "analysis", "key_topics", "named_entities"),
    "summary_variants": ("raw_payload", "metadata"),
}
# How a row of another table names its video.
REFERENCES = {"content_summaries": "content_id", "summary_variants": "video_id", "content_files": "content_id"}

# A video, a category, and a subcategory or none.
Triple = tuple[str, str, str | None]


class Kind(StrEnum):
    """What can be odd about a value or a row."""

    TYPE = "type_differs"
    BLOB = "blob_in_text"
    NUL = "nul_in_text"
    UTF8 = "invalid_utf8"
    TIME = "time_not_readable"
    JSON = "json_not_readable"
    JSON_STORABLE = "json_not_storable"
    CASE = "id_differs_by_case"
    TWICE = "video_named_twice"
    ORPHAN = "orphan"

    @property
    def label(self) -> str:
        return {
            Kind.TYPE: "values of another type than their column's",
            Kind.BLOB: "blobs where a text should be",
            Kind.NUL: "texts with a NUL byte",
            Kind.UTF8: "texts that are no valid UTF-8",
            Kind.TIME: "times that cannot be read",
            Kind.JSON: "JSON that cannot be read",
            Kind.JSON_STORABLE: "JSON that PostgreSQL cannot hold (NUL, half a character, too deep)",
            Kind.CASE: "IDs that differ from another's only by upper and lower case",
            Kind.TWICE: "rows that name a video an earlier row has named",
            Kind.ORPHAN: "summaries and files of a video that is not in the file",
        }[self]


@dataclass(frozen=True)
class Example:
    """A place in the file; `value` is cut and escaped, so that it can be shown anywhere."""

    table: str
    key: int
    column: str
    value: str


@dataclass
class Findings:
    """How often something was found, and the first places."""

    count: int = 0
    examples: list[Example] = field(default_factory=list)

    def add(self, table: str, key: int, column: str, value: Value) -> None:
        self.count += 1
        if len(self.examples) < SHOWN_EXAMPLES:
            self.examples.append(Example(table, key, column, one_line(value)))


@dataclass
class ContentCounts:
    """Rows of `content`: all, and those with something in the columns named."""

    rows: int = 0
    with_subcategories_json: int = 0
    with_subcategory: int = 0
    with_summary: int = 0
    with_audio: int = 0


@dataclass(frozen=True)
class TripleSet:
    """How many different triples there are, and their digest (triples_digest)."""

    count: int
    sha256: str


@dataclass(frozen=True)
class Inspection:
    """What is in a file. `manifest` is what the file holds now; `described` whether one beside it says the same.

    `oddities` are by kind, `quarantined` by code: rows that an import would keep in the vault only.
    """

    name: str
    manifest: Manifest
    described: bool
    content: ContentCounts
    triples: TripleSet
    oddities: dict[str, Findings]
    quarantined: dict[str, Findings]
    unknown_tables: list[str]
    unknown_columns: list[str]


def inspect_snapshot(path: Path, progress: Progress = no_progress) -> Inspection:
    """Read a snapshot whole. Raises SnapshotError for a file that cannot be taken, or is not its manifest's."""
    with open_snapshot(path) as source:
        described = check_manifest(path, source.sha256)
        with closing(Names()) as names:
            inspection = Inspector(source, names, progress).run(described is not None)
    if described and (differences := described.differences(inspection.manifest)):
        raise SnapshotError(
            f"{path} has the bytes that its manifest names, but the manifest says otherwise of its "
            f"{', '.join(differences)}: the manifest was changed. Make the snapshot again (manage.py snapshot_sqlite)."
        )
    return inspection


@dataclass(frozen=True)
class RowKind:
    """Rows with values of the same types: where one is odd, whether they can be plain, and what gets their texts."""

    odd: tuple[tuple[int, Kind], ...]
    fits: bool
    texts: Callable[[Row], tuple[Value, ...]]

    @classmethod
    def of(cls, signature: tuple[type, ...], affinities: list[str], plain: PlainRows) -> "RowKind":
        odd = (type_oddity(stored, affinity) for stored, affinity in zip(signature, affinities, strict=True))
        return cls(
            tuple((place, kind) for place, kind in enumerate(odd) if kind),
            plain.fits(signature),
            values_at([place for place, stored in enumerate(signature) if stored is Text]),
        )


class Inspector:
    """One pass over every row of an open snapshot."""

    def __init__(self, source: Source, names: "Names", progress: Progress) -> None:
        self.source, self.names, self.progress = source, names, progress
        self.mapper = Mapper()
        self.counts = {name: TableCount(table) for name, table in source.tables.items()}
        self.content = ContentCounts()
        self.oddities: dict[str, Findings] = defaultdict(Findings)
        self.quarantined: dict[str, Findings] = defaultdict(Findings)
        self.rows_done = 0
        self.rows_total = sum(table.rows for table in source.tables.values())

    def run(self, described: bool) -> Inspection:
        # `content` first: rows of other tables name its videos.
        triples = triples_digest(self.content_triples())
        self.inspect_texts("content_summaries", PlainRows.summary, self.mapper.summary)
        if "summary_variants" in self.counts:
            self.inspect_texts("summary_variants", PlainRows.variant_text, self.mapper.variant_text)
        for name in self.counts:
            if name not in ("content", "content_summaries", "summary_variants"):
                self.inspect_other(name)
        self.find_ids_that_differ_by_case()
        self.content.with_summary = self.rows_with_summary()
        return Inspection(
            name=self.source.name,
            manifest=manifest_of(self.source, self.counts),
            described=described,
            content=self.content,
            triples=triples,
            oddities={kind.value: self.oddities[kind] for kind in Kind if kind in self.oddities},
            quarantined=dict(sorted(self.quarantined.items())),
            unknown_tables=unknown_tables(self.source),
            unknown_columns=unknown_columns(self.source),
        )

    def rows(self, name: str, plain: PlainRows) -> Iterator[tuple[int, Row, bool]]:
        """The rows of a table as (key, values and a None, whether it can be plain).

        Each value has been looked at for itself.
        """
        table, count = self.source.tables[name], self.counts[name]
        affinities = column_affinities(self.source.connection, table)
        kinds_of: dict[tuple[type, ...], RowKind] = {}
        for key, row in self.source.rows(name):
            signature = count.add(key, row)
            if (row_kind := kinds_of.get(signature)) is None:
                if len(kinds_of) > MOST_SIGNATURES:
                    kinds_of.clear()
                row_kind = kinds_of[signature] = RowKind.of(signature, affinities, plain)
            for place, kind in row_kind.odd:
                self.oddities[kind].add(name, key, table.columns[place], row[place])
            texts = b"\n".join(row_kind.texts(row))
            is_clean = b"\x00" not in texts and is_utf8(texts)
            if not is_clean:
                self.inspect_characters(table, key, row)
            self.rows_done += 1
            if not self.rows_done % ROWS_AT_ONCE:
                self.progress("Reading rows", self.rows_done, self.rows_total)
            yield key, (*row, None), is_clean and row_kind.fits

    def by_column(self, name: str, row: Row) -> dict[str, Value]:
        return dict(zip(self.source.tables[name].columns, row, strict=False))

    def inspect_characters(self, table: Table, key: int, row: Row) -> None:
        for column, value in zip(table.columns, row, strict=True):
            if isinstance(value, Text):
                if b"\x00" in value:
                    self.oddities[Kind.NUL].add(table.name, key, column, value)
                if not is_utf8(value):
                    self.oddities[Kind.UTF8].add(table.name, key, column, value)

    def inspect_columns(self, name: str, key: int, row: dict[str, Value]) -> None:
        """Times and JSON of a row that cannot be taken as a whole, or need not."""
        times = READINGS[name].times if name in READINGS else ()
        for columns, read in ((times, self.mapper.time), (JSON_COLUMNS.get(name, ()), self.mapper.json)):
            for column in columns:
                try:
                    read(row, column)
                except Unmodelled as problem:
                    if problem.code in (Kind.TIME, Kind.JSON, Kind.JSON_STORABLE):
                        self.oddities[Kind(problem.code)].add(name, key, column, problem.value)

    # Videos

    def content_triples(self) -> Iterator[Triple]:
        """Inspects `content`; the triples of its rows, also of those that an import would quarantine."""
        table = self.source.tables["content"]
        plain = PlainRows(table, self.mapper)
        structured, subcategory, has_audio = plain.places.of(("subcategories_json", "subcategory", "has_audio"))
        for key, row, can_be_plain in self.rows("content", plain):
            self.content.rows += 1
            self.content.with_subcategories_json += not is_blank(row[structured])
            self.content.with_subcategory += not is_blank(row[subcategory])
            self.content.with_audio += row[has_audio] == 1
            if can_be_plain and (video := plain.video(row)):
                pairs, name = video.pairs, video.old_id or video.native_id
                if not self.names.add_first(video):
                    self.note_video(key, self.by_column("content", row), video.video_id, video.native_id)
            else:
                columns = self.by_column("content", row)
                pairs = self.mapped_pairs(key, columns)
                name = lenient(columns.get("id")) or lenient(columns.get("video_id"))
            yield from ((name, pair.category, pair.subcategory) for pair in pairs)

    def mapped_pairs(self, key: int, row: dict[str, Value]) -> tuple[Pair, ...]:
        """Inspects a row of `content` as an import maps it; its categories."""
        try:
            video = self.mapper.video(row)
        except Unmodelled as problem:
            self.quarantined[problem.code].add("content", key, problem.column, problem.value)
            self.inspect_columns("content", key, row)
            pairs = self.pairs(row)
            self.note_refused(key, row)
            return pairs
        self.note_video(key, row, video.record.video_id, video.native_id)
        return video.pairs

    def pairs(self, row: dict[str, Value]) -> tuple[Pair, ...]:
        """The categories of a row that is refused, if these can be read."""
        try:
            analysis = self.mapper.json(row, "analysis")
        except Unmodelled:
            analysis = None
        try:
            return self.mapper.pairs(row, analysis)[0]
        except Unmodelled:
            return ()

    def note_video(self, key: int, row: dict[str, Value], video_id: str, native_id: str) -> None:
        """Note the names of a row that can be taken; of those that name a video twice, an import takes the first."""
        old_id = lenient(row.get("id"))
        known_key, known_id = self.names.known(video_id), self.names.known(old_id) if old_id else 0
        if known_key & Known.KEY or known_id & Known.OLD_ID:
            self.oddities[Kind.TWICE].add("content", key, "video_id", Text(encoded(video_id)))
        is_taken = not (known_key & Known.TAKEN_KEY or known_id & Known.TAKEN_OLD_ID)
        if not is_taken:
            column = "video_id" if known_key & Known.TAKEN_KEY else "id"
            self.quarantined["duplicate_key"].add("content", key, column, row.get(column))
        self.names.add(video_id, Known.KEY | (Known.TAKEN_KEY if is_taken else 0))
        self.names.add(old_id, Known.OLD_ID | (Known.TAKEN_OLD_ID if is_taken else 0))
        if native_id != video_id:
            self.names.add(native_id, Known.NATIVE | (Known.TAKEN_NATIVE if is_taken else 0))

    def note_refused(self, key: int, row: dict[str, Value]) -> None:
        """Note the names of a row that cannot be taken, as far as they can be read."""
        old_id, native_id, url = (lenient(row.get(column)) for column in ("id", "video_id", "canonical_url"))
        try:
            _, video_id = natural_key(native_id, old_id, url)
        except ValueError:
            return
        if self.names.known(video_id) & Known.KEY or (old_id and self.names.known(old_id) & Known.OLD_ID):
            self.oddities[Kind.TWICE].add("content", key, "video_id", Text(encoded(video_id)))
        self.names.add(video_id, Known.KEY)
        self.names.add(old_id, Known.OLD_ID)
        self.names.add(native_id, Known.NATIVE)

    def rows_with_summary(self) -> int:
        """Rows of `content` with a text in `content_summaries`, or in a `summary` of their own."""
        texts = "SELECT content_id FROM content_summaries WHERE trim(summary_text, char(9, 10, 13, 32)) <> ''"
        own = ""
        if "summary" in self.source.tables["content"].columns:
            own = "OR trim(summary, char(9, 10, 13, 32)) <> ''"
        query = f"SELECT count(*) FROM content WHERE id IN ({texts}) {own}"
        return self.source.connection.execute(query).fetchone()[0]

    def find_ids_that_differ_by_case(self) -> None:
        key_column = self.source.tables["content"].rowid or "0"
        for column in ("id", "video_id"):
            query = f"""
                SELECT {key_column}, {column} FROM content WHERE lower({column}) IN (
                    SELECT lower({column}) FROM content
                    WHERE typeof({column}) = 'text' GROUP BY 1 HAVING count(DISTINCT {column}) > 1
                ) ORDER BY lower({column}), 1
            """
            for key, value in self.source.connection.execute(query):
                self.oddities[Kind.CASE].add("content", key, column, value)

    # Other tables

    def inspect_texts(
        self, name: str, is_plain: Callable[[PlainRows, Row], bool], map_row: Callable[[dict[str, Value]], object]
    ) -> None:
        """A table of summaries."""
        column, plain = REFERENCES[name], PlainRows(self.source.tables[name], self.mapper)
        for key, row, can_be_plain, has_video in self.rows_with_video(name, plain):
            if can_be_plain and has_video and is_plain(plain, row):
                continue
            columns = self.by_column(name, row)
            known = self.known_video(name, key, columns)
            try:
                video = self.mapper.text(columns, column)
                map_row(columns)
                if not known & Known.TAKEN:
                    raise Unmodelled("orphan", column, columns.get(column), f"There is no video {video} to take it.")
            except Unmodelled as problem:
                self.quarantined[problem.code].add(name, key, problem.column, problem.value)
                self.inspect_columns(name, key, columns)

    def inspect_other(self, name: str) -> None:
        """A table that an import keeps as it is."""
        plain = PlainRows(self.source.tables[name], self.mapper)
        for key, row, can_be_plain, has_video in self.rows_with_video(name, plain):
            if not can_be_plain or not plain.is_plain(row):
                self.inspect_columns(name, key, self.by_column(name, row))
            if name in REFERENCES and not has_video:
                self.known_video(name, key, self.by_column(name, row))

    def rows_with_video(self, name: str, plain: PlainRows) -> Iterator[tuple[int, Row, bool, bool]]:
        """The rows of `rows`, each with whether it names, letter by letter, a video that an import takes."""
        place = plain.places[REFERENCES.get(name, "")]
        rows = self.rows(name, plain)
        while batch := list(islice(rows, NAMES_AT_ONCE)):
            names = {row[place] for _, row, can_be_plain in batch if can_be_plain}
            taken = self.names.taken([value for value in names if value and PLAIN_NAME.fullmatch(value)])
            for key, row, can_be_plain in batch:
                yield key, row, can_be_plain, can_be_plain and row[place] in taken

    def known_video(self, name: str, key: int, row: dict[str, Value]) -> int:
        """What is known of the video that a row names, as bits; one that is unknown is an oddity."""
        value = row.get(REFERENCES[name])
        text, known = lenient(value), 0
        for candidate in VideoKey.parse(text).candidates:
            known |= self.names.known(candidate)
            if known & Known.TAKEN:
                return known
        # A name that no import could follow, but that is the video's, byte for byte.
        if not known and not self.names.known(text):
            self.oddities[Kind.ORPHAN].add(name, key, REFERENCES[name], value)
        return known


class Known:
    """What is known of a name, as bits: whose it is, and whether an import takes that row."""

    KEY, OLD_ID, NATIVE, TAKEN_KEY, TAKEN_OLD_ID, TAKEN_NATIVE = (1 << place for place in range(6))
    TAKEN = TAKEN_KEY | TAKEN_OLD_ID | TAKEN_NATIVE


# Always as many places, so that SQLite prepares the statement once.
SELECT_TAKEN = f"SELECT name FROM name WHERE known & {Known.TAKEN} AND name IN ({', '.join('?' * NAMES_AT_ONCE)})"


class Names:
    """The names of videos met so far, in a temporary file."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect("", isolation_level=None)
        self.connection.execute("PRAGMA cache_size = -65536")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("CREATE TABLE name (name BLOB PRIMARY KEY, known INTEGER NOT NULL) WITHOUT ROWID")
        self.connection.execute("BEGIN")

    def add(self, name: str, known: int) -> None:
        """Note what is known of a name; an empty one names nothing."""
        if name:
            self.connection.execute(
                "INSERT INTO name VALUES (?, ?) ON CONFLICT DO UPDATE SET known = known | excluded.known",
                (encoded(name), known),
            )

    def add_first(self, video: PlainVideo) -> bool:
        """Note the names of a video that an import takes, if they are new; whether they are."""
        if video.native_id != video.video_id or not video.old_id:
            return False
        try:
            self.connection.execute(
                "INSERT INTO name VALUES (?, ?), (?, ?)",
                (
                    encoded(video.video_id), Known.KEY | Known.TAKEN_KEY,
                    encoded(video.old_id), Known.OLD_ID | Known.TAKEN_OLD_ID,
                ),
            )  # fmt: skip
        except sqlite3.IntegrityError:
            return False
        return True

    def known(self, name: str) -> int:
        """The bits of Known, 0 for a name that was not met."""
        row = self.connection.execute("SELECT known FROM name WHERE name = ?", (encoded(name),)).fetchone()
        return row[0] if row else 0

    def taken(self, names: list[bytes]) -> set[bytes]:
        """Which of these NAMES_AT_ONCE names at most are of a video that an import takes."""
        names += [None] * (NAMES_AT_ONCE - len(names))
        return {name for (name,) in self.connection.execute(SELECT_TAKEN, names)}

    def close(self) -> None:
        self.connection.close()


def triples_digest(triples: Iterable[Triple]) -> TripleSet:
    """How many different triples there are, and the SHA-256 over them, sorted. Memory stays flat.

    A triple is one line: the JSON list [video, category, subcategory or null] in ASCII (`\\uXXXX`), with ", "
    between and a line feed behind. The lines are sorted by their bytes, and each counts once. The video is the
    row's `id`, or its `video_id` if it has none.
    """
    digest, count = sha256(), 0
    with closing(sqlite3.connect("")) as sorter:
        sorter.execute("PRAGMA synchronous = OFF")
        sorter.execute("CREATE TABLE triple (line BLOB NOT NULL)")
        sorter.executemany("INSERT INTO triple VALUES (?)", ((triple_line(triple),) for triple in triples))
        for (line,) in sorter.execute("SELECT DISTINCT line FROM triple ORDER BY line"):
            digest.update(line)
            count += 1
    return TripleSet(count, digest.hexdigest())


def triple_line(triple: Triple) -> bytes:
    """What json.dumps writes of a triple, and a line feed; dumps takes four times as long."""
    video, category, subcategory = triple
    last = "null" if subcategory is None else encode_basestring_ascii(subcategory)
    return f"[{encode_basestring_ascii(video)}, {encode_basestring_ascii(category)}, {last}]\n".encode()


def unknown_tables(source: Source) -> list[str]:
    """Tables that the old dashboard had in no generation; SQLite's own left aside."""
    return [name for name in source.tables if name not in Generation.LAST.columns and not name.startswith("sqlite_")]


def unknown_columns(source: Source) -> list[str]:
    """Columns of the old dashboard's tables that these had in no generation, as table.column."""
    return [
        f"{name}.{column}"
        for name, known in Generation.LAST.columns.items()
        if name in source.tables
        for column in source.tables[name].columns
        if column not in known
    ]


# Values


def column_affinities(connection: sqlite3.Connection, table: Table) -> list[str]:
    """The affinity of each column, from its declared type (https://sqlite.org/datatype3.html, 3.1)."""
    declared = {
        name.decode(): kind.decode(errors="replace").upper()
        for name, kind in connection.execute("SELECT name, type FROM pragma_table_xinfo(?)", (table.name,))
    }
    return [affinity(declared[column]) for column in table.columns]


def affinity(declared: str) -> str:
    """The affinity of a declared type, which is in upper case."""
    if "INT" in declared:
        return "INTEGER"
    if any(part in declared for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in declared or not declared:
        return "BLOB"
    return "REAL" if any(part in declared for part in ("REAL", "FLOA", "DOUB")) else "NUMERIC"


# The types that a column of an affinity holds without being odd; NULL is none of them.
PLAIN_TYPES = {"INTEGER": (int,), "TEXT": (Text,), "REAL": (float,), "NUMERIC": (int, float)}


def type_oddity(stored: type, affinity: str) -> Kind | None:
    """What is odd about a value of this type in a column of this affinity, if anything."""
    if affinity == "BLOB" or stored is type(None) or stored in PLAIN_TYPES[affinity]:
        return None
    return Kind.BLOB if stored is bytes and affinity == "TEXT" else Kind.TYPE


def is_blank(value: Value) -> bool:
    return value is None or (isinstance(value, Text) and not value.strip())


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def lenient(value: Value) -> str:
    """A value as a name that can be compared; bytes that are no UTF-8 stay apart as halves of surrogate pairs."""
    match value:
        case None:
            return ""
        case bytes():
            return value.decode(errors="surrogateescape")
        case _:
            return str(value)


def encoded(name: str) -> bytes:
    """The bytes of a name that `lenient` made, or that a mapping did."""
    return name.encode(errors="surrogateescape")
