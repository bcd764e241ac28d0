"""An export is the file that was imported: what nothing changed byte for byte, what changed where it changed."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.models import QuarantinedRow, Snapshot, VaultRow
from ingest.sqlite.codec import Text, encode
from ingest.sqlite.digests import TableDigest, library_digest, row_digest, schema_digest
from ingest.sqlite.exporter import ExportError, ExportReport, export_library, restore_vault
from ingest.sqlite.importer import Ending, import_snapshot
from ingest.sqlite.reader import identifier, open_snapshot
from ingest.sqlite.schema import Generation
from ingest.sqlite.synthetic import write_snapshot
from summaries.models import Summary, SummaryText
from tests.factories import truncate
from videos.curation import decide
from videos.deciding import deciding
from videos.models import Categorization, Category, Origin, Pair, Video
from videos.upsert import VideoRecord

from .conftest import insert

pytestmark = pytest.mark.django_db

SNAPSHOTS = ("snapshot-2025-09-11.db", "snapshot-2025-09-13-categorised.db")
NUL, NOT_UTF8 = Text(b"a\x00b"), Text(b"caf\xe9")


def digest_of(path: Path) -> str:
    """The library digest of a file."""
    with open_snapshot(path) as source:
        digests = {}
        for name in source.tables:
            table = TableDigest()
            for key, row in source.rows(name):
                table.add(key, row_digest(encode(row)))
            digests[name] = table.hexdigest()
        return library_digest(schema_digest(row for _, row in source.schema_rows), digests)


def rows_of(path: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Every row of every table of a file by key, as values by column."""
    with open_snapshot(path) as source:
        return {
            name: {key: dict(zip(table.columns, row, strict=True)) for key, row in source.rows(name)}
            for name, table in source.tables.items()
        }


def differences(before: Path, after: Path) -> dict[tuple[str, int], Any]:
    """What differs between two files: columns with their new values, "new", or "gone", by table and key."""
    old, new = rows_of(before), rows_of(after)
    found: dict[tuple[str, int], Any] = {}
    assert old.keys() == new.keys()
    for table in old:
        for key in old[table].keys() | new[table].keys():
            was, now = old[table].get(key), new[table].get(key)
            if was is None or now is None:
                found[table, key] = "gone" if now is None else "new"
            elif was != now:
                found[table, key] = {name: value for name, value in now.items() if was[name] != value}
    return found


def beside(report: ExportReport) -> dict[str, Any]:
    return json.loads(Path(report.report_file).read_text())


def not_held(report: ExportReport) -> dict[tuple[str, str], Any]:
    return {(entry["video_id"], entry["what"]): entry["value"] for entry in beside(report)["not_held"]}


def empty_library() -> None:
    """Remove all that was imported, as a new database would be."""
    with connection.cursor() as cursor:
        # What triggers have put off is done, so that nothing waits for the tables.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    truncate(
        "ingest_snapshot, videos_video, videos_category, videos_facetcount, videos_videoevent,"
        " videos_categorizationevent, summaries_summaryevent CASCADE"
    )


def take(path: Path) -> None:
    """Import a file, whatever is in it."""
    assert import_snapshot(path, accept_quarantine=True).ending is Ending.IMPORTED


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., ExportReport]:
    def run(name: str = "export.db", **options: Any) -> ExportReport:
        return export_library(tmp_path / name, **options)

    return run


