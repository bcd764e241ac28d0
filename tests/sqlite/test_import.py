"""An import takes all of a file or nothing, keeps every row verbatim, counts every row, and can be repeated."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from ingest.apps import import_configured_snapshot
from ingest.models import SCHEMA_TABLE, Outcome, QuarantinedRow, RowOutcome, Snapshot, VaultRow
from ingest.sqlite import importer, staging, vault
from ingest.sqlite.codec import Text, decode
from ingest.sqlite.importer import ImportReport, import_snapshot
from ingest.sqlite.schema import Generation
from ingest.sqlite.synthetic import write_snapshot
from summaries.models import Summary
from videos.models import Categorization, Category, FacetCount, Origin, Pair, Subcategory, Video

pytestmark = pytest.mark.django_db

OLDER, NEWER = "snapshot-2025-09-11.db", "snapshot-2025-09-13-categorised.db"
MODELLED_TABLES = ("content", "content_summaries", "summary_variants")
NUL = Text(b"a\x00b")


@pytest.fixture
def odd_file(write_file, video) -> Path:
    """A file of the last generation with rows of every fate, and tables and columns that nobody knows."""
    structured = '[{"category": "History", "subcategories": ["Modern History", "Café, bar"]}]'
    odd_values = [None, -(2**63), -0.0, float("inf"), b"\x00\xff", Text(b"\xff\xc3("), NUL, "é😀", ""]
    return write_file(
        sql=["CREATE TABLE notes (a, b)", "ALTER TABLE content ADD COLUMN mood TEXT", "CREATE TABLE empty (a)",
             "CREATE TABLE pairs (a, b, PRIMARY KEY (b, a)) WITHOUT ROWID",
             "ALTER TABLE content_summaries ADD COLUMN tone"],
        content=[
            video(1, subcategories_json=structured, summary="Own text.", mood=NUL),
            video(2, category="Technology, Business", analysis='{"categories": [{"category": "New"}], "x": [1e2]}'),
            video(3, title=NUL),
            video(4, video_id="video-_0004", published_at="2025-09-01", category="Odd, name"),
            video(5, id=None, video_id=None, updated_at=None, category="null", key_topics=None),
            video(6, id="again", video_id="Video-_0001"),
            video(7, id="yt:1n4zk2p", video_id="1n4zk2p", category='["A", "A"]',
                  canonical_url="https://redd.it/1n4zk2p"),
        ],
        content_summaries=[
            {"content_id": "yt:video-_0001", "summary_text": "Text.", "summary_type": "audio", "tone": 1.5},
            {"content_id": "Video-_0001", "summary_text": "Text again.", "summary_type": "audio"},
            {"content_id": "yt:video-_0003", "summary_text": "Of a quarantined row."},
            {"content_id": "1n4zk2p", "summary_text": "Of a post."},
            {"content_id": "yt:video-_0004", "summary_text": ""},
            {"content_id": None, "summary_text": Text(b"\xff")},
        ],
        summary_variants=[
            {"video_id": "Video-_0001", "variant_type": "Insights", "revision": 2, "content": "New."},
            {"video_id": "Video-_0001", "variant_type": "key_insights", "revision": 1, "content": "Old."},
            {"video_id": "Video-_0002", "variant_type": "audio", "revision": 5, "content": "Five.", "is_latest": 1,
             "metadata": '{"a": {"b": [1, null, 2.5]}}', "raw_payload": '"text"'},
            {"video_id": "Video-_0002", "variant_type": "audio", "revision": 2**40, "content": "Much."},
        ],
        content_files=[{"content_id": "yt:video-_0001", "file_path": Text(b"/caf\xe9.mp3"), "file_size": 1}],
        migration_log=[{"source_file": "a.json", "status": "success"}],
        notes=[{"a": one, "b": other} for one in odd_values for other in odd_values[:3]],
        pairs=[{"a": 2, "b": "x"}, {"a": 1, "b": b"x"}],
    )  # fmt: skip


def source_rows(path: Path) -> dict[str, list[tuple]]:
    """Every row of every table, as (storage class, value) each, by SQLite's own account."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.text_factory = bytes
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
        rows = {}
        for name in (name.decode() for (name,) in names):
            columns = [column.decode() for _, column, *_ in database.execute(f'PRAGMA table_info("{name}")')]
            listed = ", ".join(f'typeof("{column}"), "{column}"' for column in columns)
            rows[name] = [
                tuple(zip(row[::2], row[1::2], strict=True))
                for row in database.execute(f'SELECT {listed} FROM "{name}"')
            ]
    return rows


