"""The merge of what is known of a video with what comes in: one guarded statement (contract/ingest.md, Merge).

- A deleted video stays deleted: the row is the tombstone, and the statement passes it over.
- A value is never replaced by an empty one or by a placeholder.
- Newer data wins, older data fills what is empty; `updated_at` is the time of the data. Documents are
  merged key by key.
- `indexed_at` and `created_at` are set once; a known key of the old database stays.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from operator import attrgetter
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

# White space around a value says nothing; a no-break space is some.
TRIMMED = r"btrim({0}, E' \t\n\r\u00a0')"
# Values that stand for "not known", in any field of text; they never replace a real one.
PLACEHOLDER = (
    f"rtrim(lower({TRIMMED}), '/') IN ('untitled', '(untitled)', 'unknown', 'temp',"
    " 'http://example.com', 'https://example.com', 'http://www.example.com', 'https://www.example.com')"
)
PLACEHOLDERS = {name: PLACEHOLDER for name, kind in COLUMNS.items() if kind == "text"} | {
    # "Content" and an id: one of our keys, or a word with a digit, a hyphen or an underscore in it.
    "title": rf"{PLACEHOLDER} OR {TRIMMED} = 'Content ' || stored.video_id OR {TRIMMED} ~ '^Content \S*[0-9_-]\S*$'",
    "source": "{0} = 'other'",
}
EMPTY = {
    "text": f"{TRIMMED} = ''",
    "bigint": "{0} = 0",
    "boolean": "NOT {0}",
    "timestamptz": "{0} IS NULL",
    "jsonb": "coalesce({0} IN ('null', '[]', '{{}}', '\"\"'), true)",
}
NEWER = "coalesce(sent.updated_at >= stored.updated_at, true)"
# source_metadata → youtube → tags: what stands deeper is one value.
DOCUMENT_LEVELS = 3


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
        case "extra" | "analysis":
            older, newer = (f"CASE WHEN {NEWER} THEN {a} ELSE {b} END" for a, b in ((stored, sent), (sent, stored)))
            # Most are empty, or as they were: then nothing is taken apart.
            empty = EMPTY["jsonb"].format(sent)
            return (
                f"CASE WHEN {empty} OR {stored} = {sent} THEN coalesce({stored}, {sent})"
                f" ELSE videos_united({older}, {newer}, {DOCUMENT_LEVELS}) END"
            )

    def weight(value: str) -> str:
        empty = EMPTY[COLUMNS[column]].format(value)
        unreal = f"WHEN {PLACEHOLDERS[column].format(value)} THEN 1 " if column in PLACEHOLDERS else ""
        return f"CASE WHEN {empty} THEN 0 {unreal}ELSE 2 END"

    return (
        f"CASE sign({weight(sent)} - ({weight(stored)})) WHEN 1 THEN {sent} WHEN -1 THEN {stored}"
        f" ELSE CASE WHEN {NEWER} THEN {sent} ELSE {stored} END END"
    )


@cache
def statement(relation: str, arriving: bool = False) -> str:
    """INSERT of the records in a relation (SQL; documents as text), merging into rows that are there.

    With `arriving` a record without a time is of now.

    1. ON CONFLICT waits for a concurrent writer of the same key and locks the row, also where WHERE
       then passes it over; so a delete that commits first is seen, and the row is left alone.
    2. A row that the merge would not change is not written: no new row version, no trigger, not returned.
       That it arrived now is no change.
    """
    names = ", ".join(COLUMNS)
    expressions = {name: f"{name}::jsonb" if kind == "jsonb" else name for name, kind in COLUMNS.items()}
    if arriving:
        expressions |= {name: f"coalesce({name}, now())" for name in ("indexed_at", "updated_at")}
    values = ", ".join(expressions.values())
    updated = [name for name in COLUMNS if name != "video_id"]
    after = {name: merged(name).replace("sent.", "excluded.") for name in updated}
    before_row = ", ".join(f"stored.{name}" for name in updated)
    if arriving:
        # What was added before, at a time that is not known, was not added now.
        after["indexed_at"] = "coalesce(stored.indexed_at, nullif(excluded.indexed_at, now()))"
    compared = dict(after)
    if arriving:
        is_now = "excluded.updated_at = now() AND stored.updated_at IS NOT NULL"
        compared["updated_at"] = f"CASE WHEN {is_now} THEN stored.updated_at ELSE {after['updated_at']} END"
    sets = ", ".join(f"{name} = {after[name]}" for name in updated)
    after_row = ", ".join(compared[name] for name in updated)
    return f"""
        INSERT INTO videos_video AS stored ({names}, deleted_by, deleted_reason)
        SELECT {values}, '', '' FROM {relation} ORDER BY video_id
        ON CONFLICT (video_id) DO UPDATE SET {sets}
        WHERE stored.deleted_at IS NULL AND ROW({before_row}) IS DISTINCT FROM ROW({after_row})
        RETURNING video_id, xmax = 0
    """


VALUES = attrgetter(*COLUMNS)
# Most documents are empty ones.
EMPTY_DOCUMENTS = {list: "[]", dict: "{}", type(None): "null"}

# The types of a table or an array that holds records on their way in: documents are text there.
STAGED_TYPES = {name: "text" if kind == "jsonb" else kind for name, kind in COLUMNS.items()}
ARRAYS = f"unnest({', '.join(f'%s::{kind}[]' for kind in STAGED_TYPES.values())}) AS sent ({', '.join(COLUMNS)})"


def staged(record: VideoRecord) -> list[Any]:
    """The values of a record in the order and types of STAGED_TYPES."""
    return [
        (json.dumps(value) if value else EMPTY_DOCUMENTS.get(type(value)) or json.dumps(value))
        if kind == "jsonb"
        else value
        for value, kind in zip(VALUES(record), COLUMNS.values(), strict=True)
    ]


def upsert(records: Sequence[VideoRecord], *, arriving: bool = False) -> dict[str, UpsertResult]:
    """Merge records of different videos into the table; the results by video_id.

    With `arriving`, a record that has no time of its own is of now, and so is the time a new video was added.

    Runs in the caller's transaction and leaves the rows locked. Keys go in order, so two calls never
    wait for each other in a circle. Raises IntegrityError where an old ID belongs to another video.
    """
    if not records:
        return {}
    columns = zip(*(staged(record) for record in records), strict=True)
    times = {record.video_id: record.updated_at for record in records}
    return upsert_from(ARRAYS, [list(column) for column in columns], times, arriving=arriving)


def upsert_from(
    relation: str,
    parameters: Sequence[Any],
    updated_at_of: Mapping[str, datetime | None],
    *,
    arriving: bool = False,
) -> dict[str, UpsertResult]:
    """The same for the records in a relation (SQL with these parameters), of whom keys and times are given."""
    with connection.cursor() as cursor:
        cursor.execute(statement(relation, arriving), parameters)
        written = dict(cursor.fetchall())
        cursor.execute(
            "SELECT video_id, deleted_at IS NULL, updated_at FROM videos_video WHERE video_id = ANY(%s)",
            [list(updated_at_of)],
        )
        state = {key: (live, updated_at) for key, live, updated_at in cursor.fetchall()}
    results = {}
    for video_id, sent_at in updated_at_of.items():
        live, updated_at = state[video_id]
        if not live:
            action = Action.DELETED
        elif video_id in written:
            action = Action.CREATED if written[video_id] else Action.UPDATED
        else:
            action = Action.UNCHANGED
        newest = live and (sent_at is None or updated_at is None or sent_at >= updated_at)
        results[video_id] = UpsertResult(action, newest)
    return results
