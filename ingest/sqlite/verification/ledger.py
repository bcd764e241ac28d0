"""What one run has found of each row and video, to be asked for later."""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby

from ingest.sqlite.inspection import Triple
from videos.keys import VideoKey

from .report import Change


class Side(StrEnum):
    """Who has a triple."""

    SOURCE = "source"
    MODELS = "models"
    BOTH = "both"


class Ledger:
    """What was found of each row, in a temporary file of SQLite, so that memory stays flat."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("", isolation_level=None)
        self.database.executescript("""
            PRAGMA synchronous = OFF; PRAGMA cache_size = -32768;
            CREATE TABLE name (name BLOB, rank INTEGER, key INTEGER, PRIMARY KEY (name, rank)) WITHOUT ROWID;
            CREATE TABLE video (video_id TEXT PRIMARY KEY, key INTEGER, is_live INTEGER, is_newer INTEGER)
                WITHOUT ROWID;
            CREATE TABLE video_of (source TEXT, key INTEGER, video_id TEXT, PRIMARY KEY (source, key)) WITHOUT ROWID;
            CREATE TABLE summary (video_id TEXT, source TEXT, key INTEGER);
            CREATE TABLE triple (side TEXT, video BLOB, category BLOB, subcategory BLOB);
            CREATE TABLE change (kind TEXT, actor TEXT, video_id TEXT, at TEXT, PRIMARY KEY (kind, actor, video_id))
                WITHOUT ROWID;
            CREATE INDEX change_video ON change (video_id);
            BEGIN;
        """)

    def close(self) -> None:
        self.database.close()

    def add_video(self, key: int, video_id: str, old_id: str, native_id: str, *, is_live: bool, is_newer: bool) -> bool:
        """Note that a row of `content` is this video; whether no earlier row is."""
        cursor = self.database.execute(
            "INSERT OR IGNORE INTO video VALUES (?, ?, ?, ?)", (video_id, key, is_live, is_newer)
        )
        self.database.execute("INSERT INTO video_of VALUES ('content', ?, ?)", (key, video_id))
        self.add_names(key, 0, old_id, video_id, native_id)
        return cursor.rowcount == 1

    def add_names(self, key: int, first_rank: int, *names: str) -> None:
        """Note names of a row: from rank 0 its old ID, its key and the id it has; from 3 those of a refused row."""
        for rank, name in enumerate(names, start=first_rank):
            if name:
                encoded = name.encode(errors="surrogateescape")
                self.database.execute("INSERT OR REPLACE INTO name VALUES (?, ?, ?)", (encoded, rank, key))

    def add_unlisted(self, video_id: str, is_live: bool) -> None:
        """Note a video that rows of other tables name, and no row of `content`."""
        self.database.execute("INSERT OR IGNORE INTO video VALUES (?, NULL, ?, 0)", (video_id, is_live))

    def is_named(self, name: str, rank: int) -> bool:
        """Whether an earlier row, taken or refused, has this old ID (rank 0) or key (rank 1)."""
        encoded = name.encode(errors="surrogateescape")
        statement = "SELECT 1 FROM name WHERE name = ? AND rank IN (?, ?)"
        return bool(self.database.execute(statement, (encoded, rank, rank + 3)).fetchone())

    def video_named(self, name: str) -> tuple[str, bool] | None:
        """The video that a row of another table names, and whether it is live."""
        for candidate in VideoKey.parse(name).candidates:
            found = self.database.execute(
                "SELECT video.video_id, is_live FROM name JOIN video_of USING (key) JOIN video USING (video_id)"
                " WHERE name = ? AND rank < 3 AND source = 'content' ORDER BY rank LIMIT 1",
                (candidate.encode(),),
            ).fetchone()
            if found:
                return found[0], bool(found[1])
        return None

    def key_of(self, video_id: str) -> int:
        """The row of `content` that is this video."""
        return self.database.execute("SELECT key FROM video WHERE video_id = ?", (video_id,)).fetchone()[0]

    def add_summary(self, video_id: str, table: str, key: int) -> None:
        self.database.execute("INSERT INTO summary VALUES (?, ?, ?)", (video_id, table, key))

    def add_row(self, table: str, key: int, video_id: str) -> None:
        """Note which video a row of another table than `content` belongs to."""
        self.database.execute("INSERT INTO video_of VALUES (?, ?, ?)", (table, key, video_id))

    def video_of(self, table: str, key: int) -> str | None:
        found = self.database.execute(
            "SELECT video_id FROM video_of WHERE source = ? AND key = ?", (table, key)
        ).fetchone()
        return found[0] if found else None

    def summaries(self) -> Iterator[tuple[str, bool, list[tuple[str, int]]]]:
        """Each live video with summaries: its key, whether its data here was newer, the places of its texts."""
        rows = self.database.execute(
            "SELECT video_id, is_newer, source, summary.key FROM summary JOIN video USING (video_id)"
            " ORDER BY video_id, source, summary.key"
        )
        for (video_id, is_newer), group in groupby(rows, key=lambda row: row[:2]):
            yield video_id, bool(is_newer), [row[2:] for row in group]

    def add_triples(self, side: Side, triples: Iterable[Triple]) -> None:
        def stored(name: str | None) -> bytes | None:
            return None if name is None else name.encode(errors="surrogatepass")

        self.database.executemany(
            "INSERT INTO triple VALUES (?, ?, ?, ?)", ((side, *map(stored, triple)) for triple in triples)
        )

    def triples(self, side: Side) -> Iterator[Triple]:
        """The triples of one side, with those that both have."""
        for row in self.database.execute(
            "SELECT video, category, subcategory FROM triple WHERE side IN (?, ?)", (side, Side.BOTH)
        ):
            yield tuple(None if name is None else name.decode(errors="surrogatepass") for name in row)

    def has_triples(self, side: Side) -> bool:
        """Whether this side has triples that the other lacks, or has in another order."""
        return bool(self.database.execute("SELECT 1 FROM triple WHERE side = ? LIMIT 1", (side,)).fetchone())

    def add_change(self, kind: str, by: str, video_id: str, at: datetime | None) -> None:
        self.database.execute(
            "INSERT INTO change VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)",
            (kind, by, video_id, at.astimezone(UTC).isoformat(timespec="seconds") if at else ""),
        )

    def is_changed(self, video_id: str) -> bool:
        return bool(self.database.execute("SELECT 1 FROM change WHERE video_id = ? LIMIT 1", (video_id,)).fetchone())

    def changed_videos(self) -> list[str]:
        """The keys of all videos of which a change is known."""
        return [key for (key,) in self.database.execute("SELECT DISTINCT video_id FROM change ORDER BY 1")]

    def changes(self) -> list[Change]:
        """The changes by kind and person, the most frequent first."""
        rows = self.database.execute(
            "SELECT kind, actor, count(*), min(at), max(at) FROM change GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        ).fetchall()
        return [
            Change(
                kind, by, videos, first, last,
                [
                    video_id
                    for (video_id,) in self.database.execute(
                        "SELECT video_id FROM change WHERE kind = ? AND actor = ? ORDER BY at DESC LIMIT 3", (kind, by)
                    )
                ],
            )
            for kind, by, videos, first, last in rows
        ]  # fmt: skip