def sqlite_master(path: Path) -> list[tuple]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid").fetchall()


CLASSES = {type(None): b"null", int: b"integer", float: b"real", Text: b"text", bytes: b"blob"}


def assert_accounted_for(report: ImportReport, path: Path) -> None:
    """Every row has one fate, in the report and in the vault, and is in the vault as it is in the file."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    vault = VaultRow.objects.filter(snapshot__sha256=sha256)
    fates = Counter(RowOutcome.objects.filter(snapshot__sha256=sha256).values_list("table", "outcome"))
    source = source_rows(path)
    assert report.tables.keys() == source.keys()
    for name, rows in source.items():
        table = report.tables[name]
        assert table.rows == len(rows) == table.modelled + table.quarantined + table.skipped_deleted + table.kept
        assert table.kept == (0 if name in MODELLED_TABLES else len(rows))
        for outcome in Outcome:
            assert fates[name, outcome] == getattr(table, outcome), (name, outcome)

        def order(row: tuple) -> str:
            return repr(row)

        stored = list(vault.filter(table=name))
        kept = [tuple((CLASSES[type(value)], value) for value in decode(row.content)) for row in stored]
        # -0.0 equals 0.0, but is not written the same.
        assert sorted(kept, key=order) == sorted(rows, key=order) and repr(sorted(kept, key=order)).count("-0.0") == (
            repr(sorted(rows, key=order)).count("-0.0")
        )
        assert all(hashlib.sha256(row.content).digest() == row.sha256 for row in stored)
    quarantined = QuarantinedRow.objects.filter(row__in=vault).values_list("row__table", "row__key", "code", "column")
    assert sorted(quarantined) == sorted((r["table"], r["key"], r["code"], r["column"]) for r in report.quarantined)
    assert vault.filter(table=SCHEMA_TABLE).count() == len(sqlite_master(path))


def row_versions() -> list[tuple]:
    """The version of every row of the library: what was written again has another."""
    with connection.cursor() as cursor:
        versions = []
        for table in (
            "videos_video",
            "videos_category",
            "videos_subcategory",
            "videos_categorization",
            "summaries_summary",
        ):
            cursor.execute(
                f"SELECT '{table}', xmin::text, ctid::text, to_jsonb(t)::text FROM {table} AS t ORDER BY ctid"
            )
            versions += cursor.fetchall()
    return versions


def library() -> dict[str, list[tuple]]:
    """What readers see, without numbers that depend on the order of writing."""
    return {
        "videos": list(Video.objects.order_by("video_id").values()),
        "pairs": list(
            Categorization.objects.order_by("video", "position").values_list(
                "video", "position", "category__name", "subcategory__name", "origin"
            )
        ),
        "summaries": list(
            Summary.objects.order_by("video", "variant", "revision").values_list(
                "video", "variant", "revision", "is_latest", "text", "metadata", "raw_payload", "created_at"
            )
        ),
    }


def assert_nothing_stored() -> None:
    assert_no_models()
    for model in (Snapshot, VaultRow, QuarantinedRow, RowOutcome):
        assert not model.objects.exists(), model


def assert_no_models() -> None:
    for model in (
        Video,
        Category,
        Subcategory,
        Categorization,
        Summary,
        FacetCount,
    ):
        assert not model.objects.exists(), model


def take(path: Path, *arguments: Any) -> ImportReport:
    """Import a file, quarantined rows or not."""
    return import_snapshot(path, *arguments, accept_quarantine=True)


# Every row


def test_every_row_has_one_fate_and_is_kept_verbatim(odd_file):
    report = take(odd_file)
    assert_accounted_for(report, odd_file)
    counts = {name: (t.modelled, t.quarantined) for name, t in report.tables.items() if name in MODELLED_TABLES}
    assert counts == {"content": (5, 2), "content_summaries": (4, 2), "summary_variants": (3, 1)}
    assert report.videos["created"] == 5 == Video.objects.count()
    assert report.tables["notes"].kept == 27


def test_a_modelled_row_names_its_video(odd_file):
    take(odd_file)
    rows = RowOutcome.objects.all()
    assert set(rows.filter(outcome=Outcome.MODELLED).values_list("table", "key", "video_id")) == {
        *[("content", key, name) for key, name in
          [(1, "Video-_0001"), (2, "Video-_0002"), (4, "Video-_0004"), (5, "Video-_0005"), (7, "reddit:1n4zk2p")]],
        *[("content_summaries", key, name) for key, name in
          [(1, "Video-_0001"), (2, "Video-_0001"), (4, "reddit:1n4zk2p"), (5, "Video-_0004")]],
        *[("summary_variants", key, name) for key, name in
          [(1, "Video-_0001"), (2, "Video-_0001"), (3, "Video-_0002")]],
    }  # fmt: skip
    assert not rows.exclude(outcome=Outcome.MODELLED).exclude(video_id="").exists()


def test_unknown_tables_and_columns_are_reported(odd_file):
    report = take(odd_file)
    assert report.unknown_tables == ["notes", "empty", "pairs"]
    assert report.unknown_columns == ["content.mood", "content_summaries.tone"]


def test_the_snapshot_says_what_was_imported(odd_file):
    report = take(odd_file)
    snapshot = Snapshot.objects.get()
    assert snapshot.sha256 == report.sha256 == hashlib.sha256(odd_file.read_bytes()).hexdigest()
    assert (snapshot.name, snapshot.size_bytes) == ("library.db", odd_file.stat().st_size)
    assert snapshot.generation == report.generation == Generation.LAST
    assert "CREATE TABLE notes (a, b)" in snapshot.schema
    assert snapshot.report == json.loads(json.dumps(asdict(report)))


@pytest.mark.parametrize("generation", Generation)
def test_all_generations_are_imported_whole_and_once(tmp_path, generation):
    path = tmp_path / "library.db"
    write_snapshot(path, 30, 1, generation)
    report = import_snapshot(path)
    assert_accounted_for(report, path)
    assert report.generation == generation and report.unknown_columns == report.unknown_tables == []
    assert report.quarantined == [] and Video.objects.count() == 30
    before = row_versions()
    assert import_snapshot(path).changed_nothing
    assert row_versions() == before


def test_the_size_of_a_batch_changes_nothing(odd_file, monkeypatch):
    from django.db import transaction

    def outcome(batch_rows: int) -> tuple:
        monkeypatch.setattr(importer, "BATCH_ROWS", batch_rows)
        monkeypatch.setattr(staging, "BATCH_ROWS", batch_rows)
        monkeypatch.setattr(vault, "BATCH_ROWS", batch_rows)
        with transaction.atomic():
            report = take(odd_file)
            read = library()
            assert_accounted_for(report, odd_file)
            transaction.set_rollback(True)
        return asdict(report), read

    whole = outcome(1000)
    assert outcome(1) == whole
    assert outcome(3) == whole


# All or nothing, once or many times


@pytest.mark.parametrize("stage", ["vault", "mapped", "videos", "categories", "summaries"])
def test_an_error_in_the_middle_leaves_no_model(odd_file, stage):
    def fail(at: str, rows: int) -> None:
        if at == stage:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        take(odd_file, fail)
    assert_no_models()
    assert not Snapshot.objects.imported().exists()
    assert take(odd_file).videos["created"] == 5


def test_the_second_import_changes_no_row_and_says_so(odd_file):
    first = take(odd_file)
    assert not first.seen_before and not first.changed_nothing
    before = row_versions()
    second = take(odd_file)
    assert row_versions() == before
    assert second.seen_before and second.changed_nothing
    assert second.videos == {"created": 0, "updated": 0, "unchanged": 5, "deleted": 0}
    assert (second.categorizations_written, second.summaries_written) == (0, 0)
    assert second.tables == first.tables and second.quarantined == first.quarantined
    assert Snapshot.objects.count() == 1
    assert_accounted_for(second, odd_file)


def test_the_same_rows_in_another_file_change_nothing_but_are_kept(write_file, video):
    rows = [video(1), video(2)]
    import_snapshot(write_file("first.db", content=rows))
    before = row_versions()
    report = import_snapshot(write_file("second.db", content=rows, then=["CREATE TABLE later (a)"]))
    assert report.changed_nothing and not report.seen_before
    assert row_versions() == before
    assert Snapshot.objects.count() == 2 and VaultRow.objects.filter(table="content").count() == 4


def test_a_changed_file_changes_only_what_changed(write_file, video):
    texts = [{"content_id": "yt:video-_0001", "summary_text": "Text.", "summary_type": "audio"}]
    import_snapshot(write_file("first.db", content=[video(1), video(2)], content_summaries=texts))
    before = dict(Video.objects.values_list("video_id", "indexed_at"))
    newer = video(2, title="A better title", updated_at="2025-09-04T00:00:00Z")
    report = import_snapshot(write_file("second.db", content=[video(1), newer, video(3)], content_summaries=texts))
    assert report.videos == {"created": 1, "updated": 1, "unchanged": 1, "deleted": 0}
    assert (report.categorizations_written, report.summaries_written) == (1, 0)
    assert Video.objects.get(pk="Video-_0002").title == "A better title"
    assert before.items() <= dict(Video.objects.values_list("video_id", "indexed_at")).items()


# What is decided here stays


def delete(video_id: str) -> None:
    Video.objects.filter(pk=video_id).update(deleted_at=timezone.now(), deleted_by="owner", deleted_reason="Because.")


def test_a_deleted_video_stays_deleted_and_its_rows_are_skipped(odd_file):
    take(odd_file)
    delete("Video-_0001")
    before = row_versions()
    report = take(odd_file)
    assert row_versions() == before
    assert Video.objects.get(pk="Video-_0001").deleted_at is not None
    assert report.videos["deleted"] == 1 and report.changed_nothing
    skipped = {name: table.skipped_deleted for name, table in report.tables.items() if table.skipped_deleted}
    assert skipped == {"content": 1, "content_summaries": 2, "summary_variants": 2}


def test_rows_of_a_deleted_video_in_another_file_are_kept_as_skipped(odd_file, write_file, video):
    """Also where they are newer, have other categories and new texts."""
    take(odd_file)
    delete("Video-_0001")
    before = row_versions()
    newer = video(1, title="New", category='["Gaming"]', summary="New.", updated_at="2030-01-01T00:00:00Z")
    path = write_file(
        "newer.db",
        content=[newer],
        content_summaries=[{"content_id": "yt:video-_0001", "summary_text": "New."}],
        summary_variants=[{"video_id": "Video-_0001", "variant_type": "executive", "content": "New.", "is_latest": 1}],
    )
    report = import_snapshot(path)
    assert row_versions() == before
    for name in MODELLED_TABLES:
        assert (report.tables[name].skipped_deleted, report.tables[name].modelled) == (1, 0)
    assert_accounted_for(report, path)


def test_what_a_person_decided_about_categories_stays(write_file, video):
    import_snapshot(write_file("first.db", content=[video(1)]))
    person = [Pair("World War II (WWII)", "Pacific Theatre", Origin.CURATED)]
    Categorization.objects.merge({"Video-_0001": person}, newest={"Video-_0001"})
    before = row_versions()
    rows = [video(1, subcategories_json='[{"category": "Gaming", "subcategories": ["Reviews"]}]')]
    report = import_snapshot(write_file("second.db", content=rows))
    assert report.categorizations_written == 0
    after = {row for row in row_versions() if row[0] == "videos_categorization"}
    assert after == {row for row in before if row[0] == "videos_categorization"}


# The real snapshots


@pytest.fixture(params=[OLDER, NEWER])
def real_file(request, shared) -> Path:
    return shared / "data" / request.param


def stored_triples() -> set[tuple]:
    rows = Categorization.objects.exclude(subcategory=None)
    return set(rows.values_list("video", "category__name", "subcategory__name"))


def triples_in(path: Path) -> set[tuple]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT video_id, json_extract(entry.value, '$.category'), below.value"
            " FROM content, json_each(subcategories_json, '$.categories') AS entry,"
            " json_each(entry.value, '$.subcategories') AS below WHERE subcategories_json IS NOT NULL"
        )
        return set(rows)


def test_a_real_snapshot_is_imported_whole_and_once(real_file):
    first = import_snapshot(real_file)
    assert_accounted_for(first, real_file)
    assert (first.quarantined, first.unknown_tables, first.unknown_columns) == ([], [], [])
    assert first.videos["created"] == Video.objects.live().count() == 62
    assert first.summaries_written == Summary.objects.count() == 40
    assert Video.objects.filter(source="youtube", video_id__regex="^[A-Za-z0-9_-]{11}$").count() == 62
    before = row_versions()
    assert import_snapshot(real_file).changed_nothing
    assert row_versions() == before


@pytest.mark.parametrize("order", [[NEWER], [OLDER, NEWER], [NEWER, OLDER]])
def test_the_real_categories_are_those_of_the_newer_snapshot_in_any_order(shared, order):
    for name in order:
        import_snapshot(shared / "data" / name)
    expected = triples_in(shared / "data" / NEWER)
    assert len({video_id for video_id, *_ in expected}) == 40
    assert stored_triples() == expected
    assert Video.objects.count() == 62 and Summary.objects.count() == 40
    assert (
        not Categorization.objects.filter(video__in={v for v, *_ in expected}).exclude(origin=Origin.CURATED).exists()
    )


def test_the_flat_names_of_the_older_snapshot_come_as_they_are(shared):
    path = shared / "data" / OLDER
    import_snapshot(path)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        expected = [
            (video_id, name, None)
            for video_id, names in database.execute("SELECT video_id, category FROM content WHERE category IS NOT NULL")
            for name in json.loads(names)
        ]
    stored = Categorization.objects.values_list("video", "category__name", "subcategory__name")
    assert sorted(stored) == sorted(expected) and len(expected) > 50
    assert set(Categorization.objects.values_list("origin", flat=True)) == {Origin.IMPORTED}


# The command


def run(*arguments: str | Path) -> str:
    output = StringIO()
    call_command("import_sqlite", *map(str, arguments), stdout=output)
    return output.getvalue()


def test_the_command_says_what_became_of_every_row(odd_file):
    said = run(odd_file, "--accept-quarantine")
    assert "library.db: last generation" in said
    assert "content                      7         5            2" in said
    assert "Videos: 5 created, 0 updated, 0 unchanged, 0 deleted." in said
    assert "Unknown tables, kept in the vault: notes, empty, pairs." in said
    assert "content 3: nul_in_text: title holds a NUL byte" in said
    assert "Nothing changed" not in said
    assert said.count("Nothing changed") + run(odd_file).count("Nothing changed: all of this was imported before.") == 1


def test_the_command_prints_the_report_as_json(odd_file):
    printed = json.loads(run(odd_file, "--json", "--accept-quarantine"))
    assert printed["tables"]["content"] == {"rows": 7, "modelled": 5, "quarantined": 2, "skipped_deleted": 0, "kept": 0}
    assert printed == Snapshot.objects.get().report
    assert len(printed["quarantined"]) == 5


def refused(*arguments: str | Path) -> CommandError:
    with pytest.raises(CommandError) as refusal:
        run(*arguments)
    return refusal.value


def test_rows_that_nobody_accepted_stop_the_import_with_3_and_are_kept(odd_file):
    refusal = refused(odd_file)
    assert refusal.returncode == 3 and "5 rows are quarantined that nobody has accepted" in str(refusal)
    assert_no_models()
    assert QuarantinedRow.objects.open().count() == 5 and VaultRow.objects.filter(table="content").count() == 7
    assert QuarantinedRow.objects.filter(code="nul_in_text").accept(by="owner") == 1
    assert refused(odd_file).returncode == 3
    assert QuarantinedRow.objects.accept(by="owner") == 4
    assert "Imported." in run(odd_file)
    assert Video.objects.count() == 5


def test_other_numbers_than_expected_stop_the_import_with_2(odd_file):
    refusal = refused(odd_file, "--accept-quarantine", "--expect-total", "8", "--expect-categorised", "3")
    assert refusal.returncode == 2
    assert "8 videos were expected, and there are 7." in str(refusal)
    assert "3 categorised videos were expected, and there are 1." in str(refusal)
    assert_no_models()
    run(odd_file, "--accept-quarantine", "--expect-total", "7", "--expect-categorised", "1")
    assert Video.objects.count() == 5


def test_a_database_that_is_not_ready_stops_the_import_with_4(odd_file):
    call_command("migrate", "ingest", "0002", verbosity=0)
    refusal = refused(odd_file)
    assert refusal.returncode == 4 and "Run manage.py migrate first" in str(refusal)


def test_the_report_goes_to_a_file_too(odd_file, tmp_path):
    run(odd_file, "--accept-quarantine", "--report", tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text()) == Snapshot.objects.get().report
    nowhere = refused(odd_file, "--accept-quarantine", "--report", tmp_path / "missing" / "report.json")
    assert nowhere.returncode == 1 and "could not be written" in str(nowhere)


def test_a_dry_run_says_all_of_it_and_leaves_nothing(odd_file):
    assert refused(odd_file, "--dry-run").returncode == 3
    said = run(odd_file, "--dry-run", "--accept-quarantine")
    assert "Videos: 5 created" in said and "rolled back. Nothing was changed." in said
    assert_nothing_stored()


def test_a_wrong_call_ends_with_1(odd_file):
    for arguments in ((), (odd_file, "--nonsense"), (odd_file, "--expect-total", "many")):
        process = start("import_sqlite", *arguments)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1 and "usage: manage.py import_sqlite" in errors and "Traceback" not in errors


def start(*arguments: str | Path, program: str = "", **environment: str) -> subprocess.Popen:
    """A real process that works on the database of the tests: manage.py, or another program."""
    command = "from django.core.management import execute_from_command_line; execute_from_command_line(sys.argv[1:])"
    preamble = (
        "import os, sys; from django.conf import settings;"
        "settings.DATABASES['default']['NAME'] = os.environ['TEST_DATABASE'];"
    )
    return subprocess.Popen(
        [sys.executable, "-c", f"{preamble}\n{program or command}", "manage.py", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=settings.BASE_DIR,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "ytv2.settings",
            "EMBEDDED_POSTGRES_DIR": str(settings.EMBEDDED_POSTGRES_DIR),
            "TEST_DATABASE": connection.settings_dict["NAME"],
            "SQLITE_SNAPSHOT": "",
        }
        | environment,
    )


def assert_fails_with(process: subprocess.Popen, code: int, sentence: str) -> None:
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (code, "")
    assert sentence in errors and "Traceback" not in errors
    assert len(errors.strip().splitlines()) == 1, errors


def test_the_process_ends_with_1_and_a_sentence_for_a_file_that_cannot_be_taken(tmp_path):
    (empty := tmp_path / "empty.db").touch()
    (text := tmp_path / "text.db").write_text("No database at all, but some text.\n" * 100)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE videos (id)")
    sentences = {
        tmp_path / "missing.db": "missing.db does not exist; check the path.",
        empty: "empty.db is empty (0 bytes): the copy that made it failed.",
        text: "text.db is no SQLite database.",
        other: "other.db is no database of the old dashboard: it has no table content.",
    }
    processes = {path: start("import_sqlite", path) for path in sentences}
    for path, process in processes.items():
        assert_fails_with(process, 1, sentences[path])


@contextmanager
def another_session() -> Iterator[psycopg.Connection]:
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as session:
        yield session


def test_of_two_imports_at_once_one_is_refused(odd_file):
    with another_session() as session:
        session.execute("SELECT pg_advisory_lock(%s)", [importer.LOCK])
        with pytest.raises(CommandError, match="Another import is running") as refusal:
            run(odd_file)
        assert refusal.value.returncode == 5
        assert_fails_with(start("import_sqlite", odd_file), 5, "Another import is running; wait until it is done.")
    assert_nothing_stored()


SLOW_IMPORT = """
import django
django.setup()
from pathlib import Path
from ingest.sqlite.importer import import_snapshot

