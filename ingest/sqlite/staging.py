"""Mapped rows on their way from a snapshot into the models: temporary tables of one transaction.

They keep an import's memory small, whatever the size of the file, and let the models be written in the
order of the videos' keys, which is the order of locks for everybody.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connection

from summaries.models import SummaryText
from videos.copy import copy_rows
from videos.keys import VideoKey
from videos.models import Origin, Pair
from videos.upsert import STAGED_TYPES, staged

from .codec import Row, Value, encode
from .mapping import Mapper, Unmodelled

BATCH_ROWS, BATCH_BYTES = 1000, 8 * 2**20

VIDEO_COLUMNS = {"key": "bigint", "native_id": "text", "pairs": "text", **STAGED_TYPES}
TEXT_COLUMNS = {
    "source_table": "text", "key": "bigint", "video_id": "text", "place": "integer", "variant": "text",
    "text": "text", "revision": "bigint", "is_latest": "boolean", "language": "text", "created_at": "timestamptz",
    "updated_at": "timestamptz", "metadata": "text", "raw_payload": "text", "file_size_bytes": "bigint",
    "word_count": "bigint",
}  # fmt: skip
PROBLEM_COLUMNS = {
    "source_table": "text", "key": "bigint", "code": "text", "column": "text", "value": "bytea", "message": "text",
}  # fmt: skip
RESULT_COLUMNS = {"video_id": "text", "is_deleted": "boolean", "is_newest": "boolean"}
STAGED_TABLES = {
    "staged_video": VIDEO_COLUMNS,
    "staged_name": {"name": "text", "rank": "integer", "video_id": "text"},
    "staged_text": TEXT_COLUMNS,
    "staged_problem": PROBLEM_COLUMNS,
    "staged_result": RESULT_COLUMNS,
}
COPY_TYPES = {"bigint": "int8", "integer": "int4", "boolean": "bool"}

# Where a text stands in its video: what the last generation records of revisions comes after flat texts.
OWN, FLAT, RECORDED = range(3)
PLACES = {"content": OWN, "content_summaries": FLAT, "summary_variants": RECORDED}
REFERENCES = {"content_summaries": "content_id", "summary_variants": "video_id"}


def create_tables() -> None:
    """The temporary tables, empty; they go with the transaction."""
    with connection.cursor() as cursor:
        for table, columns in STAGED_TABLES.items():
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            cursor.execute(f"DROP TABLE IF EXISTS pg_temp.{table}; CREATE TEMP TABLE {table} ({listed}) ON COMMIT DROP")


def fill(table: str, rows: Iterable[Sequence[Any]]) -> None:
    columns = STAGED_TABLES[table]
    copy_rows(table, {name: COPY_TYPES.get(kind, kind) for name, kind in columns.items()}, rows)


def batches(rows: Iterable[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    """Rows in lists of at most so many rows, or bytes of text."""
    batch: list[tuple[int, Row]] = []
    size = 0
    for key, row in rows:
        batch.append((key, row))
        size += sum(len(value) for value in row if isinstance(value, bytes))
        if len(batch) == BATCH_ROWS or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class Problem(NamedTuple):
    """Why a row cannot become part of a model."""

    table: str
    key: int
    code: str
    column: str
    value: bytes
    message: str

    @classmethod
    def of(cls, table: str, key: int, reason: Unmodelled) -> "Problem":
        return cls(table, key, reason.code, reason.column, encode((reason.value,)), reason.message)


@dataclass
class Batch:
    """What the rows of a batch were mapped to, in the order of the staged tables' columns."""

    videos: list[list[Any]] = field(default_factory=list)
    texts: list[list[Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)


def map_batch(table: str, columns: Sequence[str], rows: Iterable[tuple[int, Row]]) -> Batch:
    """Map rows of one table. A text of another table than `content` has its reference for a video_id."""
    mapper, batch = Mapper(), Batch()
    take = {"content": take_video, "content_summaries": take_text, "summary_variants": take_text}[table]
    for key, values in rows:
        mapper.rules.clear()
        try:
            take(mapper, batch, table, key, dict(zip(columns, values, strict=True)))
        except Unmodelled as reason:
            batch.problems.append(Problem.of(table, key, reason))
        else:
            batch.rules.update(mapper.rules)
    return batch


def take_video(mapper: Mapper, batch: Batch, table: str, key: int, row: dict[str, Value]) -> None:
    mapped = mapper.video(row)
    pairs = json.dumps([(pair.category, pair.subcategory, pair.origin) for pair in mapped.pairs])
    batch.videos.append([key, mapped.native_id, pairs, *staged(mapped.record)])
    if mapped.summary:
        batch.texts.append(staged_text(table, key, mapped.record.video_id, mapped.summary))


def take_text(mapper: Mapper, batch: Batch, table: str, key: int, row: dict[str, Value]) -> None:
    reference = mapper.text(row, REFERENCES[table])
    text = mapper.summary(row) if table == "content_summaries" else mapper.variant_text(row)
    batch.texts.append(staged_text(table, key, reference, text))


def staged_text(table: str, key: int, video_id: str, text: SummaryText | None) -> list[Any]:
    """The row of staged_text; of a row without a text, all but its place is NULL."""
    place = [table, key, video_id, PLACES[table]]
    if text is None:
        return [*place, *[None] * (len(TEXT_COLUMNS) - len(place))]
    return [
        *place, text.variant, text.text, text.revision, text.is_latest, text.language, text.created_at,
        text.updated_at, None if text.metadata is None else json.dumps(text.metadata),
        None if text.raw_payload is None else json.dumps(text.raw_payload), text.file_size_bytes, text.word_count,
    ]  # fmt: skip


def pairs_of(text: str) -> tuple[Pair, ...]:
    """The pairs of a row of staged_video."""
    return tuple(Pair(category, subcategory, Origin(origin)) for category, subcategory, origin in json.loads(text))


def texts_by_video(rows: Iterable[Sequence[Any]]) -> Iterator[dict[str, list[SummaryText]]]:
    """The texts of staged_text, which come in order of their videos, in batches of whole videos."""
    texts: dict[str, list[tuple[int, SummaryText]]] = {}
    size = count = 0
    for video_id, place, variant, text, revision, latest, language, created, updated, metadata, payload, *n in rows:
        if video_id not in texts and (count >= BATCH_ROWS or size > BATCH_BYTES):
            yield {key: chronological(listed) for key, listed in texts.items()}
            texts, size, count = {}, 0, 0
        sent = SummaryText(
            variant, text, revision, latest, language, None, created, updated,
            None if metadata is None else json.loads(metadata), None if payload is None else json.loads(payload), *n,
        )  # fmt: skip
        texts.setdefault(video_id, []).append((place, sent))
        size += len(text)
        count += 1
    if texts:
        yield {key: chronological(listed) for key, listed in texts.items()}


def chronological(placed: Sequence[tuple[int, SummaryText]]) -> list[SummaryText]:
    """The texts of a video as its history: a flat text is older than the revisions recorded of its variant.

    A flat text that is recorded as well is the recorded one, which says more.
    """
    recorded: dict[str, set[str]] = {}
    for place, text in placed:
        if place == RECORDED:
            recorded.setdefault(text.variant, set()).add(text.text)
    flat = [text for place, text in placed if place != RECORDED]
    return [
        text if text.variant not in recorded else SummaryText(**vars(text) | {"is_latest": False})
        for text in flat
        if text.text not in recorded.get(text.variant, ())
    ] + [text for place, text in placed if place == RECORDED]


def resolve(references: Iterable[str]) -> dict[str, str]:
    """The key of the staged video that each reference names, where one does.

    What rows of other tables may call a video: its old ID first, then its key, then the id its row has.
    """
    candidates_of = {reference: VideoKey.parse(reference).candidates for reference in references}
    names = {candidate for candidates in candidates_of.values() for candidate in candidates}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT ON (name) name, video_id FROM staged_name WHERE name = ANY(%s) ORDER BY name, rank",
            [list(names)],
        )
        found = dict(cursor.fetchall())
    return {
        reference: found[name]
        for reference, candidates in candidates_of.items()
        if (name := next((name for name in candidates if name in found), None)) is not None
    }
