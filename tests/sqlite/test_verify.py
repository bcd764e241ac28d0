"""The verification proves what an import did, fails on damage, and tells damage from what people changed."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pghistory
import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ingest.models import IngestLogEntry, QuarantinedRow, RowOutcome, Snapshot, VaultRow
from ingest.sqlite.codec import Text
from ingest.sqlite.importer import import_snapshot, retry
from ingest.sqlite.reader import open_snapshot
from ingest.sqlite.schema import Generation
from ingest.sqlite.self_test import DAMAGES, self_test
from ingest.sqlite.synthetic import write_snapshot
from ingest.sqlite.verification.old_categories import flat_names, source_pairs
from ingest.sqlite.verification.old_values import Kind, read_time, same_json
from ingest.sqlite.verification.report import Difference, Equation, VerifyReport
from ingest.sqlite.verifier import NotImported, compare_snapshot, imported, one_moment, verify_snapshot
from summaries.models import Summary, SummaryText
from tests.factories import categorise
from tests.sqlite.conftest import insert
from videos.curation import decide
from videos.deciding import deciding, in_the_name_of
from videos.models import Categorization, Category, FacetCount, Origin, Pair, Video
from videos.upsert import VideoRecord

pytestmark = pytest.mark.django_db

STRUCTURED = '{"categories": [{"category": "History", "subcategories": ["Modern History", "Café, bar"]}]}'
OTHER_STRUCTURED = '{"categories": [{"category": "Technology", "subcategories": ["Programming"]}]}'


@pytest.fixture
def library(write_file: Callable[..., Path], video: Callable[..., dict[str, Any]]) -> Path:
    """A file of the last generation with rows of every fate, imported."""
    path = write_file(
        sql=["CREATE TABLE notes (a, b)", "ALTER TABLE content ADD COLUMN mood TEXT"],
        content=[
            video(1, title="Café and more", subcategories_json=STRUCTURED, category='["History"]',
                  subcategory="Modern History", summary="Own text.", mood="glad"),
            video(2, subcategories_json=OTHER_STRUCTURED, subcategory="Not among them"),
            video(3, title=Text(b"a\x00b")),
            video(4, video_id="video-_0004", published_at="2025-09-01", updated_at="2025-09-03 10:00:00"),
            video(5, category="Technology, Business", subcategory="Programming", key_topics=None,
                  duration_seconds=None),
        ],
        content_summaries=[
            {"content_id": "yt:video-_0001", "summary_text": "A text for listening.", "summary_type": "audio"},
            {"content_id": "yt:video-_0002", "summary_text": "Second.", "summary_type": "Key_Insights"},
            {"content_id": "yt:video-_0003", "summary_text": "Of a quarantined row."},
            {"content_id": "yt:video-_0004", "summary_text": ""},
        ],
        summary_variants=[
            {"video_id": "Video-_0002", "variant_type": "key-insights", "revision": 1, "content": "First.",
             "is_latest": 0},
            {"video_id": "Video-_0002", "variant_type": "key-insights", "revision": 2, "content": "Second.",
             "is_latest": 1, "metadata": '{"a": [1, 2.0]}', "created_at": "2025-09-04T10:00:00Z", "word_count": 1},
        ],
        content_files=[{"content_id": "yt:video-_0001", "file_path": "/caf.mp3", "file_size": 1}],
        notes=[{"a": b"\x00\xff", "b": -0.0}],
    )  # fmt: skip
    import_snapshot(path, accept_quarantine=True)
    return path


@contextmanager
def unnoticed() -> Iterator[Any]:
    """A cursor whose changes no trigger sees: no history, no counts, no constraint of a foreign key."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor
        cursor.execute("SET LOCAL session_replication_role = origin")


def damage(statement: str, *parameters: Any) -> None:
    with unnoticed() as cursor:
        cursor.execute(statement, parameters)
        assert cursor.rowcount > 0


def compared(path: Path) -> VerifyReport:
    """The file beside the vault and the models only, which is the most of a verification and takes half its time."""
    with open_snapshot(path) as source, one_moment():
        return compare_snapshot(source, imported(source, path))


def differences(report: VerifyReport, *equations: Equation) -> list[Difference]:
    return [one for name in equations or Equation for one in report.differences[name].examples]


def places(report: VerifyReport, *equations: Equation) -> set[tuple[str, str, str]]:
    """(table, video, column) of everything that is wrong."""
    return {(one.table, one.video_id, one.column) for one in differences(report, *equations)}