@pytest.fixture
def odd_file(write_file, video) -> Path:
    """A file of the last generation with everything that makes an export hard."""
    structured = '[{"category": "History", "subcategories": ["Modern History", "Café, bar"]}]'
    odd = [None, -(2**63), 2**63 - 1, -0.0, float("inf"), b"\x00\xff", NUL, NOT_UTF8, "é😀", "", "12", "1e3", 12.0]
    return write_file(
        sql=[
            "PRAGMA page_size = 1024", "PRAGMA auto_vacuum = 2", "VACUUM",
            "PRAGMA user_version = 7", "PRAGMA application_id = -5",
            "CREATE TABLE notes (a INTEGER, b TEXT, c REAL, d NUMERIC, e BLOB, f)",
            "ALTER TABLE content ADD COLUMN mood TEXT DEFAULT 'calm'",
            "ALTER TABLE content ADD COLUMN shout TEXT AS (upper(title)) VIRTUAL",
            "CREATE TABLE computed (a INTEGER, b INTEGER AS (a * 2) STORED UNIQUE, c AS (a || 'x'), UNIQUE (a DESC))",
            "CREATE TABLE pairs (a, b COLLATE NOCASE, PRIMARY KEY (b DESC, a)) WITHOUT ROWID",
            "CREATE TABLE hidden (rowid TEXT, oid REAL, _rowid_ INTEGER)",
            "CREATE TABLE aliased (x INT, n INTEGER, PRIMARY KEY (n))",
            "CREATE TABLE strict_ones (a INT, b ANY) STRICT",
            'CREATE TABLE "we""ird [name" ("a ""b" DEFAULT \')\', \'c,d\' VARCHAR(10, 2) CHECK (\'c,d\' <> \'(\'))',
            # Its columns get types once its rows are there: numbers that such a column would have changed.
            "CREATE TABLE retyped (a, b, c)",
            "CREATE INDEX half ON notes (b, a) WHERE a > 1",
            "CREATE INDEX lowered ON content (lower(title))",
            "CREATE VIEW titles AS SELECT title FROM content",
            "CREATE VIRTUAL TABLE words USING fts5 (title)",
        ],
        content=[
            video(1, subcategories_json=structured, summary="Own text.", mood=NUL),
            video(2, category="Technology, Business", analysis='{"categories": [{"category": "New"}], "x": [1e2]}'),
            video(3, title=NUL),
            video(4, video_id="video-_0004", published_at="2025-09-01", category="Odd, name"),
            video(5, id=None, video_id=None, updated_at=None, category="null", key_topics=None, view_count=7.5),
            video(6, id="again", video_id="Video-_0001"),
            video(7, id="yt:1n4zk2p", video_id="1n4zk2p", category='["A", "A"]',
                  canonical_url="https://redd.it/1n4zk2p", subcategory="Of A", updated_at=""),
        ],
        content_summaries=[
            {"content_id": "yt:video-_0001", "summary_text": "Text.", "summary_type": "audio"},
            {"content_id": "Video-_0001", "summary_text": "Text again.", "summary_type": "audio"},
            {"content_id": "yt:video-_0003", "summary_text": "Of a quarantined row."},
            {"content_id": "1n4zk2p", "summary_text": "Of a post."},
            {"content_id": "yt:video-_0004", "summary_text": ""},
            {"content_id": None, "summary_text": NOT_UTF8},
        ],
        summary_variants=[
            {"video_id": "Video-_0001", "variant_type": "Insights", "revision": 2, "content": "New."},
            {"video_id": "Video-_0001", "variant_type": "key_insights", "revision": 1, "content": "Old."},
            {"video_id": "Video-_0002", "variant_type": "audio", "revision": 5, "content": "Five.", "is_latest": 1,
             "metadata": '{"a": {"b": [1, null, 2.5]}}', "raw_payload": '"text"'},
            {"video_id": "Video-_0002", "variant_type": "audio", "revision": 2**40, "content": "Much."},
            {"video_id": "Video-_0002", "variant_type": "executive", "revision": 1, "content": ""},
        ],
        content_files=[
            {"content_id": "yt:video-_0001", "file_path": Text(b"/caf\xe9.mp3"), "file_size": 1},
            {"content_id": "yt:video-_0002", "file_path": "/b.mp3", "file_size": 2},
        ],
        migration_log=[{"source_file": "a.json", "status": "success"}],
        notes=[dict.fromkeys("abcdef", one) for one in odd],
        computed=[{"a": 1}, {"a": None}, {"a": 3}],
        pairs=[{"a": 2, "b": "x"}, {"a": 1, "b": b"x"}, {"a": "2", "b": "X"}],
        hidden=[{"rowid": "five", "oid": 2, "_rowid_": "7"}],
        aliased=[{"x": 1, "n": -4}, {"x": 2, "n": 2**63 - 1}],
        strict_ones=[{"a": 1, "b": "12"}],
        words=[{"title": "hello world"}],
        retyped=[{"a": 12.0, "b": 3, "c": 9e18}, {"a": 1, "b": 2.0, "c": 7.0}],
        then=["CREATE TRIGGER content AFTER INSERT ON content BEGIN INSERT INTO notes (a) VALUES (1); END",
              "DELETE FROM migration_log", "ANALYZE", "PRAGMA writable_schema = ON",
              "UPDATE sqlite_master SET sql = 'CREATE TABLE retyped (a INTEGER, b REAL, c NUMERIC)'"
              " WHERE name = 'retyped'"],
    )  # fmt: skip


# What nothing changed


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_real_snapshot_comes_back_and_again_from_an_empty_database(shared, tmp_path, export, name):
    source = shared / "data" / name
    take(source)
    first = export("first.db")
    assert first.library_digest == digest_of(source) == digest_of(tmp_path / "first.db")
    assert not first.not_held and not first.left_out
    assert {counts.verbatim for counts in first.tables.values()} == {len(rows) for rows in rows_of(source).values()}
    assert all(not (counts.changed or counts.new) for counts in first.tables.values())

    empty_library()
    take(tmp_path / "first.db")
    second = export("second.db")
    assert second.library_digest == first.library_digest and second.sha256 == first.sha256
    assert (tmp_path / "second.db").read_bytes() == (tmp_path / "first.db").read_bytes()


@pytest.mark.parametrize("generation", list(Generation))
def test_a_made_up_library_comes_back_in_its_generation(tmp_path, export, generation):
    write_snapshot(tmp_path / "library.db", 120, 5, generation)
    take(tmp_path / "library.db")
    report = export()
    assert report.generation == generation and not report.not_held
    assert report.library_digest == digest_of(tmp_path / "library.db")


