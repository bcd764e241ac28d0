"""The merge of what is known of a video with what comes in: one guarded statement (contract/ingest.md, Merge).

- A deleted video stays deleted: the row is the tombstone, and the statement passes it over.
- A value is never replaced by an empty one or by a placeholder.
- Newer data wins, older data fills what is empty; `updated_at` is the time of the data.
- `indexed_at` and `created_at` are set once; a known key of the old database stays.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from django.db import connection


@dataclass(frozen=True)
class VideoRecord:
    """What came in of one video, in the fields of Video. Empty: not said. Times are aware."""

    video_id: str
    source: str
    legacy_id: str = ""
    title: str = ""
    canonical_url: str = ""
    thumbnail_url: str = ""
    published_at: datetime | None = None
    indexed_at: datetime | None = None
    duration_seconds: int = 0
    word_count: int = 0
    has_audio: bool = False
    audio_duration_seconds: int = 0
    has_transcript: bool = False
    transcript_chars: int = 0
    channel_name: str = ""
    channel_id: str = ""
    view_count: int = 0
    like_count: int = 0
    comment_count: int = 0
    content_type: str = ""
    complexity_level: str = ""
    language: str = ""
    original_language: str = ""
    summary_language: str = ""
    audio_language: str = ""
    key_topics: list = field(default_factory=list)
    named_entities: list = field(default_factory=list)
    subcategories_json: str = ""
    analysis: Any = None
    extra: dict = field(default_factory=dict)
    format_source: str = ""
    processing_status: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Action(StrEnum):
    """What an upsert did with a video: the words of the worker's answers."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclass(frozen=True)
class UpsertResult:
    """What became of one record. `is_newest`: nothing newer is stored, so its texts and categories count."""

    action: Action
    is_newest: bool


TYPES = {
    str: "text",
    int: "bigint",
    bool: "boolean",
    datetime | None: "timestamptz",
    list: "jsonb",
    dict: "jsonb",
    Any: "jsonb",
}
COLUMNS = {column.name: TYPES[column.type] for column in fields(VideoRecord)}

# Values that stand for "not known"; they never replace a real one.
PLACEHOLDERS = {
    # "Content" and an id: one of our keys, or a word with a digit, a hyphen or an underscore in it.
    "title": (
        r"lower({0}) IN ('untitled', '(untitled)', 'unknown', 'temp') OR {0} = 'Content ' || stored.video_id"
        r" OR {0} ~ '^Content \S*[0-9_-]\S*$'"
    ),
    "channel_name": "lower({0}) IN ('unknown', 'temp')",
    "canonical_url": "{0} ~ '^https?://(www\\.)?example\\.com/?$'",
    "thumbnail_url": "{0} ~ '^https?://(www\\.)?example\\.com/?$'",
    "source": "{0} = 'other'",
}
EMPTY = {
    "text": "{0} = ''",
    "bigint": "{0} = 0",
    "boolean": "NOT {0}",
    "timestamptz": "{0} IS NULL",
    "jsonb": "coalesce({0} IN ('null', '[]', '{{}}', '\"\"'), true)",
}
NEWER = "coalesce(sent.updated_at >= stored.updated_at, true)"


def merged(column: str) -> str:
    """SQL of a column's value after the merge of `stored` and `sent`."""
    stored, sent = f"stored.{column}", f"sent.{column}"
    match column:
        case "legacy_id":
            return f"coalesce(nullif({stored}, ''), {sent})"
        case "indexed_at" | "created_at":
            return f"coalesce({stored}, {sent})"
        case "updated_at":
            return f"greatest({stored}, {sent})"
        case "extra":
            return f"CASE WHEN {NEWER} THEN {stored} || {sent} ELSE {sent} || {stored} END"

    def weight(value: str) -> str:
        empty = EMPTY[COLUMNS[column]].format(value)
        unreal = f"WHEN {PLACEHOLDERS[column].format(value)} THEN 1 " if column in PLACEHOLDERS else ""
        return f"CASE WHEN {empty} THEN 0 {unreal}ELSE 2 END"

    return (
        f"CASE sign({weight(sent)} - ({weight(stored)})) WHEN 1 THEN {sent} WHEN -1 THEN {stored}"
        f" ELSE CASE WHEN {NEWER} THEN {sent} ELSE {stored} END END"
    )


@cache
def statement() -> str:
    """INSERT of records (one array parameter a column), merging into rows that are there.

    1. ON CONFLICT waits for a concurrent writer of the same key and locks the row, also where WHERE
       then passes it over; so a delete that commits first is seen, and the row is left alone.
    2. A row that the merge would not change is not written: no new row version, no trigger, not returned.
    """
    names = ", ".join(COLUMNS)
    arrays = ", ".join(f"%s::{'text' if kind == 'jsonb' else kind}[]" for kind in COLUMNS.values())
    values = ", ".join(f"{name}::jsonb" if kind == "jsonb" else name for name, kind in COLUMNS.items())
    updated = [name for name in COLUMNS if name != "video_id"]
    after = {name: merged(name).replace("sent.", "excluded.") for name in updated}
    sets = ", ".join(f"{name} = {after[name]}" for name in updated)
    before_row = ", ".join(f"stored.{name}" for name in updated)
    after_row = ", ".join(after[name] for name in updated)
    return f"""
        INSERT INTO videos_video AS stored ({names}, deleted_by, deleted_reason)
        SELECT {values}, '', '' FROM unnest({arrays}) AS sent ({names}) ORDER BY video_id
        ON CONFLICT (video_id) DO UPDATE SET {sets}
        WHERE stored.deleted_at IS NULL AND ROW({before_row}) IS DISTINCT FROM ROW({after_row})
        RETURNING video_id, xmax = 0
    """


def upsert(records: Sequence[VideoRecord]) -> dict[str, UpsertResult]:
    """Merge records of different videos into the table; the results by video_id.

    Runs in the caller's transaction and leaves the rows locked. Keys go in order, so two calls never
    wait for each other in a circle. Raises IntegrityError where an old ID belongs to another video.
    """
    if not records:
        return {}
    parameters = []
    for name, kind in COLUMNS.items():
        values = [getattr(record, name) for record in records]
        parameters.append([json.dumps(value) for value in values] if kind == "jsonb" else values)
    keys = [record.video_id for record in records]
    with connection.cursor() as cursor:
        cursor.execute(statement(), parameters)
        written = dict(cursor.fetchall())
        cursor.execute(
            "SELECT video_id, deleted_at IS NULL, updated_at FROM videos_video WHERE video_id = ANY(%s)", [keys]
        )
        state = {key: (live, updated_at) for key, live, updated_at in cursor.fetchall()}
    results = {}
    for record in records:
        live, updated_at = state[record.video_id]
        if not live:
            action = Action.DELETED
        elif record.video_id in written:
            action = Action.CREATED if written[record.video_id] else Action.UPDATED
        else:
            action = Action.UNCHANGED
        newest = live and (record.updated_at is None or updated_at is None or record.updated_at >= updated_at)
        results[record.video_id] = UpsertResult(action, newest)
    return results
