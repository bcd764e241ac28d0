"""Rows that nothing can be wrong with, told at a glance, so that an inspection need not map each row.

The promise has one direction: the Mapper takes a plain row. Of a row that is not plain only the Mapper knows.
What follows from short texts that many rows share is asked of the Mapper once.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from videos.keys import natural_key
from videos.models import Pair

from .codec import Row, Text, Value
from .mapping import LARGEST_REVISION, LONGEST_KEY, NUMBER_COLUMNS, TEXT_COLUMNS, Mapper, Unmodelled
from .reader import Table

# Answers of the Mapper that are kept; a file can need any number of them.
MOST_KEPT = 10_000
# Longer texts are hardly met twice, and would fill the memory.
LONGEST_KEPT = 1000

# Times that exist, or nothing, with a line feed behind each. Left out: 29 February, and years so near the ends of
# the calendar that an offset can lead out of it.
PLAIN_TIMES = re.compile(
    rb"(?:(?:(?!000|999)\d{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    rb"|(?:0[13578]|1[02])-31)[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?"
    rb"(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?\n)*"
)
# A name that is the first of its own candidates (videos/keys.py).
PLAIN_NAME = re.compile(rb"[!-~]{4,500}")
YOUTUBE_ID = re.compile(rb"[A-Za-z0-9_-]{11}")
YOUTUBE_ADDRESS = b"https://www.youtube.com/watch?v="

FLAGS = frozenset((None, 0, 1))
PLAIN_TEXT, PLAIN_NUMBER = (Text, type(None)), (int, type(None))


@dataclass(frozen=True)
class Reading:
    """How the Mapper reads the columns of a table that it reads."""

    texts: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


READINGS = {
    "content": Reading(
        texts=(
            *TEXT_COLUMNS, "id", "video_id", "canonical_url", "language", "category", "subcategory", "summary",
            "analysis", "key_topics", "named_entities",
        ),
        times=("published_at", "indexed_at", "created_at", "updated_at"),
        numbers=NUMBER_COLUMNS,
        flags=("has_audio", "has_transcript"),
    ),
    "content_summaries": Reading(texts=("content_id", "summary_text", "summary_type")),
    "summary_variants": Reading(
        texts=("video_id", "variant_type", "content", "raw_payload", "metadata"),
        times=("created_at", "updated_at"),
        numbers=("revision", "file_size", "word_count"),
        flags=("is_latest",),
    ),
    "content_files": Reading(texts=("content_id",), times=("created_at",)),
    "migration_log": Reading(times=("processed_at",)),
}  # fmt: skip


def values_at(places: Sequence[int]) -> Callable[[Row], tuple[Value, ...]]:
    """Gets the values at these places out of a row."""
    return itemgetter(*places) if len(places) > 1 else lambda row: tuple([row[place] for place in places])


class Places:
    """Where the columns of a table stand in its rows. A missing one stands behind the last: give rows a None there."""

    def __init__(self, table: Table) -> None:
        self.by_column = {column: place for place, column in enumerate(table.columns)}
        self.behind = len(table.columns)

    def __getitem__(self, column: str) -> int:
        return self.by_column.get(column, self.behind)

    def of(self, columns: Iterable[str]) -> list[int]:
        return [self[column] for column in columns]

    def getter(self, columns: Iterable[str]) -> Callable[[Row], tuple[Value, ...]]:
        """Gets the values of columns out of a row."""
        return values_at(self.of(columns))


class PlainVideo(NamedTuple):
    """What an inspection needs to know of a plain row of `content`."""

    video_id: str
    native_id: str
    old_id: str
    pairs: tuple[Pair, ...]


class PlainRows:
    """Tells the plain rows of a table; their texts must be known to be UTF-8 without a NUL."""

    def __init__(self, table: Table, mapper: Mapper) -> None:
        reading = READINGS.get(table.name, Reading())
        self.mapper, self.places = mapper, Places(table)
        self.texts = self.places.of((*reading.texts, *reading.times))
        self.numbers = self.places.of((*reading.numbers, *reading.flags))
        self.times_of, self.numbers_of, self.flags_of, self.shared_of, self.names_of = (
            self.places.getter(columns)
            for columns in (
                reading.times,
                (*reading.numbers, *reading.flags),
                reading.flags,
                ("analysis", "summary", "category", "subcategory", "subcategories_json"),
                ("video_id", "id", "canonical_url"),
            )
        )
        self.readers = {
            **dict.fromkeys(("key_topics", "named_entities"), mapper.json_list),
            **dict.fromkeys(("analysis", "metadata", "raw_payload"), mapper.json),
            **dict.fromkeys(("summary_type", "variant_type"), self.read_variant),
        }
        self.takes_known = lru_cache(MOST_KEPT)(self.takes_any)
        self.pairs = lru_cache(MOST_KEPT)(self.read_pairs)

    def fits(self, signature: tuple[type, ...]) -> bool:
        """Whether values of these types are of the kinds that their columns are for, or NULL."""
        types = (*signature, type(None))
        return all(types[place] in PLAIN_TEXT for place in self.texts) and all(
            types[place] in PLAIN_NUMBER for place in self.numbers
        )

    def is_plain(self, row: Row) -> bool:
        """Whether the times, numbers and flags of a row that fits can be taken."""
        return (
            min(filter(None, self.numbers_of(row)), default=0) >= 0
            and FLAGS.issuperset(self.flags_of(row))
            and PLAIN_TIMES.fullmatch(b"".join([text + b"\n" if text else b"\n" for text in self.times_of(row)]))
            is not None
        )

    # Texts that the Mapper is asked about

    def takes(self, row: Row, column: str) -> bool:
        """Whether the Mapper takes what stands in a column that has a reader."""
        value = row[self.places[column]]
        if value is None or len(value) <= LONGEST_KEPT:
            return self.takes_known(column, value)
        return self.takes_any(column, value)

    def takes_any(self, column: str, value: Text | None) -> bool:
        try:
            self.readers[column]({column: value}, column)
        except Unmodelled:
            return False
        return True

    def read_variant(self, row: dict[str, Value], column: str) -> str:
        return self.mapper.variant(row, column, self.mapper.text(row, column))

    def takes_summary(self, value: Text | None) -> bool:
        """Whether a summary in `content` can be taken: any text can, but an object can name a type of its own."""
        if value is None or b"{" not in value:
            return True
        try:
            self.mapper.own_summary({"summary": value})
        except Unmodelled:
            return False
        return True

    def read_pairs(
        self, category: Text | None, subcategory: Text | None, structured: Text | None, analysis: Text | None
    ) -> tuple[Pair, ...] | None:
        """The categories that these four columns give; None where they cannot be read."""
        row = {
            "category": category, "subcategory": subcategory, "subcategories_json": structured, "analysis": analysis
        }  # fmt: skip
        try:
            return self.mapper.pairs(row, self.mapper.json(row, "analysis"))[0]
        except Unmodelled:
            return None

    # Rows

    def video(self, row: Row) -> PlainVideo | None:
        """What a plain row of `content` gives, or None for a row that is not plain."""
        if not self.is_plain(row):
            return None
        analysis, summary, *said = self.shared_of(row)
        if not (
            self.takes(row, "key_topics")
            and self.takes(row, "named_entities")
            and self.takes(row, "analysis")
            and self.takes_summary(summary)
        ):
            return None
        # Most are alike in what says their categories, if the analysis is left aside where it says none.
        if analysis and b"categories" not in analysis and b"\\" not in analysis:
            analysis = None
        if sum(len(text) for text in (*said, analysis) if text) > LONGEST_KEPT:
            pairs = self.read_pairs(*said, analysis)
        else:
            pairs = self.pairs(*said, analysis)
        ids = self.ids(row)
        return PlainVideo(*ids, pairs) if ids and pairs is not None else None

    def ids(self, row: Row) -> tuple[str, str, str] | None:
        """The video's key, the native ID and the old ID of a row of `content`; None for ones that are not plain."""
        native, old, address = (text or b"" for text in self.names_of(row))
        if len(native) > LONGEST_KEY or len(old) > LONGEST_KEY:
            return None
        native_id, old_id = native.decode(), old.decode()
        # The address names the same video: natural_key has nothing to find out.
        if YOUTUBE_ID.fullmatch(native) and address == YOUTUBE_ADDRESS + native:
            return native_id, native_id, old_id
        try:
            return natural_key(native_id, old_id, address.decode())[1], native_id, old_id
        except ValueError:
            return None

    def summary(self, row: Row) -> bool:
        """Whether a row of `content_summaries` is plain."""
        return self.takes(row, "summary_type")

    def variant_text(self, row: Row) -> bool:
        """Whether a row of `summary_variants` is plain."""
        return (
            self.is_plain(row)
            and (row[self.places["revision"]] or 0) <= LARGEST_REVISION
            and self.takes(row, "variant_type")
            and self.takes(row, "metadata")
            and self.takes_any("raw_payload", row[self.places["raw_payload"]])
        )
