"""Compares a row of the old database with the video that is stored here, and says what of the row has to change."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from videos.models import Pair
from videos.upsert import COLUMNS, VideoRecord

from .codec import Value
from .inverse import CATEGORY_COLUMNS, content_values
from .mapping import Mapper, Unmodelled, VideoRow

# Fields of a video whose values stand in a column of the same name; the categories are a matter of their own.
PLAIN_COLUMNS = tuple(
    name
    for name in COLUMNS
    if name
    not in (
        "video_id", "legacy_id", "source", "original_language", "summary_language", "audio_language",
        "subcategories_json", "analysis", "extra",
    )
)  # fmt: skip
JSON_FIELDS = tuple(name for name, kind in COLUMNS.items() if kind == "jsonb")


@dataclass(frozen=True)
class StoredVideo:
    """A video as it is stored here."""

    record: VideoRecord
    pairs: tuple[Pair, ...]
    is_deleted: bool


def content_changes(
    row: Mapping[str, Value], mapped: VideoRow, video: StoredVideo, fields: Collection[str]
) -> dict[str, Value]:
    """The columns of a row of `content` that do not say what is stored now, with the values that do.

    `mapped` is what the row says, `fields` are those in which it differs from the stored video (differing).
    """
    record = video.record
    has_same_pairs = names_of(mapped.pairs) == names_of(video.pairs)
    changed = [name for name in PLAIN_COLUMNS if name in fields]
    if has_same_pairs and not changed and "analysis" not in fields:
        return {}
    values = content_values(record, video.pairs)
    changes = {name: values[name] for name in changed}
    categories = {name: values[name] for name in CATEGORY_COLUMNS}
    if is_same_json(json.loads(values["analysis"] or "null"), mapped.record.analysis):
        del categories["analysis"]
    if not has_same_pairs:
        return changes | categories
    if "analysis" in fields and "analysis" in categories:
        changes["analysis"] = values["analysis"]
        # Where the analysis names the categories, the other columns may be needed to say them.
        read = read_back({**row, **changes})
        if read is None or names_of(read.pairs) != names_of(video.pairs):
            changes |= categories
    return changes


def read_back(row: dict[str, Value]) -> VideoRow | None:
    """What an import would read from a row; None if it would quarantine it."""
    try:
        return Mapper().video(row)
    except Unmodelled:
        return None


def differing(read: VideoRecord, held: VideoRecord) -> list[str]:
    """The fields in which two records are not the same."""
    # Mostly they are equal, and then only JSON can differ yet: to Python, true is 1.
    names = JSON_FIELDS if read == held else COLUMNS
    return [name for name in names if not is_same(name, getattr(read, name), getattr(held, name))]


def is_same(field: str, one: Any, other: Any) -> bool:
    return is_same_json(one, other) if field in JSON_FIELDS else one == other


def is_same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same to PostgreSQL: the order of keys, and 1e2 for 100, are no difference."""
    if not one and not other and type(one) is type(other):
        return True
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True) or exact(one) == exact(other)


def exact(value: Any) -> Any:
    """A JSON value in which numbers compare as what they say, and true is not 1."""
    match value:
        case bool():
            return ("boolean", value)
        case int():
            return Decimal(value)
        case float():
            return Decimal(repr(value))
        case dict():
            return {name: exact(item) for name, item in value.items()}
        case list():
            return [exact(item) for item in value]
        case _:
            return value


def is_empty(value: Any) -> bool:
    """Whether a value says nothing."""
    return value is None or value in ("", 0, [], {})


def names_of(pairs: Iterable[Pair]) -> list[tuple[str, str | None]]:
    return [(pair.category, pair.subcategory) for pair in pairs]


def pair_values(pairs: Iterable[Pair]) -> list[dict[str, Any]]:
    return [asdict(pair) for pair in pairs]
