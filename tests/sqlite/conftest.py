"""Real SQLite files of every generation, with chosen rows, and what an import makes of them."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ingest.sqlite.codec import Text
from ingest.sqlite.importer import ImportReport, import_snapshot
from ingest.sqlite.schema import Generation

Row = Mapping[str, Any]


def insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    """Insert a row as it is: `Text` becomes TEXT byte for byte, also where it is no valid UTF-8."""
    columns = ", ".join(f'"{column}"' for column in row)
    places = ", ".join("CAST(? AS TEXT)" if isinstance(value, Text) else "?" for value in row.values())
    values = [bytes(value) if isinstance(value, Text) else value for value in row.values()]
    connection.execute(f'INSERT INTO "{table}" ({columns}) VALUES ({places})', values)


@pytest.fixture
def video() -> Callable[..., dict[str, Any]]:
    """A row of `content`, sound in every column, whose id follows from its number; values can be given."""

    def row(number: int = 1, **values: Any) -> dict[str, Any]:
        video_id = f"Video-_{number:04d}"
        sound = {
            "id": f"yt:{video_id.lower()}",
            "title": f"Video number {number}",
            "canonical_url": f"https://www.youtube.com/watch?v={video_id}",
            "thumbnail_url": f"https://i.ytimg.com/vi/{video_id}/hq720.jpg",
            "published_at": "2025-09-01T10:00:00+00:00",
            "indexed_at": "2025-09-02T10:00:00+00:00",
            "duration_seconds": 60,
            "word_count": 0,
            "has_audio": 1,
            "audio_duration_seconds": 50,
            "has_transcript": 0,
            "transcript_chars": 0,
            "video_id": video_id,
            "channel_name": "A channel",
            "channel_id": "UC123",
            "view_count": 1000,
            "like_count": 100,
            "comment_count": 10,
            "category": '["Technology"]',
            "content_type": "News",
            "complexity_level": "Beginner",
            "language": "en",
            "key_topics": '["a-topic"]',
            "named_entities": "[]",
            "format_source": "complete",
            "processing_status": "imported",
            "created_at": "2025-09-03T10:00:00Z",
            "updated_at": "2025-09-03T10:00:00Z",
        }
        return sound | values

    return row


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a database of a generation with these rows of each table; `sql` is run before, `then` after them."""

    def write(
        name: str = "library.db",
        generation: Generation = Generation.LAST,
        sql: Iterable[str] = (),
        then: Iterable[str] = (),
        **tables: Iterable[Row],
    ) -> Path:
        path = tmp_path / name
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            for statement in (*generation.statements(), *sql):
                connection.execute(statement)
            connection.execute("BEGIN")
            for table, rows in tables.items():
                for row in rows:
                    insert(connection, table, row)
            connection.execute("COMMIT")
            for statement in then:
                connection.execute(statement)
        return path

    return write


@pytest.fixture
def import_rows(write_file: Callable[..., Path], db: None) -> Callable[..., ImportReport]:
    """Imports a database with these rows of each table."""

    def write_and_import(**tables: Any) -> ImportReport:
        return import_snapshot(write_file(**tables), accept_quarantine=True)

    return write_and_import