def changes(report: VerifyReport) -> dict[tuple[str, str], int]:
    return {(change.kind, change.by): change.videos for change in report.changes}


def assert_holds(report: VerifyReport) -> None:
    assert report.holds, differences(report)


# What holds


def test_a_library_as_it_was_imported_holds_with_every_row_and_value_accounted_for(library):
    report = verify_snapshot(library)
    assert_holds(report)
    rows = {row.table: (row.rows, row.modelled, row.quarantined, row.skipped_deleted) for row in report.rows}
    assert rows == {"content": (5, 4, 1, 0), "content_summaries": (4, 3, 1, 0), "summary_variants": (2, 2, 0, 0)}
    counts = {(count.table, count.column): count for count in report.models}
    assert counts["content", "title"].exact == counts["content", "title"].compared == 4
    assert counts["content", "published_at"].by_rule == 1 and counts["content", "published_at"].exact == 3
    assert counts["content", "mood"].vault_only == 4
    assert counts["content", "subcategory"].vault_only == 1, "a name that the structured categories do not have"
    assert counts["summary_variants", "is_latest"].exact == 2
    for count in report.models:
        assert count.compared == count.exact + count.by_rule + count.vault_only, count
    assert report.triples.source == report.triples.models == 6
    assert report.triples.source_digest == report.triples.models_digest
    assert [trip.file_digest == trip.source_digest for trip in report.round_trip] == [True]
    assert report.html.rendered == report.html.summaries == Summary.objects.count()
    assert report.changes == []


@pytest.mark.parametrize("name", ["snapshot-2025-09-11.db", "snapshot-2025-09-13-categorised.db"])
def test_the_real_snapshots_hold(shared, name):
    path = shared / "data" / name
    import_snapshot(path, accept_quarantine=True)
    report = verify_snapshot(path)
    assert_holds(report)
    assert [row.rows for row in report.rows] == [62, 40]
    assert report.changes == []


@pytest.mark.parametrize("newest_first", [False, True])
def test_two_real_snapshots_of_one_library_both_hold(shared, newest_first):
    older, newer = (shared / "data" / name for name in ("snapshot-2025-09-11.db", "snapshot-2025-09-13-categorised.db"))
    for path in (newer, older) if newest_first else (older, newer):
        import_snapshot(path, accept_quarantine=True)
    assert_holds(verify_snapshot(newer))
    report = verify_snapshot(older)
    assert_holds(report)
    by = f"the import of {newer.name}"
    assert changes(report)[("curated categories kept" if newest_first else "changed", by)] > 30


@pytest.mark.parametrize("generation", Generation)
def test_made_up_libraries_hold(tmp_path, generation):
    path = tmp_path / "made.db"
    write_snapshot(path, videos=60, seed=1, generation=generation)
    import_snapshot(path, accept_quarantine=True)
    assert_holds(verify_snapshot(path))


def test_a_row_that_could_be_taken_after_all_holds(write_file, video):
    path = write_file(
        content=[video(1), video(2, video_id="Video-_0001", id="again")],
        content_summaries=[{"content_id": "nobody", "summary_text": "Text.", "summary_type": "audio"}],
    )
    import_snapshot(path, accept_quarantine=True)
    assert_holds(verify_snapshot(path))
    Video.objects.create(video_id="nobody")
    assert retry(QuarantinedRow.objects.get(code="orphan"), by="ada").resolved
    report = verify_snapshot(path)
    assert_holds(report)
    assert [row.modelled for row in report.rows] == [1, 1, 0]


# Damage, where no trigger saw it


