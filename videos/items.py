"""Videos as the old dashboard's JSON (contract/api.md, "An item"): every key is always there."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from .models import Video

NO_SUMMARY = "No summary available."

Pair = tuple[str, str | None]


# The (category, subcategory) names of rows of videos_categorization, in order; {where} chooses the rows.
PAIRS = """
    SELECT {columns} array_agg(ARRAY[category.name, subcategory.name] ORDER BY categorization.position) AS pairs
    FROM videos_categorization AS categorization
    JOIN videos_category AS category ON category.id = categorization.category_id
    LEFT JOIN videos_subcategory AS subcategory ON subcategory.id = categorization.subcategory_id
    WHERE {where}
"""
PAIRS_OF_ROW = PAIRS.format(columns="", where="categorization.video_id = videos_video.video_id")
PAIRS_OF_PAGE = PAIRS.format(columns="categorization.video_id,", where="categorization.video_id = ANY(%s) GROUP BY 1")
# What an item or a card shows of a video. Written out: for 20 rows the ORM takes longer to put a query
# like this together than PostgreSQL takes to answer it.
LISTED = f"""
    SELECT video.video_id, legacy_id, source, title, thumbnail_url, canonical_url, channel_name, published_at,
        indexed_at, duration_seconds, content_type, complexity_level, language, original_language,
        summary_language, audio_language, key_topics, named_entities, has_audio, audio_duration_seconds,
        has_transcript, transcript_chars, subcategories_json, word_count, of_page.pairs
    FROM videos_video AS video LEFT JOIN ({PAIRS_OF_PAGE}) AS of_page USING (video_id)
    WHERE video.video_id = ANY(%s) ORDER BY array_position(%s, video.video_id)
"""


def with_pairs(videos: QuerySet[Video]) -> QuerySet[Video]:
    """Add each video's (category, subcategory) names as `pairs`, in order, in the same query."""
    return videos.annotate(pairs=RawSQL(PAIRS_OF_ROW, ()))


def listed(keys: list[str]) -> list[Video]:
    """The videos with these keys, in this order, `with_pairs`, with what a list shows of them."""
    return list(Video.objects.raw(LISTED, [keys, keys, keys])) if keys else []


def pairs_of(video: Video) -> list[Pair]:
    """The video's pairs; it comes from `with_pairs` or `listed`."""
    return [(category, subcategory) for category, subcategory in video.pairs or ()]


def structured(pairs: Iterable[Pair]) -> list[dict[str, Any]]:
    """Pairs as `[{category, subcategories[]}]`. A category without a subcategory is a flat name, not listed."""
    categories: dict[str, list[str]] = {}
    for category, subcategory in pairs:
        if subcategory is not None:
            categories.setdefault(category, []).append(subcategory)
    return [{"category": name, "subcategories": names} for name, names in categories.items()]


def as_sent(video: Video, pairs: list[Pair]) -> list[dict[str, Any]] | None:
    """The categories of the text that came in, if it still says what the rows say; else None."""
    if not video.subcategories_json:
        return None
    try:
        sent = json.loads(video.subcategories_json)
        listed = sent["categories"] if isinstance(sent, dict) else sent
        categories = [
            {"category": entry["category"], "subcategories": list(entry["subcategories"])} for entry in listed
        ]
        said = {(entry["category"], name) for entry in categories for name in entry["subcategories"]}
        names = {entry["category"] for entry in categories}
    except (ValueError, TypeError, KeyError):
        return None
    stored = {pair for pair in pairs if pair[1] is not None}
    return categories if said == stored and names <= {category for category, _ in pairs} else None


def instant(moment: datetime | None) -> str:
    """A time as ISO 8601 with its zone; none is empty text."""
    return moment.isoformat() if moment else ""


def report_item(video: Video) -> dict[str, Any]:
    """One video as an item of a list; the video comes from a queryset `with_pairs`."""
    pairs = pairs_of(video)
    categories = as_sent(video, pairs)
    if categories is not None:
        subcategories_json = video.subcategories_json
    else:
        categories = structured(pairs)
        subcategories_json = json.dumps({"categories": categories}) if categories else None
    return {
        "id": video.legacy_id or video.video_id,
        "title": video.display_title,
        "thumbnail_url": video.thumbnail_url,
        "canonical_url": video.canonical_url,
        "channel": video.channel_name,
        "published_at": instant(video.published_at),
        "duration_seconds": video.duration_seconds,
        "analysis": {
            "category": list(dict.fromkeys(category for category, _ in pairs)),
            "subcategory": next(iter(categories[0]["subcategories"]), None) if categories else None,
            "categories": categories,
            "content_type": video.content_type,
            "complexity_level": video.complexity_level,
            "language": video.language or "en",
            "key_topics": video.key_topics,
            "named_entities": video.named_entities,
        },
        "media": {
            "has_audio": video.has_audio,
            "audio_duration_seconds": video.audio_duration_seconds,
            "has_transcript": video.has_transcript,
            "transcript_chars": video.transcript_chars,
        },
        "media_metadata": {
            "video_duration_seconds": video.duration_seconds,
            "mp3_duration_seconds": video.audio_duration_seconds,
        },
        "file_stem": video.video_id,
        "video_id": video.video_id,
        "subcategories_json": subcategories_json,
        "indexed_at": instant(video.indexed_at),
        "original_language": video.original_language or video.language or "en",
        "summary_language": video.summary_language or "en",
        "audio_language": video.audio_language or "en",
        "word_count": video.word_count,
    }


def report_detail(video: Video, summaries: list[Any]) -> dict[str, Any]:
    """The item, the best summary, and all `summaries` (the latest revisions, best first)."""
    best = summaries[0] if summaries else None
    text, kind = (best.text, best.variant) if best else (NO_SUMMARY, "none")
    return report_item(video) | {
        "summary": {"text": text, "type": kind, "content": {"summary": text, "summary_type": kind}},
        # The old dashboard's constant; programs know it by this name.
        "processor_info": {"model": "sqlite_backend", "processing_time": 0, "timestamp": instant(video.indexed_at)},
        "summary_variants": [
            {
                "variant": summary.variant,
                "text": summary.text,
                "html": summary.html,
                "language": summary.language or video.summary_language or video.language or "en",
                "revision": summary.revision,
                "generated_at": instant(summary.generated_at),
            }
            for summary in summaries
        ],
    }
