"""The inspection says what is in a file, from the file alone; nothing in the file can stop it or reach the terminal."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.sqlite.codec import Text
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.inspection import (
    SHOWN_EXAMPLES,
    Inspection,
    affinity,
    inspect_snapshot,
    is_utf8,
    triples_digest,
)
from ingest.sqlite.manifest import make_manifest, manifest_path, take_snapshot
from ingest.sqlite.mapping import Mapper
from ingest.sqlite.plain import PLAIN_TIMES, PlainRows
from ingest.sqlite.reader import SnapshotError, Table, open_snapshot
from ingest.sqlite.schema import Generation
from ingest.values import one_line, printable

from .conftest import insert

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def inspect(write_file) -> Callable[..., Inspection]:
    """Inspects a database with these rows of each table."""

    def write_and_inspect(**tables: Any) -> Inspection:
        return inspect_snapshot(write_file(**tables))

    return write_and_inspect


def places(inspection: Inspection, kind: str) -> list[tuple[str, int, str]]:
    findings = inspection.oddities.get(kind)
    return [(example.table, example.key, example.column) for example in findings.examples] if findings else []


def codes(inspection: Inspection) -> dict[str, int]:
    return {code: findings.count for code, findings in inspection.quarantined.items()}


# Counts


@pytest.mark.parametrize(
    ("name", "structured", "triples"),
    [("snapshot-2025-09-11.db", 0, 58), ("snapshot-2025-09-13-categorised.db", 40, 151)],
)
def test_the_real_libraries(shared, name, structured, triples):
    path = shared / "data" / name
    inspection = inspect_snapshot(path)
    content = inspection.content
    assert (content.rows, content.with_summary, content.with_audio) == (62, 40, 58)
    assert (content.with_subcategories_json, content.with_subcategory) == (structured, structured)
    assert inspection.triples.count == triples
    assert not inspection.oddities and not inspection.quarantined and not inspection.described
    with open_snapshot(path) as source:
        assert make_manifest(source).differences(inspection.manifest) == []


def test_triples_are_those_of_the_file_by_the_ids_that_stand_in_it(shared):
    path = shared / "data" / "snapshot-2025-09-13-categorised.db"
    triples = set()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for name, flat, structured in connection.execute("SELECT id, category, subcategories_json FROM content"):
            below = (
                {entry["category"]: entry["subcategories"] for entry in json.loads(structured)["categories"]}
                if (structured)
                else {}
            )
            for category in {*json.loads(flat or "[]"), *below}:
                triples |= {(name, category, subcategory) for subcategory in below.get(category) or [None]}
    lines = sorted(json.dumps(list(triple)) + "\n" for triple in triples)
    inspection = inspect_snapshot(path)
    assert inspection.triples.count == len(lines)
    assert inspection.triples.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_summary_is_a_text_in_either_place(inspect, video):
    inspection = inspect(
        content=[video(1), video(2), video(3, summary="Own"), video(4, summary=" \n"), video(5, summary="Both")],
        content_summaries=[
            {"content_id": video(1)["id"], "summary_text": "Text"},
            {"content_id": video(2)["id"], "summary_text": " "},
            {"content_id": video(5)["id"], "summary_text": "Text"},
        ],
    )
    assert inspection.content.with_summary == 3


def test_categories_of_each_form_are_triples(inspect, video):
    structured = '{"categories": [{"category": "History", "subcategories": ["Ancient", "Modern"]}]}'
    inspection = inspect(
        content=[
            video(1, subcategories_json=structured, category='["History"]', subcategory="Ancient"),
            video(2, analysis=structured, category=None),
            video(3, category='["Technology", "History"]', subcategory="Historical Analysis"),
            video(4, category="Business, Technology"),
            # Refused, for its time; its categories can be read all the same.
            video(5, category='["Sport"]', published_at="yesterday"),
            video(6, category="{"),
            video(7, category='{"a": 1}'),
        ]
    )
    names = {number: video(number)["id"] for number in range(8)}
    expected = {
        (names[1], "History", "Ancient"), (names[1], "History", "Modern"), (names[2], "History", "Ancient"),
        (names[2], "History", "Modern"), (names[3], "Technology", None),
        (names[3], "History", "Historical Analysis"), (names[4], "Business", None), (names[4], "Technology", None),
        (names[5], "Sport", None), (names[6], "{", None),
    }  # fmt: skip
    assert inspection.triples == triples_digest(expected)
    assert codes(inspection) == {"time_not_readable": 1, "categories_not_readable": 1}


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3), st.none() | st.text(max_size=3))))
def test_the_digest_of_triples_is_that_of_a_set(triples):
    digest = triples_digest(triples)
    assert digest == triples_digest(reversed(triples * 2))
    assert digest.count == len(set(triples))
    for number in range(len(set(triples))):
        fewer = sorted(set(triples), key=repr)
        del fewer[number]
        assert triples_digest(fewer).sha256 != digest.sha256


def test_the_digest_of_triples_tells_none_from_an_empty_name_and_parts_from_a_whole():
    alike = [("a", "b", None), ("a", "b", ""), ("a", "", "b"), ("a", "b", "null"), ('a", "b', "", None)]
    assert len({triples_digest([triple]).sha256 for triple in alike}) == len(alike)


# Oddities


def test_odd_values_are_named_by_place(inspect, video):
    inspection = inspect(
        content=[
            video(1, title=b"blob"),
            video(2, title=Text(b"a\x00b")),
            video(3, title=Text(b"\xff")),
            video(4, view_count="many"),
            video(5, view_count=1.5),
            video(6, published_at="yesterday"),
            video(7, analysis="{"),
            video(8, key_topics='["\\u0000"]'),
            video(9, named_entities='["\\ud800"]'),
            video(10, has_audio="yes"),
        ],
        content_files=[{"content_id": video(1)["id"], "created_at": "never"}],
        migration_log=[{"processed_at": Text(b"\xfe")}],
        summary_variants=[
            {"video_id": video(8)["video_id"], "variant_type": "audio", "content": "A text", "metadata": "none"}
        ],
    )
    assert places(inspection, "blob_in_text") == [("content", 1, "title")]
    assert places(inspection, "nul_in_text") == [("content", 2, "title")]
    assert places(inspection, "invalid_utf8") == [("content", 3, "title"), ("migration_log", 1, "processed_at")]
    assert inspection.oddities["type_differs"].count == 3
    assert places(inspection, "type_differs") == [
        ("content", 4, "view_count"), ("content", 5, "view_count"), ("content", 10, "has_audio")
    ]  # fmt: skip
    assert set(places(inspection, "time_not_readable")) == {
        ("content", 6, "published_at"), ("content_files", 1, "created_at")
    }  # fmt: skip
    assert set(places(inspection, "json_not_readable")) == {
        ("content", 7, "analysis"), ("summary_variants", 1, "metadata")
    }  # fmt: skip
    assert places(inspection, "json_not_storable") == [("content", 8, "key_topics"), ("content", 9, "named_entities")]


def test_ids_that_differ_only_by_case_and_videos_named_twice(inspect, video):
    inspection = inspect(
        content=[
            video(1),
            video(2, video_id="video-_0001", canonical_url=""),
            video(3, video_id="Video-_0004", canonical_url=""),
            video(4),
            video(5, id="YT:VIDEO-_0001"),
        ]
    )
    assert set(places(inspection, "id_differs_by_case")) <= {
        ("content", 1, "id"), ("content", 5, "id"), ("content", 1, "video_id"), ("content", 2, "video_id")
    }  # fmt: skip
    assert inspection.oddities["id_differs_by_case"].count == 4
    assert places(inspection, "video_named_twice") == [("content", 4, "video_id")]
    assert codes(inspection) == {"duplicate_key": 1}


def test_summaries_and_files_of_no_video_are_orphans(inspect, video):
    inspection = inspect(
        content=[video(1), video(2, published_at="yesterday")],
        content_summaries=[
            {"content_id": video(1)["id"], "summary_text": "Of the first"},
            {"content_id": video(2)["id"], "summary_text": "Of one that is refused"},
            {"content_id": "yt:nobody", "summary_text": "Of nobody"},
        ],
        content_files=[{"content_id": video(2)["id"]}, {"content_id": "yt:nobody"}, {"content_id": None}],
        summary_variants=[
            {"video_id": video(1)["video_id"], "content": "Of the first"},
            {"video_id": f"some_title_{video(1)['video_id']}", "content": "Of the first, by its stem"},
            {"video_id": "Nobody", "content": "Of nobody"},
        ],
    )
    assert inspection.oddities["orphan"].count == 4
    assert codes(inspection)["orphan"] == 3


def test_no_more_than_three_examples_are_kept_of_many(inspect, video):
    inspection = inspect(content=[video(number, title=Text(b"\xff")) for number in range(20)])
    findings = inspection.oddities["invalid_utf8"]
    assert findings.count == 20 and len(findings.examples) == SHOWN_EXAMPLES
    assert codes(inspection) == {"invalid_utf8": 20}


def test_unknown_tables_and_columns_are_named(inspect, video):
    inspection = inspect(sql=["CREATE TABLE notes (note)", "ALTER TABLE content ADD COLUMN mood"], content=[video()])
    assert (inspection.unknown_tables, inspection.unknown_columns) == (["notes"], ["content.mood"])


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("INT", "INTEGER"), ("BIGINT UNSIGNED", "INTEGER"), ("CHARINT", "INTEGER"), ("VARCHAR(10)", "TEXT"),
        ("CLOB", "TEXT"), ("", "BLOB"), ("BLOB", "BLOB"), ("DOUBLE", "REAL"), ("BOOLEAN", "NUMERIC"),
        ("FLOATING POINT", "INTEGER"), ("DATE", "NUMERIC"),
    ],
)  # fmt: skip
def test_affinities_are_sqlite_s(declared, expected):
    assert affinity(declared) == expected


@pytest.mark.django_db
def test_what_it_says_of_the_quarantine_is_what_an_import_does(write_file, video):
    path = write_file(
        content=[
            video(1, title=b"blob"),
            video(2, title=Text(b"a\x00b")),
            video(3, published_at="yesterday"),
            video(4, analysis="{"),
            video(5, key_topics="{}"),
            video(6, view_count=-1),
            video(7),
            video(8, id=video(7)["id"].upper(), video_id=video(7)["video_id"]) | {"canonical_url": ""},
            video(9, id="", video_id=None, canonical_url=None),
            video(10, video_id="x" * 600, canonical_url=""),
            video(11, has_audio=2),
            video(12, category="[1]"),
        ],
        content_summaries=[
            {"content_id": video(1)["id"], "summary_text": "Of one that is refused"},
            {"content_id": video(7)["id"], "summary_text": "Fine"},
            {"content_id": " " + video(7)["id"], "summary_text": "Fine, by a name with a space"},
            {"content_id": video(8)["id"], "summary_text": Text(b"\xff")},
            {"content_id": b"blob", "summary_text": "Of a blob"},
            {"content_id": None, "summary_text": "Of nothing"},
        ],
        summary_variants=[
            {"video_id": video(7)["video_id"], "variant_type": "audio", "content": "A", "is_latest": 5},
            {"video_id": video(7)["video_id"], "variant_type": "audio", "content": "A", "created_at": "never"},
            {"video_id": "Nobody", "variant_type": "audio", "content": b"A"},
            {"video_id": 5, "variant_type": "audio", "content": "A"},
        ],
    )
    said = inspect_snapshot(path)
    done = Counter(row["code"] for row in import_snapshot(path).quarantined)
    assert codes(said) == done
    assert len(done) > 8


# Whatever the file holds. Rows that are sound in all but a few columns come nearest to being taken for plain.


def sound_row(**odd: Any) -> dict[str, Any]:
    """A row that is plain, but for the values given."""
    sound = {
        "id": b"yt:abc-de_f123", "video_id": b"AbC-dE_f123", "title": b"A title", "language": b"en",
        "canonical_url": b"https://www.youtube.com/watch?v=AbC-dE_f123", "category": b'["Technology"]',
        "published_at": b"2025-09-01T10:00:00+00:00", "created_at": b"2025-09-01 10:00:00", "summary": b"A text",
        "key_topics": b'["a-topic"]', "analysis": b'{"a": 1}', "variant_type": b"audio", "content": b"A text",
    }  # fmt: skip
    numbers = {"view_count": 5, "has_audio": 1, "revision": 1, "is_latest": 1}
    return {column: Text(text) for column, text in sound.items()} | numbers | odd


values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=12),
    st.binary(max_size=12).map(Text),
    st.text(max_size=12).map(lambda text: Text(text.encode(errors="surrogatepass"))),
    st.sampled_from(
        [
            Text(text)
            for text in (
                b"[]", b"{}", b"[[", b"null", b"1e999", b'"\\ud800"', b'["\\u0000"]', b"[" * 3000, b"9" * 5000,
                b'{"categories": 5}', b'{"categories": [{"category": ["a"]}]}', b'[{"category": "A"}]', b"[1]",
                b'{"categories": [{"category": "A", "subcategories": [1]}]}', b"0001-01-01T00:00:00+23:59",
                b"2025-02-30", b"yt:", b"AbC-dE_f123", b"yt:abc-de_f123", b"https://youtu.be/AbC-dE_f123",
            )
        ]
    ),
)  # fmt: skip
columns = st.sampled_from([column for column in Generation.LAST.columns["content"] if column != "title"])
rows = st.lists(st.dictionaries(columns, values, max_size=5), max_size=5)
references = st.sampled_from([column for column in Generation.LAST.columns["summary_variants"] if column != "id"])
texts = st.lists(st.dictionaries(references, values, min_size=1, max_size=5), max_size=3)


times = st.from_regex(PLAIN_TIMES, fullmatch=True) | st.from_regex(
    rb"(?:[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
    rb"(?:\.[0-9]{0,10})?(?:Z|[+-][0-2][0-9]:00)?\n)",
    fullmatch=True,
)


def plain_rows(table: str) -> PlainRows:
    columns = Generation.LAST.columns[table]
    return PlainRows(Table(table, tuple(columns), "rowid", 0), Mapper())


PLAIN = {table: plain_rows(table) for table in ("content", "content_summaries", "summary_variants")}


def looked_at(table: str, row: dict[str, Any]) -> tuple[Any, ...] | None:
    """The row as it is asked about; None for one whose types or characters are odd."""
    found = tuple(row.get(column) for column in Generation.LAST.columns[table])
    texts = b"\n".join(value for value in found if isinstance(value, Text))
    is_clean = b"\x00" not in texts and is_utf8(texts)
    return (*found, None) if is_clean and PLAIN[table].fits(tuple(map(type, found))) else None


@settings(max_examples=300, deadline=None)
@given(odd=st.dictionaries(columns, values, max_size=2))
def test_a_plain_video_is_what_the_mapping_makes_of_it(odd):
    row = sound_row(**odd)
    found = looked_at("content", row)
    if found and (plain := PLAIN["content"].video(found)):
        video = Mapper().video(row)
        assert plain == (video.record.video_id, video.native_id, video.record.legacy_id, video.pairs)


@settings(max_examples=300, deadline=None)
@given(odd=st.dictionaries(references, values, max_size=2))
def test_the_mapping_takes_a_plain_summary(odd):
    row = sound_row(**odd)
    if (found := looked_at("summary_variants", row)) and PLAIN["summary_variants"].variant_text(found):
        Mapper().variant_text(row)
    row |= {"content_id": row["video_id"], "summary_text": row["content"], "summary_type": row["variant_type"]}
    if (found := looked_at("content_summaries", row)) and PLAIN["content_summaries"].summary(found):
        Mapper().summary(row)


@given(times)
def test_the_mapping_takes_plain_times(lines):
    if PLAIN_TIMES.fullmatch(lines):
        for line in lines.split(b"\n"):
            Mapper().time({"created_at": Text(line)}, "created_at")


def test_sound_rows_are_plain_and_near_misses_are_not():
    assert PLAIN["content"].video(looked_at("content", sound_row()))
    assert PLAIN["summary_variants"].variant_text(looked_at("summary_variants", sound_row()))
    for odd in (
        {"published_at": Text(b"2025-02-29T10:00:00Z")}, {"view_count": -1}, {"has_audio": 2},
        {"key_topics": Text(b"{}")}, {"analysis": Text(b"{")}, {"category": Text(b"[1]")},
        {"video_id": Text(b"x" * 501)}, {"subcategory": Text(b"x" * 2001)},
        {"summary": Text(b'{"summary_type": "\\u0000"}')},
    ):  # fmt: skip
        assert PLAIN["content"].video(looked_at("content", sound_row(**odd))) is None
    for odd in ({"revision": 10**9 + 1}, {"raw_payload": Text(b"{")}, {"is_latest": 2}, {"created_at": Text(b"no")}):
        assert not PLAIN["summary_variants"].variant_text(looked_at("summary_variants", sound_row(**odd)))
    assert looked_at("content", sound_row(view_count=1.0)) is looked_at("content", sound_row(id=b"blob")) is None
    assert looked_at("content", sound_row(title=Text(b"\xff"))) is None


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Iterator[Path]:
    """A database of the last generation without constraints, where any value has a place."""
    path = tmp_path_factory.mktemp("odd") / "odd.db"
    with closing(sqlite3.connect(path)) as connection:
        for table, names in Generation.LAST.columns.items():
            connection.execute(f"CREATE TABLE {table} ({', '.join(names)})")
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=rows, summary_variants=texts)
def test_no_value_stops_the_inspection_or_reaches_the_terminal(empty, content, summary_variants):
    with closing(sqlite3.connect(empty, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for table, given_rows in (("content", content), ("summary_variants", summary_variants)):
            connection.execute(f"DELETE FROM {table}")
            for row in given_rows:
                insert(connection, table, {"title": "A title"} | row if table == "content" else row)
        connection.execute("COMMIT")
    inspection = inspect_snapshot(empty)
    assert inspection.content.rows == len(content)
    refused = sum(codes(inspection).values())
    assert refused <= len(content) + len(summary_variants)
    out = StringIO()
    call_command("inspect_sqlite", empty, stdout=out)
    assert out.getvalue().replace("\n", "").isprintable()
    for findings in (*inspection.oddities.values(), *inspection.quarantined.values()):
        assert all(example.value.isprintable() and len(example.value) < 300 for example in findings.examples)


@given(values)
def test_a_shown_value_is_one_short_harmless_line(value):
    assert one_line(value).isprintable()


def test_what_a_terminal_would_obey_is_escaped():
    assert printable("a\x1b[31m\u202eb\x9b\r\n") == "a\\x1b[31m\\u202eb\\x9b\\r\\n"
    assert one_line(Text(b"\x1b]0;title\x07 caf\xc3\xa9 \xff")) == "'\\x1b]0;title\\x07 café \\xff'"
    assert one_line(b"\x00\xff") == "x'00ff'" and one_line(None) == "NULL" and one_line(-0.0) == "-0.0"


# The command


def test_it_works_with_the_database_away(write_file, video):
    path = write_file(content=[video()])
    run = subprocess.run(
        [sys.executable, "manage.py", "inspect_sqlite", path],
        cwd=ROOT, env=os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert "An import would take every row" in run.stdout


def test_json_says_everything(write_file, video):
    path = write_file(
        content=[video(1), video(2, title=Text(b"\x9b\xff"))], sql=['CREATE TABLE "\x1b\x7f\x9b\u202e" (a)']
    )
    out = StringIO()
    call_command("inspect_sqlite", path, "--json", stdout=out)
    assert out.getvalue().replace("\n", "").isprintable() and out.getvalue().isascii()
    said = json.loads(out.getvalue())
    assert said["content"]["rows"] == 2 and said["unknown_tables"] == ["\x1b\x7f\x9b\u202e"]
    assert said["oddities"]["invalid_utf8"]["count"] == said["quarantined"]["invalid_utf8"]["count"] == 1


def test_a_file_that_cannot_be_taken_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "\x1b[31m.db"
    path.write_text("no database")
    with pytest.raises(CommandError, match=r"/\\x1b\[31m.db is no SQLite database\.$") as refusal:
        call_command("inspect_sqlite", path)
    assert refusal.value.returncode == 1


@pytest.fixture
def snapshot(write_file, video, tmp_path) -> Path:
    target = tmp_path / "copy.db"
    take_snapshot(write_file(content=[video(1), video(2)]), target)
    for path in (target, manifest_path(target)):
        path.chmod(0o644)
    return target


def test_a_snapshot_with_its_manifest_is_said_to_be_what_that_describes(snapshot):
    assert inspect_snapshot(snapshot).described
    out = StringIO()
    call_command("inspect_sqlite", snapshot, stdout=out)
    assert "it is the file that its manifest describes" in out.getvalue()


def test_a_replaced_snapshot_is_refused(snapshot, write_file, video):
    snapshot.write_bytes(write_file("other.db", content=[video(3)]).read_bytes())
    with pytest.raises(SnapshotError, match="is not the file that its manifest describes"):
        inspect_snapshot(snapshot)


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("tables", '"rows": 2', '"rows": 3'),
        ("library_sha256", '"library_sha256": "', '"library_sha256": "0'),
        ("schema", "title TEXT", "title BLOB"),
        ("generation", '"last"', '"first"'),
    ],
)
def test_a_manifest_that_was_changed_is_told(snapshot, field, before, after):
    file = manifest_path(snapshot)
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))
    with pytest.raises(SnapshotError, match=f"says otherwise of its {field}: the manifest was changed"):
        inspect_snapshot(snapshot)