def wait(stage, rows):
    print(stage, flush=True)
    sys.stdin.readline()

import_snapshot(Path(sys.argv[2]), wait, accept_quarantine=True)
"""


# At migrate


def migrated(**options: str) -> None:
    import_configured_snapshot(using="default", **options)


def test_the_configured_snapshot_is_imported_once(write_file, video, settings, capsys):
    settings.SQLITE_SNAPSHOT = str(write_file(content=[video(1), video(2)]))
    migrated()
    assert Video.objects.count() == 2
    delete("Video-_0001")
    before = row_versions()
    capsys.readouterr()
    migrated()
    assert row_versions() == before and capsys.readouterr() == ("", "")


def test_a_configured_snapshot_with_rows_for_the_quarantine_stops_migrate_until_they_are_accepted(odd_file, settings):
    settings.SQLITE_SNAPSHOT = str(odd_file)
    with pytest.raises(CommandError, match=r"SQLITE_SNAPSHOT: 5 rows are quarantined that nobody has accepted") as stop:
        migrated()
    assert stop.value.returncode == 3
    assert_no_models()
    QuarantinedRow.objects.accept(by="owner")
    migrated()
    assert Video.objects.count() == 5


def test_without_a_configured_snapshot_migrate_imports_nothing(settings):
    settings.SQLITE_SNAPSHOT = ""
    migrated()
    assert_nothing_stored()


def test_another_database_than_the_own_gets_no_snapshot(odd_file, settings):
    settings.SQLITE_SNAPSHOT = str(odd_file)
    import_configured_snapshot(using="replica")
    assert_nothing_stored()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"text", "is no SQLite database"),
        (b"SQLite format 3\x00", "cannot"),
    ],
)
def test_a_configured_snapshot_that_cannot_be_taken_stops_migrate(tmp_path, settings, content, sentence):
    path = tmp_path / "configured.db"
    if content is not None:
        path.write_bytes(content)
    settings.SQLITE_SNAPSHOT = str(path)
    with pytest.raises(CommandError, match=f"SQLITE_SNAPSHOT: .*configured.db {sentence}"):
        migrated()
    assert_nothing_stored()


def test_migrate_itself_says_that_the_configured_snapshot_is_missing(tmp_path):
    process = start("migrate", "--verbosity=0", SQLITE_SNAPSHOT=str(tmp_path / "missing.db"))
    assert_fails_with(process, 1, "missing.db does not exist")


def test_a_database_on_its_way_back_gets_no_snapshot(odd_file, settings):
    """`migrate ingest zero` ends with the same signal, and without the tables."""
    settings.SQLITE_SNAPSHOT = str(odd_file)
    call_command("migrate", "ingest", "zero", verbosity=0)
    assert not Video.objects.exists()
