"""Shows that the verification finds damage: copies of the snapshot are damaged, each in one way, and compared.

Each damage must be found by its row and column, in the comparison with the vault and in the one with the
models. The snapshot and the library are only read.
"""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ingest.models import QuarantinedRow, Snapshot
from summaries.models import SummaryEvent
from videos.models import CategorizationEvent, VideoEvent

from .codec import Text, Value
from .reader import Source, Table, identifier, open_snapshot
from .verification.content_rows import ContentRow, find_videos, is_later
from .verification.report import Difference, Equation, VerifyReport
from .verification.run import Progress
from .verification.streams import ROWS_AT_ONCE, among, batches
from .verifier import compare_snapshot, imported, one_moment

# Rows that are looked at for one that a damage suits.
CANDIDATES = 5 * ROWS_AT_ONCE
NUMBERS = ("duration_seconds", "view_count", "like_count", "comment_count", "audio_duration_seconds")


class Unsuitable(Exception):
    """No row of the file can be damaged in this way; the message says what is missing."""


@dataclass(frozen=True)
class Damage:
    """What is done to a copy, as statements with parameters, and the rows and the column that it touches."""

    table: str
    keys: tuple[int, ...]
    column: str
    statements: tuple[tuple[str, tuple[Value, ...]], ...]


@dataclass(frozen=True)
class Trial:
    """What became of one damage. `not_tried` says why there was none; the others where it was found, or ""."""

    damage: str
    place: str
    in_vault: str
    in_models: str
    not_tried: str = ""

    @property
    def holds(self) -> bool:
        """Whether it was found in both comparisons, or could not be tried."""
        return bool(self.not_tried or (self.in_vault and self.in_models))


def self_test(path: Path, progress: Progress = lambda stage, rows: None) -> list[Trial]:
    """Damage copies of an imported snapshot in each way, and say where each damage was found.

    Raises SnapshotError for a file that cannot be taken, NotImported for one that is not here yet.
    """
    with one_moment(), open_snapshot(path) as source, TemporaryDirectory() as folder:
        snapshot = imported(source, path)
        workshop = Workshop(source, snapshot)
        return [
            try_damage(name, make, workshop, path, Path(folder, "copy.db"), progress) for name, make in DAMAGES.items()
        ]