PAIR = "(SELECT id FROM videos_subcategory WHERE name = 'Modern History')"
DAMAGED_MODELS = {
    # What is done: SQL, and the places that must be named.
    "title": (
        "UPDATE videos_video SET title = 'Other' WHERE video_id = 'Video-_0001'",
        {("content", "Video-_0001", "title")},
    ),
    "old ID": (
        "UPDATE videos_video SET legacy_id = 'other' WHERE video_id = 'Video-_0001'",
        {("content", "Video-_0001", "id")},
    ),
    "number": (
        "UPDATE videos_video SET view_count = 1001 WHERE video_id = 'Video-_0002'",
        {("content", "Video-_0002", "view_count")},
    ),
    "flag": (
        "UPDATE videos_video SET has_audio = false WHERE video_id = 'Video-_0002'",
        {("content", "Video-_0002", "has_audio")},
    ),
    "time": (
        "UPDATE videos_video SET published_at = published_at + interval '1 microsecond' WHERE video_id = 'Video-_0004'",
        {("content", "Video-_0004", "published_at")},
    ),
    "list": (
        "UPDATE videos_video SET key_topics = '[]' WHERE video_id = 'Video-_0001'",
        {("content", "Video-_0001", "key_topics")},
    ),
    "lost value": (
        "UPDATE videos_video SET channel_name = '' WHERE video_id = 'Video-_0001'",
        {("content", "Video-_0001", "channel_name")},
    ),
    "value from nowhere": (
        "UPDATE videos_video SET duration_seconds = 9 WHERE video_id = 'Video-_0005'",
        {("content", "Video-_0005", "duration_seconds")},
    ),
    "lost video": (
        "DELETE FROM videos_video WHERE video_id = 'Video-_0005'",
        {("content", "Video-_0005", "id")},
    ),
    "text cut by one character": (
        "UPDATE summaries_summary SET text = left(text, -1) WHERE variant = 'audio'",
        {("content_summaries", "Video-_0001", "summary_text")},
    ),
    "lost own text": (
        "DELETE FROM summaries_summary WHERE text = 'Own text.'",
        {("content", "Video-_0001", "summary")},
    ),
    "lost revision": (
        "DELETE FROM summaries_summary WHERE text = 'First.'",
        {("summary_variants", "Video-_0002", "content")},
    ),
    "metadata": (
        """UPDATE summaries_summary SET metadata = '{"a": [2, 1]}' WHERE text = 'Second.'""",
        {("summary_variants", "Video-_0002", "metadata")},
    ),
    "word count": (
        "UPDATE summaries_summary SET word_count = NULL WHERE text = 'Second.'",
        {("summary_variants", "Video-_0002", "word_count")},
    ),
    "revision's number": (
        "UPDATE summaries_summary SET revision = 7 WHERE text = 'Second.'",
        {("summary_variants", "Video-_0002", "revision")},
    ),
    "revision's time": (
        "UPDATE summaries_summary SET created_at = created_at + interval '1 second' WHERE text = 'Second.'",
        {("summary_variants", "Video-_0002", "created_at")},
    ),
    "lost pair": (
        f"DELETE FROM videos_categorization WHERE subcategory_id = {PAIR}",
        {("content", "Video-_0001", "subcategories_json")},
    ),
    "lost flat pair": (
        "DELETE FROM videos_categorization WHERE video_id = 'Video-_0004'",
        {("content", "Video-_0004", "category")},
    ),
    "pair from nowhere": (
        "INSERT INTO videos_categorization (video_id, position, category_id, origin)"
        " SELECT 'Video-_0004', 9, id, 'curated' FROM videos_category WHERE name = 'History'",
        {("content", "Video-_0004", "categories")},
    ),
    "renamed category": (
        "UPDATE videos_category SET name = 'Past' WHERE name = 'History'",
        {("content", "Video-_0001", "subcategories_json"), ("content", "Video-_0001", "categories")},
    ),
    "order of pairs": (
        "UPDATE videos_categorization SET position = position + 10 * (subcategory_id IS NOT NULL)::int"
        " WHERE video_id = 'Video-_0005'",
        {("content", "Video-_0005", "categories")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED_MODELS)
def test_damage_of_the_models_is_named(library, name):
    statement, expected = DAMAGED_MODELS[name]
    damage(statement)
    report = compared(library)
    assert not differences(report, Equation.VAULT)
    assert places(report, Equation.ROWS, Equation.MODELS, Equation.TRIPLES) == expected


def test_html_that_is_not_what_the_text_gives_is_named(library):
    damage("UPDATE summaries_summary SET html = replace(html, 'listening', 'reading') WHERE variant = 'audio'")
    assert places(verify_snapshot(library)) == {("summaries_summary", "Video-_0001", "html")}


def test_a_damaged_model_comes_back_otherwise_and_the_vault_alone_as_it_was(library):
    damage("UPDATE videos_video SET title = 'Other' WHERE video_id = 'Video-_0001'")
    report = verify_snapshot(library)
    assert places(report, Equation.ROUND_TRIP) == {("content", "Video-_0001", "title")}
    assert [(trip.name, trip.wrong, trip.file_digest == trip.source_digest) for trip in report.round_trip] == [
        ("export", 1, False), ("vault to file", 0, True)
    ]  # fmt: skip


def test_pairs_swapped_between_videos_are_named(library):
    damage("""
        UPDATE videos_categorization AS one SET category_id = other.category_id, subcategory_id = other.subcategory_id
        FROM videos_categorization AS other WHERE (one.video_id, other.video_id) IN
            (('Video-_0001', 'Video-_0002'), ('Video-_0002', 'Video-_0001'))
        AND one.position = 0 AND other.position = 0
    """)
    found = {one.video_id for one in differences(compared(library), Equation.TRIPLES)}
    assert found == {"Video-_0001", "Video-_0002"}


def test_texts_swapped_between_videos_are_named(library):
    texts = dict(Summary.objects.filter(is_latest=True).values_list("pk", "text"))
    (one, other) = Summary.objects.filter(text__in=["A text for listening.", "Second."]).values_list("pk", flat=True)
    for pk, text in ((one, texts[other]), (other, texts[one])):
        damage("UPDATE summaries_summary SET text = %s WHERE id = %s", text, pk)
    assert {"Video-_0001", "Video-_0002"} <= {one.video_id for one in differences(compared(library), Equation.MODELS)}


def test_a_wrong_latest_pointer_is_named_in_the_models_and_in_the_database(library):
    damage("UPDATE summaries_summary SET is_latest = false WHERE text = 'Second.'")
    damage("UPDATE summaries_summary SET is_latest = true WHERE text = 'First.'")
    report = verify_snapshot(library)
    assert ("summary_variants", "Video-_0002", "is_latest") in places(report, Equation.MODELS)
    assert ("summaries_summary", "", "is_latest") in places(report, Equation.DATABASE)


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("UPDATE ingest_vaultrow SET content = set_byte(content, length(content) - 1, 7)", "b"),
        ("UPDATE ingest_vaultrow SET sha256 = set_byte(sha256, 0, 255 - get_byte(sha256, 0))", ""),
        ("UPDATE ingest_vaultrow SET content = substr(content, 1, 10)", ""),
        ("UPDATE ingest_vaultrow SET key = 7", ""),
        ("DELETE FROM ingest_vaultrow", ""),
    ],
)
def test_damage_of_the_vault_is_named(library, change, column):
    damage(f"""{change} WHERE "table" = 'notes'""")
    report = verify_snapshot(library)
    assert ("notes", 1, column) in {(one.table, one.key, one.column) for one in differences(report, Equation.VAULT)}
    assert report.round_trip[0].wrong and not report.holds