def test_an_odd_file_comes_back_byte_for_byte(odd_file, tmp_path, export):
    take(odd_file)
    snapshot = Snapshot.objects.get()
    assert QuarantinedRow.objects.unresolved().exists()
    assert restore_vault(snapshot, tmp_path / "vault.db").library_digest == digest_of(odd_file)
    report = export()
    assert report.library_digest == digest_of(odd_file) and not report.not_held
    with closing(sqlite3.connect(tmp_path / "export.db")) as file:
        file.text_factory = bytes
        for pragma, value in {"user_version": 7, "application_id": -5, "page_size": 1024, "auto_vacuum": 2}.items():
            assert file.execute(f"PRAGMA {pragma}").fetchone() == (value,)
        assert file.execute("SELECT title FROM words WHERE words MATCH 'world'").fetchone() == (b"hello world",)
        # The schema works on: triggers fire, the counts of AUTOINCREMENT go on.
        file.execute("INSERT INTO content (id, title) VALUES ('another', 'One')")
        assert file.execute("SELECT count(*) FROM notes").fetchone() == (14,)
        assert file.execute("INSERT INTO migration_log (status) VALUES ('x')").lastrowid == 2


def test_the_same_state_gives_the_same_bytes(odd_file, export):
    take(odd_file)
    assert export("one.db").sha256 == export("other.db").sha256


def test_since_import_a_library_that_nothing_changed_has_no_rows(odd_file, tmp_path, export):
    take(odd_file)
    report = export(since_import=True)
    assert report.since_import
    written = rows_of(tmp_path / "export.db")
    assert not any(written.values()) and written.keys() == rows_of(odd_file).keys()


def test_without_a_snapshot_everything_is_new_in_the_last_generation(tmp_path, export):
    Video.objects.upsert([VideoRecord("Video-_0001", "youtube", title="One", original_language="de")])
    report = export()
    assert report.base is None and report.generation == Generation.LAST
    rows = rows_of(tmp_path / "export.db")
    assert rows["content"][1]["id"] == b"yt:Video-_0001" and rows["content"][1]["title"] == b"One"
    assert set(Generation.LAST.columns) < rows.keys()
    assert not_held(report) == {("Video-_0001", "original_language"): "de"}