def try_damage(
    name: str,
    make: Callable[["Workshop"], Damage],
    workshop: "Workshop",
    path: Path,
    copy: Path,
    progress: Progress,
) -> Trial:
    try:
        damage = make(workshop)
    except Unsuitable as reason:
        return Trial(name, "", "", "", not_tried=str(reason))
    shutil.copyfile(path, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        # A copy in WAL mode would keep the damage beside it.
        connection.execute("PRAGMA journal_mode = DELETE")
        for statement, parameters in damage.statements:
            connection.execute(statement, parameters)
    with open_snapshot(copy) as damaged:
        report = compare_snapshot(damaged, workshop.snapshot, progress)
    copy.unlink()
    column = f", {damage.column}" if damage.column else ""
    return Trial(
        name,
        f"{damage.table} {' and '.join(map(str, damage.keys))}{column}",
        place_of(damage, report, Equation.VAULT),
        place_of(damage, report, Equation.ROWS, Equation.MODELS, Equation.TRIPLES),
    )


def place_of(damage: Damage, report: VerifyReport, *equations: Equation) -> str:
    """Where the damage was found: every row of it, by its column if it has one."""
    places: list[str] = []
    for key in damage.keys:
        found = next(
            (
                difference
                for equation in equations
                for difference in report.differences[equation].examples
                if is_of(difference, damage, key)
            ),
            None,
        )
        if found is None:
            return ""
        places.append(" ".join(filter(None, [found.table, str(found.key), found.column])))
    return ", ".join(places)


def is_of(difference: Difference, damage: Damage, key: int) -> bool:
    """Whether a difference names this row of the damage, and its column if it has one."""
    is_row = (difference.table, difference.key) == (damage.table, key)
    return is_row and damage.column in ("", difference.column)


class Workshop:
    """Rows of the file that are in the library as they came, to be damaged in a copy."""

    def __init__(self, source: Source, snapshot: Snapshot) -> None:
        self.source, self.snapshot = source, snapshot
        self.rows = list(islice(self.untouched_rows(), CANDIDATES))

    def table(self, name: str) -> Table:
        """A table of the file whose rows have keys of their own. Raises Unsuitable."""
        table = self.source.tables.get(name)
        if table is None or table.rowid is None:
            raise Unsuitable(f"the rows of {name} have no rowids")
        return table

    def untouched_rows(self) -> Iterator[ContentRow]:
        """Rows of `content` whose videos are live, have no newer data, and were never changed here."""
        columns = self.source.tables["content"].columns
        quarantined = QuarantinedRow.objects.filter(row__snapshot=self.snapshot, row__table="content")
        for batch in batches(self.source.rows("content"), ROWS_AT_ONCE):
            rows = [ContentRow(key, dict(zip(columns, values, strict=True))) for key, values in batch]
            find_videos(rows)
            keys = [row.key for row in rows]
            refused = set(quarantined.filter(row__key__range=(keys[0], keys[-1])).values_list("row__key", flat=True))
            video_ids = [row.video.video_id for row in rows if row.video]
            changed: set[str] = set()
            for events, reference in (
                (VideoEvent.objects, "pgh_obj_id"),
                (SummaryEvent.objects, "video_id"),
                (CategorizationEvent.objects.exclude(pgh_label="insert"), "video_id"),
            ):
                by_others = events.filter(**{f"{reference}__in": among(video_ids)}).exclude(
                    pgh_context__metadata__import_sqlite=self.snapshot.sha256
                )
                changed.update(by_others.values_list(reference, flat=True))
            for row in rows:
                video = row.video
                if video and not (
                    video.deleted_at or video.video_id in changed or row.key in refused or is_later(video, row)
                ):
                    yield row

    def update(self, table: str, key: int, column: str, value: Value) -> tuple[str, tuple[Any, ...]]:
        """The statement that puts a value into a row."""
        place = "CAST(? AS TEXT)" if isinstance(value, Text) else "?"
        statement = f"UPDATE {identifier(table)} SET {identifier(column)} = {place} WHERE {self.table(table).rowid} = ?"
        return statement, (bytes(value) if isinstance(value, Text) else value, key)

    def replaced(self, table: str, key: int, column: str, value: Value) -> Damage:
        return Damage(table, (key,), column, (self.update(table, key, column, value),))

    def texts(self) -> Iterator[tuple[str, int, str, bytes]]:
        """Texts as (table, key, column, bytes): summaries first, then titles and channels."""
        table = self.table("content_summaries")
        for row in self.rows:
            found = self.source.connection.execute(
                f"SELECT {table.rowid}, summary_text FROM content_summaries WHERE content_id = CAST(? AS TEXT)",
                (row.old_id.encode(),),
            ).fetchone()
            if found and type(found[1]) is Text and found[1].strip():
                yield table.name, found[0], "summary_text", found[1]
        for row in self.rows:
            for column in ("title", "channel_name"):
                if type(value := row.values[column]) is Text:
                    yield "content", row.key, column, value


def one_byte(workshop: Workshop) -> Damage:
    for table, key, column, text in workshop.texts():
        middle = next((place for place in range(len(text) // 2, len(text)) if chr(text[place]) in "abcdefghij"), None)
        if middle is not None:
            changed = text[:middle] + b"z" + text[middle + 1 :]
            return workshop.replaced(table, key, column, Text(changed))
    raise Unsuitable("no text has a plain letter")


def dropped_row(workshop: Workshop) -> Damage:
    for row in workshop.rows:
        statement = f"DELETE FROM content WHERE {workshop.table('content').rowid} = ?"
        return Damage("content", (row.key,), "", ((statement, (row.key,)),))
    raise Unsuitable("no video is as it was imported")


def two_rows(workshop: Workshop) -> tuple[ContentRow, ContentRow]:
    """Two rows whose titles differ."""
    for row in workshop.rows:
        if row.values["title"] != workshop.rows[0].values["title"]:
            return workshop.rows[0], row
    raise Unsuitable("no two videos have different titles")


def exchanged_rows(workshop: Workshop) -> Damage:
    one, other = two_rows(workshop)
    rowid = workshop.table("content").rowid
    free = min(one.key, other.key, 0) - 1
    statement = f"UPDATE content SET {rowid} = ? WHERE {rowid} = ?"
    moves = ((free, one.key), (one.key, other.key), (other.key, free))
    return Damage("content", (one.key, other.key), "video_id", tuple((statement, move) for move in moves))


def exchanged_values(workshop: Workshop) -> Damage:
    one, other = two_rows(workshop)
    return Damage(
        "content",
        (one.key, other.key),
        "title",
        (
            workshop.update("content", one.key, "title", other.values["title"]),
            workshop.update("content", other.key, "title", one.values["title"]),
        ),
    )


def lost_subcategory(workshop: Workshop) -> Damage:
    for row in workshop.rows:
        text = row.values.get("subcategories_json")
        if type(text) is Text and text.strip():
            document = json.loads(text)
            entries = document["categories"] if isinstance(document, dict) else document
            entry = next((entry for entry in reversed(entries) if entry.get("subcategories")), None)
            if entry:
                entry["subcategories"].pop()
                changed = Text(json.dumps(document, ensure_ascii=False).encode())
                return workshop.replaced("content", row.key, "subcategories_json", changed)
    raise Unsuitable("no video has subcategories in subcategories_json")


def accented(workshop: Workshop) -> tuple[str, int, str, str]:
    """A text with a letter that Latin-1 has beside ASCII."""
    for table, key, column, text in workshop.texts():
        if not text.isascii() and (decoded := text.decode()).encode("latin-1", errors="ignore") != decoded.encode(
            "ascii", errors="ignore"
        ):
            return table, key, column, decoded
    raise Unsuitable("every text is plain ASCII")


def latin_1(workshop: Workshop) -> Damage:
    table, key, column, text = accented(workshop)
    return workshop.replaced(table, key, column, Text(text.encode("latin-1", errors="replace")))


def mojibake(workshop: Workshop) -> Damage:
    table, key, column, text = accented(workshop)
    return workshop.replaced(table, key, column, Text(text.encode().decode("latin-1").encode()))


def changed_number(workshop: Workshop) -> Damage:
    for row in workshop.rows:
        for column in NUMBERS:
            if type(number := row.values[column]) is int and number:
                return workshop.replaced("content", row.key, column, number - 1)
    raise Unsuitable("no video has a number but 0")


def added_nul(workshop: Workshop) -> Damage:
    for row in workshop.rows:
        if type(title := row.values["title"]) is Text and title:
            middle = len(title) // 2
            return workshop.replaced("content", row.key, "title", Text(title[:middle] + b"\x00" + title[middle:]))
    raise Unsuitable("no video has a title")


DAMAGES: dict[str, Callable[[Workshop], Damage]] = {
    "one byte of a text": one_byte,
    "a dropped row": dropped_row,
    "two rows under each other's key": exchanged_rows,
    "two titles exchanged": exchanged_values,
    "a lost subcategory": lost_subcategory,
    "a text written as Latin-1": latin_1,
    "a text encoded twice": mojibake,
    "a changed number": changed_number,
    "a NUL in a text": added_nul,
}