def test_a_changed_schema_and_a_table_too_much_in_the_vault_are_named(library):
    row = VaultRow.objects.filter(table="sqlite_schema").last()
    damage("UPDATE ingest_vaultrow SET \"table\" = 'unheard' WHERE id = %s", row.pk)
    found = {(one.table, one.key) for one in differences(compared(library), Equation.VAULT)}
    assert found == {("sqlite_schema", row.key), ("unheard", None)}


def test_a_quarantined_row_that_is_forgotten_is_lost(library):
    damage("DELETE FROM ingest_quarantinedrow WHERE code = 'nul_in_text'")
    report = compared(library)
    assert [one for one in differences(report, Equation.ROWS) if "LOST" in one.message and one.key == 3]
    assert report.rows[0].lost == 1


def test_a_quarantined_value_must_be_the_one_of_the_file(library):
    damage("UPDATE ingest_quarantinedrow SET value = set_byte(value, 17, 65) WHERE code = 'nul_in_text'")
    (found,) = differences(compared(library), Equation.ROWS)
    assert (found.table, found.key, found.column) == ("content", 3, "title")


def test_a_row_cannot_be_modelled_and_quarantined(library):
    row = VaultRow.objects.get(table="content", key=1)
    for code in ("wrong_type", "duplicate_key", "old_id_taken"):
        QuarantinedRow.objects.all().delete()
        value = b"\0\0\0\0\0\0\0\1T\0\0\0\0\0\0\0\x0eyt:video-_0001"
        QuarantinedRow.objects.create(row=row, code=code, column="id", value=value, message="made up")
        assert ("content", "Video-_0001", "id") in places(compared(library), Equation.ROWS), code


