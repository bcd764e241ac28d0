"""Rows of the old database as records of ours. Every change of a value is a named, counted rule.

A row that cannot be taken raises Unmodelled with a code, the column and the value; it is quarantined.
The forms are contract/ingest.md's ("Ids", "Categories arrive as", "Summaries").
"""

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings

from summaries.models import SummaryText, Variant
from videos.keys import natural_key
from videos.models import Origin, Pair
from videos.upsert import VideoRecord

from .codec import Text, Value

# The day, the clock, the fraction of a second, and the zone.
TIME = re.compile(
    r"(\d{4}-?\d{2}-?\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?=[.,Z+\s-]|$))?)(?:(?<=:\d\d:\d\d)[.,](\d{1,9}))?"
    r"\s*(Z|[+-]\d{2}(?::?[0-5]\d)?)?)?",
    re.ASCII,
)
LARGEST_INTEGER = 2**63 - 1
# The column holds 2**31 - 1, and a merge counts on from the largest.
LARGEST_REVISION = 10**9
# An entry of a B-tree index has 2,704 bytes at most: for a key, and for another text.
LONGEST_KEY, LONGEST_INDEXED = 500, 2000
INDEXED_BYTES = {"id": LONGEST_KEY, "video_id": LONGEST_KEY, "subcategory": LONGEST_INDEXED}
# Whoever walks through a deeper one runs out of stack.
DEEPEST_JSON = 100
# What can become a NUL, half a surrogate pair or an infinite number.
DOUBTFUL_JSON = re.compile(r"\\u|\d[eE]|\d{300}")


class Unmodelled(ValueError):
    """A row that cannot become part of a model: a code for programs, a sentence for people."""

    def __init__(self, code: str, column: str, value: Value, message: str) -> None:
        super().__init__(message)
        self.code, self.column, self.value, self.message = code, column, value, message


@dataclass(frozen=True)
class VideoRow:
    """A row of `content`: the video, the categories it was given, and a summary if the row holds one.

    `native_id` is the id as the row has it, by which rows of other tables may name it.
    """

    record: VideoRecord
    native_id: str
    pairs: tuple[Pair, ...]
    summary: SummaryText | None


