"""Decides where the texts of summaries stand in the old tables.

The old database has up to three places for a text: `content.summary`, `content_summaries` (one text a
video) and, in its last generation, `summary_variants` (all revisions). What nothing changed stays where it
is. A revision that came later takes the flat places of its variant, and is a row of its own where there is
a table for it. What finds no place is named.

The texts themselves are not kept: what is compared are digests, in a scratch file, so memory stays flat.
"""

import hashlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from summaries.models import SummaryEvent, SummaryText, Variant

BATCH = 500


class Place(IntEnum):
    """Where a text can stand."""

    OWN = 0  # content.summary
    FLAT = 1  # content_summaries
    VARIANT = 2  # summary_variants


class Verdict(IntEnum):
    """What happens to a row, or to a revision."""

    REPLACE = 0  # the row takes the text of a later revision
    STEP_DOWN = 1  # the row is not the latest revision any more
    DROP = 2  # the row's text was removed
    ADD = 3  # the revision gets a row
    UNHELD = 4  # the revision has no place


class Vaulted(NamedTuple):
    """A text of the base; without one, `digest` is None."""

    video_id: str
    variant: str
    digest: bytes | None
    place: int
    key: int
    is_latest: int


class Revision(NamedTuple):
    """A text that is stored here, by the SHA-256 of its UTF-8 bytes."""

    video_id: str
    variant: str
    revision: int
    is_latest: bool
    digest: bytes
    pk: int
    is_deleted: bool