def test_an_outcome_that_is_missing_or_names_another_video_is_named(library):
    damage("UPDATE ingest_rowoutcome SET video_id = 'Video-_0002' WHERE \"table\" = 'content' AND key = 1")
    damage("DELETE FROM ingest_rowoutcome WHERE \"table\" = 'content_summaries' AND key = 1")
    found = {(one.table, one.key, one.column) for one in differences(compared(library), Equation.ROWS)}
    assert found == {("content", 1, "video_id"), ("content_summaries", 1, "")}


@pytest.mark.django_db(transaction=True)
def test_damage_before_a_later_change_is_no_newer_data(library):
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; SET LOCAL session_replication_role = replica;"
                       "UPDATE videos_video SET title = 'Other' WHERE video_id = 'Video-_0001'; COMMIT")  # fmt: skip
    Video.objects.filter(pk="Video-_0001").update(view_count=5, updated_at=timezone.now())
    report = verify_snapshot(library)
    assert places(report, Equation.MODELS) == {("content", "Video-_0001", "title")}
    assert changes(report) == {("changed", "without a name"): 1}


# The database itself


@pytest.mark.parametrize(
    ("statements", "table", "what"),
    [
        (["DELETE FROM videos_video WHERE video_id = 'Video-_0001'"], "summaries_summary", "video_id"),
        (["DELETE FROM videos_category WHERE name = 'History'"], "videos_categorization", "category_id"),
        (["UPDATE videos_facetcount SET count = count + 1 WHERE facet = 'language'"], "videos_facetcount", "language"),
        (["ALTER TABLE videos_video DISABLE TRIGGER USER"], "videos_video", "pgtrigger_deleted_stays_deleted_a9dd3"),
        (
            ["DROP INDEX videos_video_legacy_id_unique",
             "UPDATE videos_video SET legacy_id = 'yt:video-_0001' WHERE video_id = 'Video-_0002'"],
            "videos_video", "videos_video_legacy_id_unique",
        ),
        (
            ["ALTER TABLE videos_video DROP CONSTRAINT videos_video_key_not_empty",
             "ALTER TABLE videos_video ADD CONSTRAINT videos_video_key_not_empty CHECK (video_id <> '') NOT VALID"],
            "videos_video", "videos_video_key_not_empty",
        ),
    ],
)  # fmt: skip
def test_a_database_that_does_not_keep_its_rules_is_named(library, statements, table, what):
    with unnoticed() as cursor:
        for statement in statements:
            cursor.execute(statement)
    assert (table, what) in {(t, column) for t, _, column in places(verify_snapshot(library), Equation.DATABASE)}


# What people and the worker changed


@pytest.fixture
def curator() -> Any:
    return get_user_model().objects.create_superuser("ada")


def test_what_a_curator_changed_is_told_apart_and_named(library, curator):
    with pghistory.context(user=curator.pk, url="/admin/"), deciding("ada"):
        Video.objects.filter(pk="Video-_0001").update(title="Better title", channel_name="", updated_at=timezone.now())
        decide({"Video-_0002": [("New", "Newer"), ("History", "Modern History")]}, "ada")
        Categorization.objects.filter(video="Video-_0004").update(category=Category.objects.get(name="History"))
        Summary.objects.filter(text="A text for listening.").update(text="A text for reading.", html="<p>x</p>")
    Summary.objects.filter(text="A text for reading.").update(html="<p>A text for reading.</p>")
    report = verify_snapshot(library)
    assert_holds(report)
    assert changes(report) == {("changed", "ada"): 3}
    title = next(count for count in report.models if count.column == "title")
    assert (title.exact, title.changed_later) == (3, 1)
    assert report.triples.explained == 5 and report.triples.source_digest != report.triples.models_digest
    export, alone = report.round_trip
    assert export.explained and not export.wrong
    assert alone.file_digest == alone.source_digest, "the vault alone still gives the file"


def test_a_change_in_the_admin_is_named(library, curator, client):
    client.force_login(curator)
    url = "/admin/videos/video/Video-_5F0004/change/"
    form = client.get(url).context["adminform"].form
    data = {name: value for name, value in form.initial.items() if value is not None and name in form.fields}
    data |= {"title": "By hand", "key_topics": "[]", "named_entities": "[]"}
    data |= {f"{name}_0": "" for name in ()} | {
        f"categorizations-{name}": value
        for name, value in {"TOTAL_FORMS": 0, "INITIAL_FORMS": 0, "MIN_NUM_FORMS": 0, "MAX_NUM_FORMS": 1000}.items()
    }
    for name in ("published_at", "indexed_at"):
        moment = data.pop(name)
        data |= {f"{name}_0": moment.date().isoformat(), f"{name}_1": moment.time().isoformat()}
    assert client.post(url, data).status_code == 302
    assert Video.objects.get(pk="Video-_0004").title == "By hand"
    report = verify_snapshot(library)
    assert_holds(report)
    assert changes(report)[("changed", "ada")] == 1