@dataclass
class Mapper:
    """Reads the values of one row, by column name, and counts the rules that it applied."""

    rules: Counter[str] = field(default_factory=Counter)

    def text(self, row: dict[str, Value], column: str) -> str:
        """A text; NULL is empty."""
        match value := row.get(column):
            case None:
                if column in row:
                    self.rules["null_is_empty"] += 1
                return ""
            case Text():
                try:
                    text = value.decode()
                except UnicodeDecodeError as error:
                    raise Unmodelled("invalid_utf8", column, value, f"{column} is no valid UTF-8.") from error
                if "\x00" in text:
                    raise Unmodelled(
                        "nul_in_text", column, value, f"{column} holds a NUL byte, which PostgreSQL refuses."
                    )
                if (limit := INDEXED_BYTES.get(column)) and len(value) > limit:
                    raise too_long(column, value, limit)
                return text
            case _:
                raise wrong_type(column, value, "a text")

    def number(self, row: dict[str, Value], column: str) -> int:
        """A whole number from 0; NULL and empty text are 0."""
        match value := row.get(column):
            case None | b"":
                if column in row:
                    self.rules["null_is_zero" if value is None else "empty_is_zero"] += 1
                return 0
            case int() if 0 <= value <= LARGEST_INTEGER:
                return value
            case float() if value >= 0 and value.is_integer() and value < LARGEST_INTEGER:
                self.rules["real_is_integer"] += 1
                return int(value)
            case float() if not value.is_integer():
                raise Unmodelled("not_an_integer", column, value, f"{column} is {value}, not a whole number.")
            case int() | float():
                raise Unmodelled("out_of_range", column, value, f"{column} is {value}, outside what a count can be.")
            case _:
                raise wrong_type(column, value, "a number")

    def seconds(self, row: dict[str, Value], column: str) -> int:
        """A duration in whole seconds, rounded: a player measures more finely, and so wrote some rows."""
        value = row.get(column)
        if isinstance(value, float) and value >= 0 and math.isfinite(value) and not value.is_integer():
            self.rules["seconds_rounded"] += 1
            return round(value)
        return self.number(row, column)

    def optional_number(self, row: dict[str, Value], column: str) -> int | None:
        return None if row.get(column) is None else self.number(row, column)

    def flag(self, row: dict[str, Value], column: str) -> bool:
        """A truth value: 0 or 1; NULL is false."""
        number = self.number(row, column)
        if number not in (0, 1):
            raise Unmodelled("not_a_flag", column, row[column], f"{column} is {number}, neither 0 nor 1.")
        return bool(number)

    def time(self, row: dict[str, Value], column: str) -> datetime | None:
        """An instant. A time without a zone is UTC, a date is its midnight, NULL and empty text are none."""
        if row.get(column) is None:
            return None
        text = self.text(row, column).strip()
        if not text:
            self.rules["empty_is_null"] += 1
            return None
        match = TIME.fullmatch(text)
        if not match:
            raise Unmodelled("time_not_readable", column, row[column], f"{column} is {text!r}, no ISO 8601 time.")
        day, clock, fraction, zone = match.groups()
        if clock is None:
            self.rules["date_is_midnight_utc"] += 1
        elif zone is None:
            self.rules["naive_time_is_utc"] += 1
        if fraction and len(fraction.rstrip("0")) > 6:
            self.rules["nanoseconds_cut"] += 1
        try:
            moment = datetime.fromisoformat(f"{day} {clock}" if clock else day)
            if fraction:
                moment = moment.replace(microsecond=int(fraction.ljust(6, "0")[:6]))
            if zone and zone != "Z" and (offset := offset_of(zone)):
                moment -= offset
            moment = moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError) as error:
            raise Unmodelled(
                "time_not_readable", column, row[column], f"{column} is {text!r}, no real time."
            ) from error
        return moment

    def json(self, row: dict[str, Value], column: str) -> Any:
        """A JSON value that PostgreSQL can hold; NULL and empty text are None."""
        if row.get(column) is None:
            return None
        text = self.text(row, column)
        if not text.strip():
            self.rules["empty_is_null"] += 1
            return None
        try:
            value = DECODER.decode(text)
        except (ValueError, RecursionError) as error:
            raise Unmodelled("json_not_readable", column, row[column], f"{column} is no JSON.") from error
        if not plainly_storable(text) and not storable_json(value):
            raise Unmodelled(
                "json_not_storable",
                column,
                row[column],
                f"{column} is JSON with a NUL, half a surrogate pair, a number too large, or too many levels.",
            )
        return value

    def json_list(self, row: dict[str, Value], column: str) -> list[Any]:
        value = self.json(row, column)
        if value is None:
            if row.get(column) != b"":
                self.rules["null_is_empty"] += 1
            return []
        if not isinstance(value, list):
            raise Unmodelled("json_not_a_list", column, row[column], f"{column} is JSON, but no list.")
        return value

    # Rows

    def video(self, row: dict[str, Value]) -> VideoRow:
        """A row of `content`. Raises Unmodelled."""
        old_id, video_id, url = self.text(row, "id"), self.text(row, "video_id"), self.text(row, "canonical_url")
        try:
            source, key = natural_key(video_id, old_id, url)
        except ValueError as error:
            raise Unmodelled("no_id", "id", row.get("id"), "The row has no id, and its address holds none.") from error
        if key != video_id:
            self.rules["key_from_url" if key in url else "key_from_id"] += 1
        analysis = self.json(row, "analysis")
        pairs, extra = self.pairs(row, analysis)
        language = self.text(row, "language")
        record = VideoRecord(
            video_id=key,
            source=source,
            legacy_id=old_id,
            **{name: self.text(row, name) for name in TEXT_COLUMNS},
            **{name: self.number(row, name) for name in NUMBER_COLUMNS if name not in SECONDS_COLUMNS},
            **{name: self.seconds(row, name) for name in SECONDS_COLUMNS},
            **{name: self.flag(row, name) for name in ("has_audio", "has_transcript")},
            **{name: self.time(row, name) for name in ("published_at", "indexed_at", "created_at", "updated_at")},
            **{name: self.json_list(row, name) for name in ("key_topics", "named_entities")},
            canonical_url=url,
            language=language,
            analysis=analysis,
            extra=extra,
        )
        return VideoRow(record, video_id, pairs, self.own_summary(row))

    def pairs(self, row: dict[str, Value], analysis: Any) -> tuple[tuple[Pair, ...], dict[str, Any]]:
        """The pairs of a row of `content`, in order, and what of them has no place in a pair.

        Structured categories are somebody's decision, so they come as curated; flat names as imported.
        The flat list gives the order of the categories.
        """
        flat = self.flat_categories(row)
        structured = self.structured_categories(row, "subcategories_json", self.json(row, "subcategories_json"))
        if not structured and isinstance(analysis, dict):
            structured = self.structured_categories(row, "analysis", analysis.get("categories"))
        extra: dict[str, Any] = {}
        subcategory = self.text(row, "subcategory").strip()
        if subcategory and not structured:
            if parent := parent_of(subcategory, flat):
                self.rules["flat_subcategory_to_parent"] += 1
                structured = {parent: [subcategory]}
            else:
                self.rules["subcategory_without_category"] += 1
                extra["subcategory"] = subcategory
        pairs = []
        for category in dict.fromkeys([*flat, *structured]):
            if names := structured.get(category):
                pairs += [Pair(category, name, Origin.CURATED) for name in names]
            else:
                origin = Origin.CURATED if category in structured else Origin.IMPORTED
                pairs.append(Pair(category, None, origin))
        return tuple(pairs), extra

    def flat_categories(self, row: dict[str, Value]) -> list[str]:
        """`category`: a JSON list, a JSON string, plain text, or names joined by ", " if all are known.

        A text that reads as a number or as true is plain text: `1984` is a name. `null` is none.
        """
        text = self.text(row, "category").strip()
        if not text:
            return []
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if value is None:
            self.rules["null_is_empty"] += 1
            return []
        if isinstance(value, int | float):
            value = text
        if isinstance(value, str):
            parts = value.split(", ")
            if len(parts) > 1 and all(part in known_categories() for part in parts):
                self.rules["joined_categories_split"] += 1
                value = parts
            else:
                self.rules["category_text_is_one_name"] += 1
                value = [value]
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise Unmodelled("categories_not_readable", "category", row["category"], "category is no list of names.")
        return self.names(row, "category", value)

    def structured_categories(self, row: dict[str, Value], column: str, value: Any) -> dict[str, list[str]]:
        """`{"categories": [{category, subcategories[]}]}`, or the bare list, as {category: subcategories}."""
        listed = value.get("categories") if isinstance(value, dict) else value
        if listed is None:
            return {}
        categories: dict[str, list[str]] = {}
        try:
            for entry in listed:
                (category,) = self.names(row, column, [entry["category"]])
                below = entry.get("subcategories") or []
                if not isinstance(below, list):
                    raise TypeError("subcategories is no list")
                names = categories.setdefault(category, [])
                names += [name for name in self.names(row, column, below) if name not in names]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, Unmodelled):
                raise
            raise Unmodelled(
                "categories_not_readable", column, row[column], f"{column} is JSON, but no list of categories."
            ) from error
        return categories

    def names(self, row: dict[str, Value], column: str, values: list[str]) -> list[str]:
        """Names without empty ones and repetitions."""
        names = list(dict.fromkeys(name.strip() for name in values))
        if not all(storable_json(name) for name in names):
            raise Unmodelled(
                "json_not_storable", column, row[column], f"{column} has a name with a NUL or half a surrogate pair."
            )
        if any(len(name.encode()) > LONGEST_INDEXED for name in names):
            raise too_long(column, row[column], LONGEST_INDEXED)
        if len(names) != len(values):
            self.rules["repeated_name_dropped"] += len(values) - len(names)
        if "" in names:
            self.rules["empty_name_dropped"] += 1
        return [name for name in names if name]

    def own_summary(self, row: dict[str, Value]) -> SummaryText | None:
        """`content.summary` of the last generation: text, or an object that names its type."""
        text = self.text(row, "summary")
        if not text.strip():
            return None
        variant = Variant.COMPREHENSIVE.value
        if (value := read_object(text)) and isinstance(kind := value.get("summary_type"), str):
            variant = self.variant(row, "summary", kind)
        return SummaryText(variant, text, language=language_of(variant))

    def summary(self, row: dict[str, Value]) -> SummaryText | None:
        """A row of `content_summaries`; None for one without text. Raises Unmodelled."""
        text, kind = self.text(row, "summary_text"), self.text(row, "summary_type")
        if not text.strip():
            self.rules["empty_summary_is_none"] += 1
            return None
        variant = self.variant(row, "summary_type", kind)
        return SummaryText(variant, text, language=language_of(variant))

    def variant_text(self, row: dict[str, Value]) -> SummaryText | None:
        """A row of `summary_variants`; None for one without text. Raises Unmodelled."""
        variant = self.variant(row, "variant_type", self.text(row, "variant_type"))
        text = self.text(row, "content")
        if not text.strip():
            self.rules["empty_summary_is_none"] += 1
            return None
        return SummaryText(
            variant,
            text,
            revision=self.revision(row, "revision"),
            is_latest=self.flag(row, "is_latest"),
            language=language_of(variant),
            created_at=self.time(row, "created_at"),
            updated_at=self.time(row, "updated_at"),
            metadata=self.json(row, "metadata"),
            raw_payload=self.json(row, "raw_payload"),
            file_size_bytes=self.optional_number(row, "file_size"),
            word_count=self.optional_number(row, "word_count"),
        )

    def revision(self, row: dict[str, Value], column: str) -> int:
        number = self.number(row, column)
        if number > LARGEST_REVISION:
            raise Unmodelled("out_of_range", column, row[column], f"{column} is {number}, too many for a revision.")
        return number

    def variant(self, row: dict[str, Value], column: str, name: str) -> str:
        """The stored name of a variant that this column names."""
        if not storable_json(name):
            raise Unmodelled(
                "json_not_storable", column, row[column], f"{column} has a type with a NUL or half a surrogate pair."
            )
        variant = Variant.parse(name)
        if len(variant.encode()) > LONGEST_INDEXED:
            raise too_long(column, row[column], LONGEST_INDEXED)
        if variant != name:
            self.rules["variant_renamed"] += 1
        return variant


