"""Old values, read for a comparison by rules of their own (docs/import.md), not by those of the import."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from ingest.sqlite.codec import Text, Value
from ingest.sqlite.inverse import json_text, naive_time, text, zoned_time


def is_blank(value: Value) -> bool:
    """Whether the old value is none, or white space of any kind: bytes.strip() knows that of ASCII only."""
    return value is None or (isinstance(value, bytes) and not lenient(value).strip())


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
    if is_blank(value):
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
    return None if is_blank(value) else json.loads(value.decode())


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
    OPTIONAL_TEXT = "optional_text"
    NUMBER = "number"
    SECONDS = "seconds"
    OPTIONAL_NUMBER = "optional_number"
    FLAG = "flag"
    TIME = "time"
    NAIVE_TIME = "naive_time"
    JSON = "json"
    JSON_LIST = "json_list"

    def holds(self, value: Value, stored: Any) -> bool:
        """Whether the stored field says what the old value says."""
        try:
            match self:
                case Kind.TEXT | Kind.OPTIONAL_TEXT:
                    return is_text(value) and (value or b"") == stored.encode()
                case Kind.NUMBER:
                    return read_number(value) == stored
                case Kind.SECONDS:
                    return read_number(round(value) if isinstance(value, float) else value) == stored
                case Kind.OPTIONAL_NUMBER:
                    return stored is None if value is None else read_number(value) == stored
                case Kind.FLAG:
                    return read_number(value) == int(stored)
                case Kind.TIME | Kind.NAIVE_TIME:
                    return is_text(value) and read_time(value) == stored
                case Kind.JSON:
                    return is_text(value) and same_json(read_json(value), stored)
                case Kind.JSON_LIST:
                    listed = read_json(value)
                    return is_text(value) and same_json([] if listed is None else listed, stored)
        except (ValueError, OverflowError, RecursionError, AttributeError):
            return False

    def is_empty(self, value: Value) -> bool:
        """Whether the old value says nothing, so that no merge would take it over another."""
        match self:
            case Kind.TEXT | Kind.OPTIONAL_TEXT | Kind.TIME | Kind.NAIVE_TIME:
                return is_blank(value)
            case Kind.JSON | Kind.JSON_LIST:
                return any(self.holds(value, nothing) for nothing in (None, [], {}, ""))
        return not value


# How the old system wrote what the field of a model says. A value is the same bytes only if it is this one.
WRITTEN: dict[Kind, Callable[[Any], Value]] = {
    Kind.TEXT: text,
    Kind.OPTIONAL_TEXT: lambda name: text(name) if name else None,
    Kind.NUMBER: lambda number: number,
    Kind.SECONDS: lambda number: number,
    Kind.OPTIONAL_NUMBER: lambda number: number,
    Kind.FLAG: int,
    Kind.TIME: zoned_time,
    Kind.NAIVE_TIME: naive_time,
    Kind.JSON: json_text,
    Kind.JSON_LIST: json_text,
}
# A column of `content`: its kind, and the field that it became.
FIELDS: dict[str, tuple[Kind, str]] = {
    "id": (Kind.TEXT, "legacy_id"),
    **{
        name: (kind, name)
        for kind, names in {
            Kind.TEXT: "title canonical_url thumbnail_url channel_name channel_id content_type complexity_level "
            "language format_source processing_status",
            Kind.OPTIONAL_TEXT: "subcategories_json",
            Kind.NUMBER: "word_count transcript_chars view_count like_count comment_count",
            Kind.SECONDS: "duration_seconds audio_duration_seconds",
            Kind.FLAG: "has_audio has_transcript",
            Kind.TIME: "published_at indexed_at",
            Kind.NAIVE_TIME: "created_at updated_at",
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
# Fields that keep what they have, however old it is.
SET_ONCE = ("id", "indexed_at", "created_at")
PLACEHOLDER = r"untitled|\(untitled\)|unknown|temp|https?://(www\.)?example\.com/?"
PLACEHOLDERS = {
    column: re.compile(rf"{PLACEHOLDER}|content \S*" if column == "title" else PLACEHOLDER, re.IGNORECASE)
    for column, (kind, _) in FIELDS.items()
    if kind is Kind.TEXT
}


def is_placeholder(column: str, value: Value) -> bool:
    """Whether the old value only stands for one, or is white space."""
    pattern, text = PLACEHOLDERS.get(column), lenient(value)
    is_white = isinstance(value, bytes) and bool(text) and not text.strip()
    return is_white or bool(pattern and pattern.fullmatch(text.strip()))


def lenient(value: Value) -> str:
    """A value as text that names something; bytes that are no UTF-8 stay apart."""
    if value is None:
        return ""
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else str(value)


def same_bytes(one: Value, other: Value) -> bool:
    """Whether two values are the same to the byte: 1 and 1.0 are not, nor are a text and a blob."""
    return type(one) is type(other) and one == other