def test_a_category_that_was_renamed_in_the_admin_is_told_apart(library, curator):
    category = Category.objects.get(name="History")
    with transaction.atomic(), in_the_name_of("ada"):
        Category.objects.filter(pk=category.pk).update(name="Past")
    assert not verify_snapshot(library).holds, "nobody says who renamed it"
    content_type = ContentType.objects.get_for_model(Category)
    LogEntry.objects.create(
        user=curator, content_type=content_type, object_id=str(category.pk), object_repr="Past", action_flag=CHANGE
    )
    report = verify_snapshot(library)
    assert_holds(report)
    assert changes(report) == {("changed", "ada"): 1}


def test_deleted_videos_are_told_apart(library):
    Video.objects.filter(pk="Video-_0001").update(
        deleted_at=datetime(2025, 10, 1, tzinfo=UTC), deleted_by="ada", deleted_reason="too old"
    )
    report = verify_snapshot(library)
    assert_holds(report)
    assert changes(report) == {("deleted", "ada"): 1}
    assert report.rows[0].skipped_deleted == report.rows[1].skipped_deleted == 1
    assert report.changes[0].first == "2025-10-01T00:00:00+00:00"


def test_what_the_worker_sent_later_is_told_apart(library):
    sent = VideoRecord("Video-_0001", "youtube", title="Sent again", view_count=2000, updated_at=timezone.now())
    with pghistory.context(user=None, url="/ingest/report"):
        Video.objects.upsert([sent, VideoRecord("brand_new_1", "youtube", title="New")])
        Summary.objects.merge(
            {
                "Video-_0001": [SummaryText("audio", "Spoken again."), SummaryText("executive", "Short.")],
                "Video-_0002": [SummaryText("key-insights", "First.")],
                "brand_new_1": [SummaryText("audio", "Of the new one.")],
            },
            newest={"Video-_0001", "Video-_0002", "brand_new_1"},
        )
    report = verify_snapshot(library)
    assert_holds(report)
    assert changes(report) == {
        ("changed", "a request to /ingest/report"): 1,
        ("newer revisions of summaries", "without a name"): 2,
    }


def test_texts_that_another_snapshot_or_the_worker_brought_are_told_apart(write_file, video):
    older = write_file(
        "older.db",
        content=[video(1), video(2)],
        content_summaries=[{"content_id": "yt:video-_0001", "summary_text": "Lost since.", "summary_type": "audio"}],
        summary_variants=[{"video_id": "Video-_0001", "variant_type": "executive", "content": "Lost too."}],
    )
    newer = write_file(
        "newer.db",
        content=[video(1), video(2)],
        content_summaries=[{"content_id": "yt:video-_0001", "summary_text": None, "summary_type": "audio"}],
    )
    for path in (older, newer):
        import_snapshot(path)
    Summary.objects.merge({"Video-_0002": [SummaryText("audio", "Sent.")]}, newest={"Video-_0002"})
    assert {one.video_id for one in differences(verify_snapshot(newer))} == {"Video-_0002"}
    IngestLogEntry.objects.create(route="/ingest/report", video_id="Video-_0002", outcome="updated", status=200)
    report = verify_snapshot(newer)
    assert_holds(report)
    kind = "summaries beside those of the file"
    assert changes(report) == {(kind, "the import of older.db"): 1, (kind, "a request to /ingest/report"): 1}
    assert_holds(verify_snapshot(older))


