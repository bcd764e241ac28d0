"""Records of ours as rows of the old database: the inverse of mapping.py.

What the Mapper reads from these values is what the model holds, as far as the old schema can hold it:
it has no place for an origin other than "curated" of a structured category and "imported" of a flat
one, nor for a category both with and without a subcategory.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from summaries.models import Summary, SummaryText
from videos.models import Origin, Pair, Video
from videos.upsert import VideoRecord

from .codec import Text, Value
from .mapping import NUMBER_COLUMNS, TEXT_COLUMNS, Mapper, Unmodelled

# The columns of `content` that say together which categories a video is in.
CATEGORY_COLUMNS = ("category", "subcategory", "subcategories_json", "analysis")


def content_values(video: Video | VideoRecord, pairs: Sequence[Pair]) -> dict[str, Value]:
    """The values of a video's row in `content` of the last generation, by column; `pairs` in their order.

    `summary` is NULL: the texts are in the tables of summaries.
    """
    return {
        "id": text(old_id(video)),
        "canonical_url": text(video.canonical_url),
        "video_id": text(video.video_id),
        "language": text(video.language),
        **{name: text(getattr(video, name)) for name in TEXT_COLUMNS},
        **{name: getattr(video, name) for name in NUMBER_COLUMNS},
        **{name: int(getattr(video, name)) for name in ("has_audio", "has_transcript")},
        **{name: zoned_time(getattr(video, name)) for name in ("published_at", "indexed_at")},
        **{name: naive_time(getattr(video, name)) for name in ("created_at", "updated_at")},
        **{name: json_text(getattr(video, name)) for name in ("key_topics", "named_entities")},
        "summary": None,
        **category_values(video, pairs),
    }


def old_id(video: Video | VideoRecord) -> str:
    """The old ID of a video, or the one that the old system would have given it."""
    if video.legacy_id:
        return video.legacy_id
    return f"yt:{video.video_id}" if video.source == "youtube" else video.video_id


def summary_values(summary: Summary | SummaryText, content_id: str) -> dict[str, Value]:
    """The values of the row in `content_summaries` that holds this text."""
    return {
        "content_id": text(content_id),
        "summary_text": text(summary.text),
        "summary_type": text(summary.variant),
    }


def variant_values(summary: Summary | SummaryText, video_id: str) -> dict[str, Value]:
    """The values of the row in `summary_variants` that holds this revision, less its `id`."""
    return {
        "video_id": text(video_id),
        "variant_type": text(summary.variant),
        "revision": summary.revision,
        "content": text(summary.text),
        "raw_payload": json_text(summary.raw_payload),
        "metadata": json_text(summary.metadata),
        "is_latest": int(summary.is_latest),
        "created_at": zoned_time(summary.created_at),
        "updated_at": zoned_time(summary.updated_at),
        "file_size": summary.file_size_bytes,
        "word_count": summary.word_count,
    }


# Categories


def category_values(video: Video | VideoRecord, pairs: Sequence[Pair]) -> dict[str, Value]:
    """The columns that say the categories: as they were sent for as long as they say what the pairs say.

    Otherwise `subcategories_json` is written anew, and `analysis` with the categories of the pairs in place of its own.
    """
    names = list(dict.fromkeys(pair.category for pair in pairs))
    first = next((pair.subcategory for pair in pairs if pair.subcategory), None)
    lone = video.extra.get("subcategory") if isinstance(video.extra, dict) else None
    if first is None and not pairs and isinstance(lone, str):
        first = lone
    values = {
        "category": json_text(names),
        "subcategory": None if first is None else text(first),
        "subcategories_json": text(video.subcategories_json) if video.subcategories_json else None,
        "analysis": json_text(video.analysis),
    }
    if reads_as(values, pairs):
        return values
    entries = structured(pairs)
    values["subcategories_json"] = json_text({"categories": entries}) if entries else None
    if isinstance(video.analysis, dict):
        current = {"category": names, "subcategory": first, "categories": entries}
        values["analysis"] = json_text(
            video.analysis | {name: value for name, value in current.items() if name in video.analysis}
        )
    return values


def structured(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """`[{category, subcategories[]}]` of the categories that are not merely flat names."""
    below: dict[str, list[str]] = {}
    for pair in pairs:
        if pair.subcategory or pair.origin == Origin.CURATED:
            below.setdefault(pair.category, []).extend([pair.subcategory] if pair.subcategory else [])
    return [{"category": name, "subcategories": names} for name, names in below.items()]


def reads_as(values: dict[str, Value], pairs: Sequence[Pair]) -> bool:
    """Whether the Mapper reads from these columns the pairs as the old schema can hold them."""
    mapper = Mapper()
    try:
        read, _ = mapper.pairs(values, mapper.json(values, "analysis"))
    except Unmodelled:
        return False
    return read == holdable(pairs)


def holdable(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs as the old schema can hold them: grouped by category, each origin as its form says it."""
    below = {entry["category"]: entry["subcategories"] for entry in structured(pairs)}
    held: list[Pair] = []
    for name in dict.fromkeys(pair.category for pair in pairs):
        if names := below.get(name):
            held += [Pair(name, subcategory, Origin.CURATED) for subcategory in names]
        else:
            held.append(Pair(name, None, Origin.CURATED if name in below else Origin.IMPORTED))
    return tuple(held)


# Single values


def text(value: str) -> Text:
    return Text(value.encode())


def json_text(value: Any) -> Text | None:
    """JSON as Python writes it, which the old system was written in; None is NULL."""
    return None if value is None else text(json.dumps(value))


def zoned_time(moment: datetime | None) -> Text | None:
    """`2025-09-08T19:00:04+00:00`, with microseconds if there are any."""
    return None if moment is None else text(moment.astimezone(UTC).isoformat())


def naive_time(moment: datetime | None) -> Text | None:
    """`2025-09-11 17:44:47`, as SQLite's CURRENT_TIMESTAMP writes it; with microseconds if there are any."""
    return None if moment is None else text(moment.astimezone(UTC).replace(tzinfo=None).isoformat(" "))