TEXT_COLUMNS = (
    "title", "thumbnail_url", "channel_name", "channel_id", "content_type", "complexity_level",
    "subcategories_json", "format_source", "processing_status",
)  # fmt: skip
NUMBER_COLUMNS = (
    "duration_seconds", "word_count", "audio_duration_seconds", "transcript_chars", "view_count", "like_count",
    "comment_count",
)  # fmt: skip
SECONDS_COLUMNS = ("duration_seconds", "audio_duration_seconds")

MapRow = Callable[[dict[str, Value]], SummaryText | None]


def wrong_type(column: str, value: Value, expected: str) -> Unmodelled:
    kind = {int: "integer", float: "real", Text: "text", bytes: "blob"}[type(value)]
    return Unmodelled("wrong_type", column, value, f"{column} is stored as {kind}, not as {expected}.")


def too_long(column: str, value: Value, limit: int) -> Unmodelled:
    return Unmodelled("text_too_long", column, value, f"{column} has a text of more than {limit:,} bytes.")


def offset_of(zone: str) -> timedelta:
    """`+02`, `+0200` or `+02:00` as a time. Raises ValueError for a day or more."""
    digits = zone[1:].replace(":", "").ljust(4, "0")
    if (hours := int(digits[:2])) > 23:
        raise ValueError(f"{zone} is no offset")
    return timedelta(hours=hours, minutes=int(digits[2:])) * (-1 if zone[0] == "-" else 1)


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