def test_newer_and_curated_data_that_was_there_first_is_told_apart(write_file, video):
    newer = datetime(2025, 12, 1, tzinfo=UTC)
    Video.objects.upsert(
        [
            VideoRecord("Video-_0001", "youtube", title="Newer", view_count=9, updated_at=newer),
            VideoRecord("Video-_0002", "youtube", title="Real title", channel_id="UC9"),
            VideoRecord("Video-_0003", "youtube", title="Video number 3"),
        ]
    )
    Categorization.objects.merge({"Video-_0001": [Pair("AI", None, Origin.AI)]}, newest={"Video-_0001"})
    categorise(Video.objects.get(pk="Video-_0003"), [("By hand", "Kept")])
    Summary.objects.merge({"Video-_0001": [SummaryText("audio", "Newer text.")]}, newest={"Video-_0001"})
    path = write_file(
        content=[video(1), video(2, title="Untitled", channel_id=""), video(3, subcategories_json=STRUCTURED)],
        content_summaries=[{"content_id": "Video-_0001", "summary_text": "Older text.", "summary_type": "audio"}],
    )
    import_snapshot(path)
    report = verify_snapshot(path)
    assert_holds(report)
    assert changes(report) == {
        ("newer data kept", ""): 2,
        ("newer data kept", "without a name"): 1,
        ("curated categories kept", "without a name"): 1,
    }
    counts = {count.column: count for count in report.models if count.table == "content"}
    assert counts["title"].newer_kept == 2 and counts["channel_id"].newer_kept == 1
    assert counts["categories"].curated_kept == 1 and counts["categories"].newer_kept == 1


# The rules of its own


def test_old_values_are_read_by_rules_of_its_own():
    noon = datetime(2025, 9, 1, 12, tzinfo=UTC)
    for text in (b"2025-09-01T12:00:00Z", b"2025-09-01 12:00", b"20250901T14:00:00+02", b"2025-09-01T07:00:00 -0500"):
        assert read_time(Text(text)) == noon, text
    assert read_time(Text(b"2025-09-01")) == noon.replace(hour=0)
    assert read_time(Text(b"2025-09-01T12:00:00,0000059Z")) == noon.replace(microsecond=5)
    assert read_time(None) is read_time(Text(b" ")) is read_time(Text("\u0085\u3000".encode())) is None
    assert same_json({"a": [1, 2.0]}, {"a": [1.0, 2]}) and not same_json([1], [True]) and not same_json([0], [None])
    assert all(Kind.JSON_LIST.holds(Text(nothing), []) for nothing in (b"", b"null", b"[]"))
    assert not any(Kind.JSON_LIST.holds(Text(no_list), []) for no_list in (b"{}", b"0", b'""'))
    assert flat_names(Text(b"Technology, Business")) == ("Technology", "Business")
    assert flat_names(Text(b"Odd, name")) == ("Odd, name",) and flat_names(Text(b'["A", " A", ""]')) == ("A",)
    assert flat_names(Text(b"1984")) == ("1984",) and flat_names(Text(b"null")) == flat_names(None) == ()
    pairs, lone = source_pairs({"category": Text(b"History"), "subcategory": Text(b"Odd")})
    assert [pair.names for pair in pairs] == [("History", "Odd")] and not lone
    assert source_pairs({"subcategory": Text(b"Odd")}) == ([], "Odd")


texts = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.integers(-3, 3),
    st.sampled_from([1.0, 1.5, "", " x", "é", "\u0085\u00a0"]),
)
json_texts = st.one_of(
    texts,
    st.sampled_from(['["A", "B"]', "History, Technology", '"x"', "[]", "{}", "1984", "null", STRUCTURED, "[1e2]"]),
)
times = st.one_of(texts, st.sampled_from(["2025-09-01", "2025-09-01 10:00:00", "2025-09-01T10:00:00.1234567+02:00"]))
flags = st.sampled_from([None, 0, 1, "", 1.0])
numbers = st.one_of(flags, st.integers(0, 2**63 - 1), st.sampled_from([2.5, "12", -1]))
names = st.sampled_from([None, "", "AbC-dE_f123", "abc-de_f123", "yt:AbC-dE_f123", "reddit:abc", "Video-_0001", "x"])
content_rows = st.fixed_dictionaries(
    {"id": names, "video_id": names, "title": texts},
    optional={
        "canonical_url": st.sampled_from(["https://youtu.be/AbC-dE_f123", "https://redd.it/abc", ""]),
        "category": json_texts, "subcategory": texts, "subcategories_json": json_texts, "analysis": json_texts,
        "summary": texts, "key_topics": json_texts, "view_count": numbers, "has_audio": flags,
        "duration_seconds": numbers, "published_at": times, "updated_at": times,
    },
)  # fmt: skip
summary_rows = st.fixed_dictionaries({"content_id": names, "summary_text": texts, "summary_type": texts})
variant_rows = st.fixed_dictionaries(
    {"video_id": names, "variant_type": st.sampled_from(["audio", "Audio", None, "x"]), "content": texts},
    optional={
        "revision": st.sampled_from([None, 0, 1, 2, 3]), "is_latest": flags, "metadata": json_texts,
        "raw_payload": json_texts, "created_at": times, "word_count": numbers,
    },
)  # fmt: skip