class Placement:
    """Notes the texts of the base, decides, and answers for a run of keys at a time."""

    def __init__(self, path: Path, has_variants: bool) -> None:
        self.has_variants = has_variants
        self.connection = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE vaulted (video_id TEXT, variant TEXT, digest BLOB, place INTEGER, key INTEGER, is_latest)",
            "CREATE TABLE decided (verdict, place, key, video_id, summary)",
            "CREATE TABLE left_out (id BLOB PRIMARY KEY) WITHOUT ROWID",
            "BEGIN",
        ):
            self.connection.execute(statement)

    def __enter__(self) -> "Placement":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    # Before the decision

    def note(self, place: Place, key: int, video_id: str, text: SummaryText | None) -> None:
        """Take note of a text of the base; None is a row that has no text."""
        variant, digest = (text.variant, hashlib.sha256(text.text.encode()).digest()) if text else ("", None)
        is_latest = bool(text) and text.is_latest
        self.connection.execute(
            "INSERT INTO vaulted VALUES (?, ?, ?, ?, ?, ?)", (video_id, variant, digest, place, key, is_latest)
        )

    def decide(self, revisions: Iterable[Revision]) -> None:
        """Decide for every video; `revisions` are ordered by video_id and variant in bytes, and by number."""
        vaulted = map(Vaulted._make, self.connection.execute("SELECT * FROM vaulted ORDER BY video_id, place, key"))
        for video_id, texts, stored in side_by_side(vaulted, revisions):
            if not (stored and stored[0].is_deleted):
                self.decide_video(video_id, texts, stored)
        self.connection.execute("CREATE INDEX decided_key ON decided (verdict, place, key)")

    def decide_video(self, video_id: str, texts: Sequence[Vaulted], stored: Sequence[Revision]) -> None:
        placed: set[int] = set()
        missing: list[Revision] = []
        for variant in sorted({text.variant for text in texts if text.digest} | {one.variant for one in stored}):
            missing += self.decide_variant(
                [text for text in texts if text.digest and text.variant == variant],
                [one for one in stored if one.variant == variant],
                placed,
            )
        if stored and not any(text.digest for text in texts):
            best = min((one for one in stored if one.is_latest), key=lambda one: Variant.rank(one.variant))
            empty = next((text.key for text in texts if text.place == Place.FLAT), None)
            if empty is None:
                self.decided(Verdict.ADD, Place.FLAT, None, video_id, best.pk)
            else:
                self.decided(Verdict.REPLACE, Place.FLAT, empty, video_id, best.pk)
            placed.add(best.pk)
        for one in missing:
            if self.has_variants:
                self.decided(Verdict.ADD, Place.VARIANT, None, video_id, one.pk)
            elif one.pk not in placed:
                self.decided(Verdict.UNHELD, None, None, video_id, one.pk)

    def decide_variant(self, texts: Sequence[Vaulted], stored: Sequence[Revision], placed: set[int]) -> list[Revision]:
        """Decide for one variant of a video; its revisions that no row of the base holds, once this is carried out.

        Those that take a flat place are added to `placed`.
        """
        flat = [text for text in texts if text.place != Place.VARIANT]
        rows = Counter(text.digest for text in texts if text.place == Place.VARIANT)
        flat_only = {text.digest for text in flat} - rows.keys()
        new, in_flat_only = [], []
        for one in stored:
            if rows[one.digest] > 0:
                rows[one.digest] -= 1
            elif one.digest in flat_only:
                flat_only.remove(one.digest)
                in_flat_only.append(one)
            else:
                new.append(one)

        gone = {text.digest for text in texts} - {one.digest for one in stored}
        removed = self.removed(texts[0].video_id, texts[0].variant, gone) if gone else set()
        latest = next((one for one in stored if one.is_latest), None)
        has_new_latest = latest in new
        for text in texts:
            if text.place == Place.VARIANT:
                if text.digest in removed:
                    self.decided(Verdict.DROP, text.place, text.key, text.video_id, None)
                elif has_new_latest and text.is_latest:
                    self.decided(Verdict.STEP_DOWN, text.place, text.key, text.video_id, None)
            elif latest and (has_new_latest or text.digest in removed) and can_take(text):
                self.decided(Verdict.REPLACE, text.place, text.key, text.video_id, latest.pk)
                placed.add(latest.pk)
            elif not latest and text.digest in removed:
                self.decided(Verdict.DROP, text.place, text.key, text.video_id, None)
        displaced = in_flat_only if latest and latest.pk in placed else []
        return sorted([*new, *(one for one in displaced if one != latest)], key=lambda one: one.revision)

    @staticmethod
    def removed(video_id: str, variant: str, digests: set[bytes]) -> set[bytes]:
        """Those texts that were stored here and are not any more: somebody removed or rewrote them.

        The others never were: older than what was stored when they were imported.
        """
        texts = SummaryEvent.objects.filter(video=video_id, variant=variant).values_list("text", flat=True)
        return digests & {hashlib.sha256(text.encode()).digest() for text in texts.iterator()}

    def decided(self, verdict: Verdict, place: Place | None, key: int | None, video_id: str, pk: int | None) -> None:
        self.connection.execute("INSERT INTO decided VALUES (?, ?, ?, ?, ?)", (verdict, place, key, video_id, pk))

    # After it

    def rows(self, verdict: Verdict, place: Place, first: int, last: int) -> dict[int, int | None]:
        """The rows with this verdict among those of these keys, with the summary that each takes."""
        return dict(
            self.connection.execute(
                "SELECT key, summary FROM decided WHERE verdict = ? AND place = ? AND key BETWEEN ? AND ?",
                (verdict, place, first, last),
            )
        )

    def revisions(self, verdict: Verdict, place: Place | None = None) -> Iterator[list[tuple[str, int]]]:
        """(video_id, primary key) of the revisions with this verdict, in batches, in order of the decision."""
        cursor = self.connection.execute(
            "SELECT video_id, summary FROM decided WHERE verdict = ? AND place IS ? ORDER BY rowid", (verdict, place)
        )
        while batch := cursor.fetchmany(BATCH):
            yield batch

    def note_left_out(self, old_id: bytes) -> None:
        """Take note of the id of a row of `content` that is left out."""
        self.connection.execute("INSERT OR IGNORE INTO left_out VALUES (?)", (old_id,))

    def is_left_out(self, old_id: bytes) -> bool:
        return bool(self.connection.execute("SELECT 1 FROM left_out WHERE id = ?", (old_id,)).fetchone())


def can_take(text: Vaulted) -> bool:
    """Whether a flat place can take another text: `content.summary` has no column for a type of its own."""
    return text.place == Place.FLAT or text.variant == Variant.COMPREHENSIVE


def side_by_side(
    vaulted: Iterable[Vaulted], revisions: Iterable[Revision]
) -> Iterator[tuple[str, list[Vaulted], list[Revision]]]:
    """What either side has of each video."""

    def of_videos(rows: Iterable[tuple], side: int) -> Iterator[tuple[str, int, list]]:
        for video_id, group in groupby(rows, key=itemgetter(0)):
            yield video_id, side, list(group)

    both = merge(of_videos(vaulted, 0), of_videos(revisions, 1), key=itemgetter(0, 1))
    for video_id, sides in groupby(both, key=itemgetter(0)):
        found = defaultdict(list, {side: rows for _, side, rows in sides})
        yield video_id, found[0], found[1]