DECODER = json.JSONDecoder(parse_constant=refuse_constant)


def plainly_storable(text: str) -> bool:
    """Whether JSON without a NUL is storable at first sight: no escape, no exponent, too few brackets to be deep."""
    return text.count("[") + text.count("{") < DEEPEST_JSON and not DOUBTFUL_JSON.search(text)


def storable_json(value: Any, levels: int = DEEPEST_JSON) -> bool:
    """Whether jsonb can hold a parsed JSON value: no NUL, no half of a surrogate pair, no infinite number."""
    if not levels:
        return False
    match value:
        case str():
            try:
                return b"\x00" not in value.encode()
            except UnicodeEncodeError:
                return False
        case dict():
            return all(storable_json(key) and storable_json(item, levels - 1) for key, item in value.items())
        case list():
            return all(storable_json(item, levels - 1) for item in value)
        case float():
            return math.isfinite(value)
        case _:
            return True


def read_object(text: str) -> dict[str, Any] | None:
    """The object that a text is as JSON or as a Python literal, or None."""
    if not text.lstrip().startswith("{"):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text.strip())
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
        return value if isinstance(value, dict) else None
    return None


def language_of(variant: str) -> str:
    """The language that a variant's name says: `audio-fr:beginner` → `fr`."""
    kind = variant.partition(":")[0]
    return kind.removeprefix("audio-") if re.fullmatch(r"audio-[a-z]{2}", kind) else ""


@cache
def taxonomy() -> dict[str, frozenset[str]]:
    """The known categories with their subcategories (videos/taxonomy.json)."""
    listed = json.loads(Path(settings.BASE_DIR, "videos", "taxonomy.json").read_text())["categories"]
    return {entry["category"]: frozenset(entry["subcategories"]) for entry in listed}


@cache
def known_categories() -> frozenset[str]:
    """Names of categories, the older flat ones among them."""
    older = json.loads(Path(settings.BASE_DIR, "videos", "taxonomy.json").read_text())["older_flat_names"]
    return frozenset(taxonomy()) | frozenset(older)


def parent_of(subcategory: str, categories: list[str]) -> str | None:
    """The video's own category that a lone subcategory belongs to: the first that lists it, else the first."""
    return next((name for name in categories if subcategory in taxonomy().get(name, ())), next(iter(categories), None))