class AnyRows(TestCase):
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(content_rows, max_size=4), st.lists(summary_rows, max_size=3), st.lists(variant_rows, max_size=4))
    def test_whatever_rows_a_file_has_an_import_of_it_holds(self, content, summaries, variants):
        with TemporaryDirectory() as folder:
            path = Path(folder, "any.db")
            with closing(sqlite3.connect(path)) as database:
                for statement in Generation.LAST.statements():
                    # Without types and constraints SQLite takes any value, and any id twice.
                    database.execute(untyped(statement))
                for table, rows in (
                    ("content", content), ("content_summaries", summaries), ("summary_variants", variants)
                ):  # fmt: skip
                    for row in rows:
                        insert(database, table, row)
                database.commit()
            import_snapshot(path, accept_quarantine=True)
            assert_holds(verify_snapshot(path))


def untyped(statement: str) -> str:
    if not statement.startswith("CREATE TABLE content "):
        return statement.replace("content_id TEXT PRIMARY KEY", "content_id TEXT")
    return f"CREATE TABLE content ({', '.join(Generation.FIRST.columns['content'])})"


# Self-test


def test_each_damage_of_a_copy_is_found_by_row_and_column(library):
    before = library.read_bytes()
    trials = {trial.damage: trial for trial in self_test(library)}
    assert trials.keys() == DAMAGES.keys()
    for trial in trials.values():
        assert trial.holds and not trial.not_tried, trial
        assert trial.in_vault and trial.in_models
    assert library.read_bytes() == before


def test_a_damage_that_cannot_be_tried_is_said_so(write_file, video):
    path = write_file(generation=Generation.FIRST, content=[video(1, duration_seconds=0)])
    import_snapshot(path)
    trials = {trial.damage: trial for trial in self_test(path)}
    assert {name for name, trial in trials.items() if trial.not_tried} == {
        "two rows under each other's key", "two titles exchanged", "a lost subcategory", "a text written as Latin-1",
        "a text encoded twice",
    }  # fmt: skip
    assert all(trial.holds for trial in trials.values())


# The command


def run(*arguments: Any) -> tuple[int, str, str]:
    """The exit code, the result, and the sentence at the end."""
    output = StringIO()
    try:
        call_command("verify_sqlite", *map(str, arguments), stdout=output)
    except CommandError as error:
        return error.returncode, output.getvalue(), str(error)
    return 0, output.getvalue(), ""


def test_the_command_says_that_everything_is_here(library):
    code, output, error = run(library, "--self-test")
    assert (code, error) == (0, "")
    assert "Everything of the snapshot is here." in output and "WRONG" not in output
    assert "a NUL in a text (content 1, title): found" in output


def test_the_command_fails_on_damage_and_shows_it_without_obeying_it(library):
    damage(r"UPDATE videos_video SET title = E'\x1b[31mCafe and more' WHERE video_id = 'Video-_0001'")
    code, output, error = run(library)
    assert code == 2 and error.startswith("Differences that nothing explains: 2.")
    assert "WRONG content 1 title (video Video-_0001)" in output
    assert "file: 'Café and more'" in output and r"here: '\x1b[31mCafe and more'" in output and "\x1b" not in output


def test_the_command_prints_everything_as_json(library):
    code, output, _ = run(library, "--json")
    document = json.loads(output)
    assert code == 0 and document["holds"] is True
    assert {"vault", "rows", "models", "triples", "round_trip", "database", "changes"} <= document.keys()


def test_the_command_wants_an_import_first(library, write_file, tmp_path):
    other = write_file("other.db")
    code, _, error = run(other)
    assert code == 4 and error == f"{other} was never imported here. Import it first: manage.py import_sqlite {other}"
    Snapshot.objects.update(imported_at=None)
    code, _, error = run(library)
    assert code == 4 and "is not finished" in error
    assert run(tmp_path / "missing.db")[0] == 1
    with pytest.raises(NotImported):
        verify_snapshot(other)


def test_nothing_is_written(library):
    def rows() -> list[Any]:
        models = (Video, Categorization, Summary, FacetCount, VaultRow, RowOutcome, QuarantinedRow, Snapshot)
        return [list(model.objects.order_by("pk").values()) for model in models]

    before = rows()
    run(library, "--self-test")
    assert rows() == before