# Arbitrary content

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**63 - 1, -(2**63), 0, 1]),
    st.floats(allow_nan=False),
    st.binary(max_size=12),
    st.binary(max_size=12).map(Text),
    st.sampled_from([b"12", b"1.0", b" 3 ", b"1e5", b"0x10", b"Infinity", b"9223372036854775808"]).map(Text),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda text: Text(text.encode())),
)
COLUMNS = st.sampled_from(Generation.LAST.columns["content"])
TYPES = st.sampled_from(
    ["", "INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB", "BOOLEAN", "VARCHAR(10, 2)", "DOUBLE PRECISION"]
) | st.just("TEXT COLLATE NOCASE")
KEYS = st.sampled_from(["none", "rowid", "autoincrement", "text", "unique", "without rowid", "computed"])
NAMES = st.sampled_from(["rowid", "oid", "_rowid_", "id", 'a "b', "c,d", "é", "select", "t1", "c0"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=6
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], str, list[list[Any]]]:
    """(columns, what follows the name in CREATE TABLE, rows) of a table."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.lower))
    quoted = [identifier(name) for name in names]
    parts = [f"{name} {draw(TYPES)}" for name in quoted]
    end = ""
    match draw(KEYS):
        case "rowid":
            parts[0] = f"{quoted[0]} INTEGER PRIMARY KEY"
        case "autoincrement":
            parts[0] = f"{quoted[0]} INTEGER PRIMARY KEY AUTOINCREMENT"
        case "text":
            parts[0] += " PRIMARY KEY"
        case "unique":
            parts.append(f"UNIQUE ({', '.join(reversed(quoted))})")
        case "without rowid":
            parts.append(f"PRIMARY KEY ({quoted[-1]} DESC)")
            end = " WITHOUT ROWID"
        case "computed":
            parts.append(f"computed AS ({quoted[0]} || '!') VIRTUAL")
            parts.append(f"and_stored TEXT AS (typeof({quoted[0]})) STORED")
    rows = draw(st.lists(st.lists(VALUES, min_size=len(names), max_size=len(names)), max_size=5))
    return names, f"({', '.join(parts)}){end}", rows


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@example(found=[(["rowid", "oid", "_rowid_"], "(rowid INTEGER PRIMARY KEY, oid, _rowid_)", [[0, None, None]])], odd=[])
@given(found=st.lists(tables(), max_size=3), odd=st.lists(st.dictionaries(COLUMNS, VALUES, max_size=4), max_size=4))
def test_whatever_a_file_holds_comes_back_equal(tmp_path_factory, video, found, odd):
    folder = tmp_path_factory.mktemp("any")
    rows_to_write = [("content", video(number, subcategory=None) | values) for number, values in enumerate(odd)]
    with closing(sqlite3.connect(folder / "any.db", isolation_level=None)) as file:
        file.execute("PRAGMA synchronous = OFF")
        for statement in Generation.LAST.statements():
            file.execute(statement)
        for number, (names, definition, rows) in enumerate(found):
            file.execute(f"CREATE TABLE x{number} {definition}")
            rows_to_write += [(f"x{number}", dict(zip(names, row, strict=True))) for row in rows]
        for table, row in rows_to_write:
            # OperationalError: the largest rowid is taken, and AUTOINCREMENT finds none above it.
            with suppress(sqlite3.IntegrityError, sqlite3.OperationalError):
                insert(file, table, {name.replace('"', '""'): value for name, value in row.items()})
    meant = digest_of(folder / "any.db")
    with transaction.atomic():
        take(folder / "any.db")
        assert restore_vault(Snapshot.objects.get(), folder / "vault.db").library_digest == meant
        assert digest_of(folder / "vault.db") == meant
        report = export_library(folder / "export.db")
        assert report.library_digest == meant and not report.not_held
        transaction.set_rollback(True)


# What changed


@pytest.fixture
def library(write_file, video) -> Path:
    """A sound library of three videos in the last generation, imported."""
    structured = '{"categories": [{"category": "History", "subcategories": ["Modern History"]}]}'
    path = write_file(
        content=[
            video(1, category='["History"]', subcategory="Modern History", subcategories_json=structured,
                  analysis='{"schema_version":2,' + structured[1:]),
            video(2, view_count=None, published_at="2025-09-01 10:00", summary="Own."),
            video(3),
        ],
        content_summaries=[
            {"content_id": "yt:video-_0001", "summary_text": "One.", "summary_type": "audio"},
            {"content_id": "yt:video-_0003", "summary_text": "", "summary_type": ""},
        ],
        summary_variants=[
            {"video_id": "Video-_0001", "revision": 1, "is_latest": 1, "variant_type": kind, "content": text}
            for kind, text in (("audio", "One."), ("executive", "Brief."))
        ],
        content_files=[{"content_id": f"yt:video-_000{number}", "file_path": "x"} for number in (1, 2, 3)],
    )  # fmt: skip
    take(path)
    return path


def test_a_changed_title_changes_that_cell_and_no_other(library, tmp_path, export):
    Video.objects.filter(pk="Video-_0002").update(title="Another título", has_audio=False)
    report = export()
    assert differences(library, tmp_path / "export.db") == {
        ("content", 2): {"title": "Another título".encode(), "has_audio": 0}
    }
    assert asdict(report.tables["content"]) == {"verbatim": 2, "changed": 1, "new": 0, "left_out": 0}
    assert not report.not_held
    # Only that row, with all its values.
    export("since.db", since_import=True)
    since, whole = rows_of(tmp_path / "since.db"), rows_of(tmp_path / "export.db")
    assert {table: set(rows) for table, rows in since.items() if rows} == {"content": {2}}
    assert since["content"][2] == whole["content"][2]


def test_every_plain_field_has_its_column(library, tmp_path, export):
    moment = datetime(2026, 1, 2, 3, 4, 5, 60, UTC)
    changed = {
        "title": "T", "canonical_url": "https://example.org/Video-_0003", "thumbnail_url": "https://example.org/t.jpg",
        "published_at": moment, "indexed_at": moment, "duration_seconds": 2**40, "word_count": 5, "has_audio": False,
        "audio_duration_seconds": 6, "has_transcript": True, "transcript_chars": 7, "channel_name": "C",
        "channel_id": "I", "view_count": 8, "like_count": 9, "comment_count": 11, "content_type": "K",
        "complexity_level": "L", "language": "fr", "key_topics": ["é", {"a": 1.5}], "named_entities": [None],
        "format_source": "enriched", "processing_status": "done", "created_at": moment, "updated_at": moment,
    }  # fmt: skip
    Video.objects.filter(pk="Video-_0003").update(**changed)
    report = export()
    (values,) = differences(library, tmp_path / "export.db").values()
    assert values.keys() == changed.keys() and not report.not_held
    assert values["key_topics"] == b'["\\u00e9", {"a": 1.5}]' and values["has_transcript"] == 1
    assert values["published_at"] == b"2026-01-02T03:04:05.000060+00:00"
    assert values["created_at"] == b"2026-01-02 03:04:05.000060"
    empty_library()
    take(tmp_path / "export.db")
    stored = Video.objects.values(*changed).get(pk="Video-_0003")
    assert stored == changed


def set_categories(video_id: str, *pairs: Pair) -> None:
    with deciding("curator"):
        Categorization.objects.filter(video=video_id).delete()
        Categorization.objects.add({video_id: pairs})


def test_changed_categories_change_their_columns_together(library, tmp_path, export):
    set_categories(
        "Video-_0001", Pair("Technology", None, Origin.CURATED), Pair("History", "Café, bar", Origin.CURATED)
    )
    report = export()
    entries = (
        b'[{"category": "Technology", "subcategories": []}, '
        b'{"category": "History", "subcategories": ["Caf\\u00e9, bar"]}]'
    )
    assert differences(library, tmp_path / "export.db") == {
        ("content", 1): {
            "category": b'["Technology", "History"]',
            "subcategory": "Café, bar".encode(),
            "subcategories_json": b'{"categories": ' + entries + b"}",
            "analysis": b'{"categories": ' + entries + b', "schema_version": 2}',
        }
    }
    # What was sent is not in the file any more, and is not lost.
    listed = not_held(report)
    assert listed.keys() == {("Video-_0001", "subcategories_json"), ("Video-_0001", "analysis")}
    assert "Modern History" in listed["Video-_0001", "subcategories_json"]


def test_a_renamed_category_is_renamed_in_every_row(library, tmp_path, export):
    Category.objects.filter(name="Technology").update(name="Tech")
    export()
    assert differences(library, tmp_path / "export.db") == {
        ("content", 2): {"category": b'["Tech"]'}, ("content", 3): {"category": b'["Tech"]'}
    }  # fmt: skip


def test_removed_categories_are_not_read_from_what_was_sent(library, tmp_path, export):
    decide({"Video-_0001": []}, "curator")
    export()
    changed = differences(library, tmp_path / "export.db")["content", 1]
    assert changed["category"] == b"[]" and changed["subcategories_json"] is changed["subcategory"] is None
    assert json.loads(changed["analysis"]) == {"schema_version": 2, "categories": []}


def test_who_decided_is_listed_where_the_old_schema_has_no_place(library, tmp_path, export):
    Categorization.objects.filter(video="Video-_0002").update(origin=Origin.AI)
    report = export()
    assert report.library_digest == digest_of(library)
    assert not_held(report) == {
        ("Video-_0002", "origins_of_categories"): [
            {"category": "Technology", "subcategory": None, "origin": "ai"}
        ]
    }  # fmt: skip


def test_new_analysis_keeps_the_curated_categories(library, tmp_path, export):
    Video.objects.filter(pk="Video-_0002").update(analysis={"categories": [{"category": "Else"}], "mood": "calm"})
    export()
    changed = differences(library, tmp_path / "export.db")
    assert changed == {("content", 2): {"analysis": b'{"mood": "calm", "categories": []}'}}


def merge_texts(video_id: str, *texts: SummaryText) -> None:
    Summary.objects.merge({video_id: texts}, newest={video_id})


def test_a_new_revision_takes_the_flat_place_and_a_row_of_its_own(library, tmp_path, export):
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    merge_texts("Video-_0001", SummaryText("audio", "Two.", created_at=moment, metadata={"a": 1}, word_count=1))
    report = export()
    assert differences(library, tmp_path / "export.db") == {
        ("content_summaries", 1): {"summary_text": b"Two."},
        ("summary_variants", 1): {"is_latest": 0},
        ("summary_variants", 3): "new",
        ("sqlite_sequence", 1): {"seq": 3},
    }
    assert rows_of(tmp_path / "export.db")["summary_variants"][3] == {
        "id": 3, "video_id": b"Video-_0001", "variant_type": b"audio", "revision": 2, "content": b"Two.",
        "raw_payload": None, "metadata": b'{"a": 1}', "is_latest": 1, "created_at": b"2026-01-02T00:00:00+00:00",
        "updated_at": None, "file_size": None, "word_count": 1,
    }  # fmt: skip
    assert not report.not_held


def test_an_old_text_that_is_sent_again_is_the_latest_again(library, tmp_path, export):
    merge_texts("Video-_0001", SummaryText("audio", "Two."))
    merge_texts("Video-_0001", SummaryText("audio", "One."))
    export()
    found = differences(library, tmp_path / "export.db")
    assert found["summary_variants", 3] == found["summary_variants", 4] == "new"
    assert found["summary_variants", 1] == {"is_latest": 0} and ("content_summaries", 1) not in found
    rows = rows_of(tmp_path / "export.db")["summary_variants"]
    assert [(rows[key]["content"], rows[key]["is_latest"]) for key in (1, 3, 4)] == [
        (b"One.", 0), (b"Two.", 0), (b"One.", 1)
    ]  # fmt: skip


def test_another_variant_leaves_the_flat_text_alone(library, tmp_path, export):
    merge_texts("Video-_0001", SummaryText("comprehensive", "Long."))
    export()
    assert differences(library, tmp_path / "export.db") == {
        ("summary_variants", 3): "new", ("sqlite_sequence", 1): {"seq": 3}
    }  # fmt: skip


def test_the_first_text_of_a_video_fills_its_empty_row_with_the_best_one(library, tmp_path, export):
    merge_texts("Video-_0003", SummaryText("audio", "Spoken."), SummaryText("comprehensive", "Long."))
    export()
    found = differences(library, tmp_path / "export.db")
    assert found["content_summaries", 2] == {"summary_text": b"Long.", "summary_type": b"comprehensive"}
    assert found["summary_variants", 3] == found["summary_variants", 4] == "new"


def test_the_text_in_the_row_of_the_video_is_replaced_and_kept_as_a_revision(library, tmp_path, export):
    merge_texts("Video-_0002", SummaryText("comprehensive", "Newer."))
    export()
    found = differences(library, tmp_path / "export.db")
    assert found["content", 2] == {"summary": b"Newer."}
    rows = rows_of(tmp_path / "export.db")["summary_variants"]
    assert [(rows[key]["revision"], rows[key]["content"], rows[key]["is_latest"]) for key in (3, 4)] == [
        (1, b"Own.", 0), (2, b"Newer.", 1)
    ]  # fmt: skip


def test_a_removed_text_is_left_out_and_a_rewritten_one_replaced(library, tmp_path, export):
    Summary.objects.filter(text="Brief.").delete()
    Summary.objects.filter(text="One.").update(text="Rewritten.")
    report = export()
    found = differences(library, tmp_path / "export.db")
    assert found["summary_variants", 2] == "gone" and found["content_summaries", 1] == {"summary_text": b"Rewritten."}
    rows = rows_of(tmp_path / "export.db")["summary_variants"]
    assert [row["content"] for row in rows.values()] == [b"Rewritten."]
    assert {"table": "summary_variants", "key": 2, "video_id": "Video-_0001"} in beside(report)["deleted"]


def test_a_deleted_video_is_left_out_with_all_its_rows(library, tmp_path, export):
    Video.objects.filter(pk="Video-_0001").update(deleted_at=timezone.now(), deleted_by="me", deleted_reason="old")
    report = export()
    assert differences(library, tmp_path / "export.db") == {
        ("content", 1): "gone", ("content_summaries", 1): "gone", ("content_files", 1): "gone",
        ("summary_variants", 1): "gone", ("summary_variants", 2): "gone",
    }  # fmt: skip
    assert {(entry["table"], entry["key"]) for entry in beside(report)["deleted"]} == {
        ("content", 1), ("content_summaries", 1), ("content_files", 1), ("summary_variants", 1), ("summary_variants", 2)
    }  # fmt: skip
    assert report.left_out == 5
    assert not_held(report)["Video-_0001", "deleted"]["deleted_by"] == "me"


def test_a_new_video_comes_after_the_last_row(library, tmp_path, export):
    new = [
        VideoRecord("Video-_0009", "youtube", title="Nine", indexed_at=datetime(2026, 1, 2, tzinfo=UTC)),
        VideoRecord("reddit:1n4zk2p", "reddit", legacy_id="old one", indexed_at=datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    Video.objects.upsert(new)
    Video.objects.filter(pk="Video-_0003").update(deleted_at=timezone.now())
    set_categories("Video-_0009", Pair("History", "Modern History", Origin.CURATED))
    merge_texts("Video-_0009", SummaryText("audio", "Spoken."), SummaryText("executive", "Brief."))
    report = export()
    found = differences(library, tmp_path / "export.db")
    assert {place for place, what in found.items() if what == "new"} == {
        ("content", 4), ("content", 5), ("content_summaries", 3), ("summary_variants", 3), ("summary_variants", 4)
    }  # fmt: skip
    rows = rows_of(tmp_path / "export.db")
    assert [rows["content"][key]["id"] for key in (4, 5)] == [b"old one", b"yt:Video-_0009"]
    assert rows["content"][5]["category"] == b'["History"]' and rows["content"][5]["subcategory"] == b"Modern History"
    assert rows["content_summaries"][3] == {
        "content_id": b"yt:Video-_0009", "summary_text": b"Brief.", "summary_type": b"executive"
    }  # fmt: skip
    empty_library()
    take(tmp_path / "export.db")
    second = export("second.db")
    assert second.sha256 == report.sha256
    assert list(Video.objects.order_by("pk").values_list("pk", flat=True)) == [
        "Video-_0001", "Video-_0002", "Video-_0009", "reddit:1n4zk2p"
    ]  # fmt: skip
    assert Summary.objects.filter(video="Video-_0009").count() == 2


def test_the_first_generation_lists_what_it_has_no_place_for(write_file, video, tmp_path, export):
    path = write_file(
        generation=Generation.FIRST,
        content=[video(1)],
        content_summaries=[{"content_id": "yt:video-_0001", "summary_text": "One.", "summary_type": "audio"}],
    )
    take(path)
    set_categories("Video-_0001", Pair("History", "Modern History", Origin.CURATED))
    Video.objects.filter(pk="Video-_0001").update(
        original_language="de", analysis={"a": 1}, extra={"transcript": ["…"]}
    )
    merge_texts("Video-_0001", SummaryText("audio", "Two.", metadata={"m": 1}), SummaryText("executive", "Brief."))
    report = export()
    assert differences(path, tmp_path / "export.db") == {
        ("content", 1): {"category": b'["History"]'}, ("content_summaries", 1): {"summary_text": b"Two."}
    }  # fmt: skip
    listed = beside(report)["not_held"]
    assert {(entry["what"], str(entry["value"].get("text", ""))) for entry in listed if entry["what"] == "summary"} == {
        ("summary", "One."), ("summary", "Brief.")
    }  # fmt: skip
    others = {entry["what"]: entry["value"] for entry in listed if entry["what"] != "summary"}
    assert others == {
        "original_language": "de",
        "analysis": {"a": 1},
        "extra": {"transcript": ["…"]},
        "categories": [{"category": "History", "subcategory": "Modern History", "origin": "curated"}],
        "details_of_summary": {"variant": "audio", "revision": 2, "metadata": {"m": 1}},
    }


def test_quarantined_rows_stay_and_what_is_known_of_their_video_is_a_row_of_its_own(
    write_file, video, tmp_path, export
):
    path = write_file(
        content=[video(1, title=NUL)],
        content_summaries=[{"content_id": "yt:Video-_0001", "summary_text": NOT_UTF8}],
    )
    take(path)
    Video.objects.upsert([VideoRecord("Video-_0001", "youtube", title="Now readable", legacy_id="yt:video-_0001")])
    merge_texts("Video-_0001", SummaryText("audio", "Spoken."))
    report = export()
    rows = rows_of(tmp_path / "export.db")
    assert rows["content"][1]["title"] == NUL and rows["content"][2]["title"] == b"Now readable"
    # Its old ID is taken by the row that is quarantined, and so is the place of its text.
    assert rows["content"][2]["id"] == b"yt:Video-_0001"
    assert rows["content_summaries"][1]["summary_text"] == NOT_UTF8 and len(rows["content_summaries"]) == 1
    assert [row["content"] for row in rows["summary_variants"].values()] == [b"Spoken."]
    assert not_held(report) == {("Video-_0001", "legacy_id"): "yt:video-_0001"}


def test_columns_of_the_file_s_own_get_their_defaults_and_are_computed_anew(write_file, video, tmp_path, export):
    path = write_file(
        sql=["ALTER TABLE content ADD COLUMN mood TEXT DEFAULT 'calm'",
             "ALTER TABLE content ADD COLUMN length INTEGER AS (length(title)) VIRTUAL",
             "CREATE TABLE more (a)"],
        content=[video(1, mood="wild"), video(2)],
    )  # fmt: skip
    take(path)
    Video.objects.filter(pk="Video-_0001").update(title="1234")
    Video.objects.upsert([VideoRecord("Video-_0009", "youtube", title="12")])
    export()
    rows = rows_of(tmp_path / "export.db")["content"]
    assert (rows[1]["mood"], rows[1]["length"]) == (b"wild", 4)
    assert (rows[3]["mood"], rows[3]["length"]) == (b"calm", 2)


def test_what_a_constraint_of_the_file_s_own_forbids_is_listed(write_file, video, tmp_path, export):
    path = write_file(content=[video(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        (sql,) = file.execute("SELECT sql FROM sqlite_master WHERE name = 'content'").fetchone()
        sql = sql.replace("title TEXT NOT NULL", "title TEXT NOT NULL CHECK (length(title) < 20)")
        file.execute("PRAGMA writable_schema = ON")
        file.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'content'", (sql,))
    take(path)
    Video.objects.filter(pk="Video-_0001").update(title="x" * 30)
    Video.objects.upsert([VideoRecord("Video-_0009", "youtube", title="y" * 30)])
    report = export()
    assert report.library_digest == digest_of(path)
    assert not_held(report)["Video-_0001", "title"] == "x" * 30
    assert not_held(report)["Video-_0009", "video"]["title"] == "y" * 30


def test_an_older_snapshot_is_not_taken_for_a_change_back(write_file, video, tmp_path, export):
    newer = {"content_id": "yt:video-_0001", "summary_text": "Newer.", "summary_type": "audio"}
    variant = {"video_id": "Video-_0001", "variant_type": "audio", "revision": 1, "content": "Older.", "is_latest": 1}
    take(write_file("newer.db", content=[video(1, updated_at="2026-01-01")], content_summaries=[newer]))
    older = newer | {"summary_text": "Older."}
    path = write_file("older.db", content=[video(1)], content_summaries=[older], summary_variants=[variant])
    take(path)
    export()
    found = differences(path, tmp_path / "export.db")
    assert found.pop(("content", 1)).keys() == {"updated_at"}
    assert found.pop(("content_summaries", 1)) == {"summary_text": b"Newer."}
    # The older text stays where it was: nobody removed it.
    assert found["summary_variants", 1] == {"is_latest": 0} and found["summary_variants", 2] == "new"


# Complete or absent


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_existing_target_is_refused_and_left_alone(library, tmp_path, export):
    before = files_in(tmp_path)
    (tmp_path / "export.db").write_text("mine")
    (tmp_path / "link.db").symlink_to("nowhere")
    for name in ("export.db", "link.db"):
        with pytest.raises(ExportError, match="exists already"):
            export(name)
    assert (tmp_path / "export.db").read_text() == "mine"
    assert files_in(tmp_path) == before | {"export.db", "link.db"}


@pytest.mark.parametrize("target", ["none/export.db", "/proc/export.db", "library.db/export.db"])
def test_a_folder_that_cannot_be_written_to_is_a_sentence(library, tmp_path, target):
    with pytest.raises(CommandError) as raised:
        call_command("export_sqlite", str(tmp_path / target))
    assert raised.value.returncode == 1 and str(raised.value).endswith(".") and "\n" not in str(raised.value)


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_is_a_sentence_and_leaves_nothing(library, tmp_path):
    before = files_in(tmp_path)
    # A limit to the size of files is what a full disk is to SQLite.
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000));"
        "from django.db import connection;"
        f"connection.settings_dict['NAME'] = {connection.settings_dict['NAME']!r};"
        "from django.core.management import execute_from_command_line as run;"
        f"run(['manage.py', 'export_sqlite', {str(tmp_path / 'export.db')!r}])"
    )
    done = run_python(script).communicate()
    assert b"cannot be written" in done[1] and b"Traceback" not in done[1], done[1]
    assert files_in(tmp_path) == before


def run_python(script: str) -> subprocess.Popen:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "ytv2.settings"}
    return subprocess.Popen(
        [sys.executable, "-c", f"import django; django.setup(); {script}"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


EXPORT = (
    "from django.db import connection; connection.settings_dict['NAME'] = {name!r};"
    "from ingest.sqlite import exporter; from pathlib import Path; import time;"
    "put = exporter.Writer.put;"
    "exporter.Writer.put = lambda *arguments: (put(*arguments), time.sleep(0.05));"
    "from django.core.management import execute_from_command_line as run;"
    "run(['manage.py', 'export_sqlite', {target!r}])"
)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 75)])
def test_an_export_that_is_stopped_leaves_no_file_and_does_not_stop_the_next(library, tmp_path, export, number, code):
    before = files_in(tmp_path)
    target = tmp_path / "export.db"
    process = run_python(EXPORT.format(name=connection.settings_dict["NAME"], target=str(target)))
    while not list(tmp_path.glob(".export-*/library.db")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == code and b"Traceback" not in errors, errors
    assert not target.exists() and not target.with_name("export.db.report.json").exists()
    report = export()
    assert report.library_digest == digest_of(library)
    assert files_in(tmp_path) == before | {"export.db", "export.db.report.json"}


def test_a_damaged_vault_is_found(library, export):
    row = VaultRow.objects.filter(table="content").first()
    VaultRow.objects.filter(pk=row.pk).update(content=bytes(row.content)[:-1] + b"!")
    with pytest.raises(ExportError, match=r"row 1 of content .* is damaged"):
        export()


@pytest.mark.parametrize("key", [1, 2])
def test_a_missing_row_of_the_schema_is_found(library, tmp_path, export, key):
    VaultRow.objects.filter(table="sqlite_schema", key=key).delete()
    with pytest.raises(ExportError, match="schema"):
        export()
    assert not (tmp_path / "export.db").exists()


# The command


def run_command(*arguments: Any) -> str:
    out = StringIO()
    call_command("export_sqlite", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_wrote(library, tmp_path):
    Video.objects.filter(pk="Video-_0001").update(original_language="de", title="Other")
    Video.objects.filter(pk="Video-_0003").update(deleted_at=timezone.now())
    said = run_command(tmp_path / "a.db")
    assert "last generation; base library.db." in said
    assert [line.split() for line in said.splitlines() if line.startswith("content ")] == [
        ["content", "1", "1", "0", "1"]
    ]
    assert "original language" in said and "a.db.report.json" in said
    as_json = json.loads(run_command(tmp_path / "b.db", "--json"))
    assert as_json["not_held"] == {"deleted": 1, "original_language": 1}
    assert as_json["sha256"] == hashlib.sha256((tmp_path / "b.db").read_bytes()).hexdigest()


def test_an_unfinished_import_is_no_base(library, tmp_path):
    Snapshot.objects.update(imported_at=None, vaulted_at=None)
    with pytest.raises(CommandError, match="not finished") as raised:
        call_command("export_sqlite", str(tmp_path / "export.db"))
    assert raised.value.returncode == 4
    Snapshot.objects.update(imported_at=timezone.now())
    with pytest.raises(CommandError, match="not complete") as raised:
        call_command("export_sqlite", str(tmp_path / "export.db"))
    assert raised.value.returncode == 4


@pytest.mark.django_db(transaction=True)
def test_an_export_reads_one_state_of_the_library(library, tmp_path):
    def change(table: str, rows: int) -> None:
        """Another connection commits in the middle."""
        if table == "content":
            name = connection.settings_dict["NAME"]
            process = run_python(
                f"from django.db import connection; connection.settings_dict['NAME'] = {name!r};"
                "from videos.models import Video; from summaries.models import Summary;"
                "Summary.objects.filter(text='One.').update(text='Changed meanwhile.')"
            )
            assert process.wait() == 0, process.communicate()

    report = export_library(tmp_path / "export.db", progress=change)
    assert report.library_digest == digest_of(library)
    assert Summary.objects.filter(text="Changed meanwhile.").exists()
