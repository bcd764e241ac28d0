"""After a disaster: what is lost is named exactly, and exactly that comes back."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from ingest.backup import beside, contents, make_backup, reading
from ingest.disaster import Former, FormerDatabase, NotBroughtBack, assess_beside, former, restore, restore_from
from ingest.models import AudioFile
from ingest.sqlite import importer
from ingest.sqlite.importer import LOCK, import_snapshot
from ingest.sqlite.schema import Generation
from ingest.sqlite.synthetic import write_snapshot
from ingest.sqlite.verification.database import check_facet_counts
from summaries.models import Summary
from videos.curation import decide
from videos.deciding import in_the_name_of
from videos.models import Categorization, Category, Origin, Pair, Proposal, Review, Subcategory, Video
from videos.upsert import VideoRecord

from .factories import CATEGORIES, categorise, make_library, make_video, summarise, truncate
from .own_postgres import Postgres, own_postgres
from .test_backup import scratch_databases, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2025, 9, 14, 12, tzinfo=UTC)
KINDS = ("videos", "summaries", "categories", "decisions")


def library_now() -> dict[str, Any]:
    """The numbers and digests of all that is stored."""
    with beside() as database, reading(database) as cursor:
        return contents(cursor)


def raw(*statements: str) -> None:
    """Somebody at the database itself, who knows how its rules are got round, and leaves no name."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ytv2.allow = 'forget'; SET LOCAL ytv2.curator = 'raw'")
        for statement in statements:
            cursor.execute(statement)


def wipe(chosen: str) -> tuple[str, ...]:
    """The statements that get rid of videos with all that hangs on them."""
    tables = (
        "videos_categorization", "videos_review", "videos_proposal", "summaries_summary", "ingest_audiofile",
        "ingest_imagefile", "videos_video",
    )  # fmt: skip
    return tuple(f"DELETE FROM {table} WHERE video_id IN ({chosen})" for table in tables)


def lost(before: Former) -> dict[str, list]:
    return {name: section.lost for name, section in assess_beside(before).sections.items()}


def nothing(**others: list) -> dict[str, list]:
    return {name: [] for name in KINDS} | others


def counts_hold() -> bool:
    """Whether the counts of the filters are what a recount says."""
    return not check_facet_counts()[1]


def fill() -> None:
    """Eight videos with pairs of both origins and two summaries each; one was deleted, and two are anna's."""
    make_library(8)
    decide({"video_00001": [("History", "Part 1"), ("Education", None)], "video_00002": []}, "anna")
    with transaction.atomic(), in_the_name_of("anna"):
        Review.objects.filter(pk__in=("video_00001", "video_00002")).update(reviewed_at=NOON)
    for text in ("Second.", "Third."):
        with transaction.atomic():
            summarise(Video.objects.get(pk="video_00004"), text)
    Proposal.objects.filter(pk="video_00001").update(proposed_at=NOON)
    AudioFile.objects.create(video_id="video_00001", name="audio/a.mp3", size_bytes=5, sha256="0" * 64)
    Video.objects.filter(pk="video_00005").update(legacy_id="yt:5")
    Video.objects.get(pk="video_00007").delete_by("anna", "not wanted")


@pytest.fixture(scope="module")
def copied(django_db_setup, django_db_blocker) -> Iterator[tuple[str, datetime]]:
    """A database that holds this library, as a backup that was restored does; its name, and when it was made."""
    name = f"former_{os.getpid()}"
    with django_db_blocker.unblock():
        fill()
        own, server = connection.settings_dict["NAME"], connection.get_connection_params()
        connection.close()
        parameters = {part: server[part] for part in ("host", "user", "password", "port") if part in server}
    with psycopg.connect(dbname="postgres", autocommit=True, **parameters) as administrator:
        administrator.execute(f'CREATE DATABASE "{name}" TEMPLATE "{own}"')
        made_at = timezone.now()
        with django_db_blocker.unblock():
            call_command("flush", verbosity=0, interactive=False)
        yield name, made_at
        administrator.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def before(copied: tuple[str, datetime]) -> Iterator[Former]:
    """The library as it was, and now it is the same."""
    name, made_at = copied
    with beside(name) as database, reading(database) as cursor:
        former = FormerDatabase("a backup", made_at, cursor)
        restore_from(former, "import")
        yield former


# The disaster


def test_a_thousand_videos_and_forty_categorisations_come_back_exactly_and_nothing_else(tmp_path):
    make_library(1500)
    decide({f"video_{number:05d}": [("History", "Modern History")] for number in range(100, 1400, 100)}, "anna")
    for number in (3, 1203):
        Video.objects.get(pk=f"video_{number:05d}").delete_by("anna", "not wanted")
    path = make_backup(tmp_path).folder
    before = library_now()

    gone = "SELECT video_id FROM videos_video WHERE video_id < 'video_01000'"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT stored.id, stored.video_id, one.name, coalesce(below.name, '') FROM videos_categorization AS stored"
            " JOIN videos_category AS one ON one.id = stored.category_id"
            " LEFT JOIN videos_subcategory AS below ON below.id = stored.subcategory_id"
            " WHERE stored.video_id >= 'video_01250' ORDER BY md5(stored.id::text) LIMIT 40"
        )
        chosen = cursor.fetchall()
        cursor.execute(
            "SELECT stored.video_id, one.name, coalesce(below.name, '') FROM videos_categorization AS stored"
            " JOIN videos_category AS one ON one.id = stored.category_id"
            " LEFT JOIN videos_subcategory AS below ON below.id = stored.subcategory_id"
            " WHERE stored.video_id < 'video_01000'"
        )
        of_videos = cursor.fetchall()
    raw(*wipe(gone), f"DELETE FROM videos_categorization WHERE id IN ({', '.join(str(row[0]) for row in chosen)})")
    assert Video.objects.count() == 500
    make_video(9000)

    output, report = StringIO(), tmp_path / "report.json"
    with pytest.raises(CommandError, match="Lost") as ended:
        call_command("assess", str(path), report=report, stdout=output, stderr=StringIO())
    assert ended.value.returncode == 2
    sections = json.loads(report.read_text())["sections"]
    assert [one["video"] for one in sections["videos"]["lost"]] == [f"video_{number:05d}" for number in range(1000)]
    assert sections["videos"]["lost"][5]["title"] == "Video number 5"
    assert {(one["video"], one["category"], one["subcategory"] or "") for one in sections["categories"]["lost"]} == {
        *(tuple(row[1:]) for row in chosen), *of_videos,
    }  # fmt: skip
    assert len(sections["summaries"]["lost"]) == 2000
    assert [one["video"] for one in sections["videos"]["gained"]] == ["video_09000"]
    assert not any(sections[name]["changed"] or sections[name]["on_purpose"] for name in KINDS)
    shown = output.getvalue()
    assert "Lost, videos (1,000):" in shown and "… and 950 more; --report FILE has them all" in shown
    assert "  video_00005 Video number 5\n" in shown and "video_00051" not in shown

    done = restore(path, "bert")
    assert done.left == {} and done.brought["videos"] == 1000 and done.brought["summaries"] == 2000
    assert done.brought["categories"] == len(of_videos) + 40
    raw(*wipe("'video_09000'"))
    assert library_now() == before
    assert scratch_databases() == [] and counts_hold()
    assert Video.objects.get(pk="video_00003").deleted_by == "anna"


def test_a_dry_run_says_the_same_and_changes_nothing(before, tmp_path):
    path = make_backup(tmp_path).folder
    raw(*wipe("'video_00001'"))
    harmed = library_now()
    output = StringIO()
    with pytest.raises(CommandError, match="nothing was changed") as ended:
        call_command("restore", str(path), "--only-missing", "--dry-run", by="bert", stdout=output, stderr=StringIO())
    assert ended.value.returncode == 2 and library_now() == harmed
    assert "Would be brought back:" in output.getvalue() and "video_00001 Video number 1" in output.getvalue()
    assert restore_from(before, "bert").brought == {"videos": 1, "summaries": 2, "categories": 2, "decisions": 1}
    assert restore_from(before, "bert").brought == dict.fromkeys(KINDS, 0)


def test_all_that_is_stored_comes_back_also_when_the_triggers_were_got_round(before):
    was = library_now()
    truncate("videos_video, videos_category, videos_subcategory CASCADE")
    restore_from(before, "bert")
    assert library_now() == was and counts_hold()
    assert not Category.objects.filter(is_new=True).exists()


def test_who_decided_and_when_comes_back_and_not_who_brought_it_back(before):
    was = list(Review.objects.order_by("pk").values())
    raw("DELETE FROM videos_categorization", "DELETE FROM videos_review")
    assert lost(before)["decisions"]
    restore_from(before, "bert")
    assert list(Review.objects.order_by("pk").values()) == was
    assert Review.objects.get(pk="video_00002").reviewed_at == NOON


def test_a_decision_that_is_still_there_keeps_its_name_when_its_categories_come_back(before):
    was = library_now()
    raw("DELETE FROM videos_categorization WHERE video_id = 'video_00001' AND position = 0")
    assert lost(before) == nothing(categories=[("video_00001", "History", "Part 1")])
    restore_from(before, "bert")
    assert library_now() == was
    assert Review.objects.get(pk="video_00001").reviewed_by == "anna"


def test_what_hangs_on_a_video_comes_back_with_it(before):
    was = list(Proposal.objects.order_by("pk").values())
    raw(*wipe("'video_00001'"))
    assert not Proposal.objects.filter(pk="video_00001").exists() and not AudioFile.objects.exists()
    restore_from(before, "bert")
    assert list(Proposal.objects.order_by("pk").values()) == was
    assert AudioFile.objects.get(name="audio/a.mp3").video_id == "video_00001"


# What was meant


def test_what_was_deleted_here_is_not_lost_and_stays_deleted(before):
    Video.objects.get(pk="video_00003").delete_by("bert", "not wanted either")
    raw("DELETE FROM summaries_summary WHERE video_id = 'video_00003'")
    found = assess_beside(before)
    assert found.lost == found.changed == 0
    assert found.sections["videos"].on_purpose == [("video_00003",)]
    assert restore_from(before, "anna").brought == dict.fromkeys(KINDS, 0)
    assert Video.objects.get(pk="video_00003").deleted_by == "bert"


def test_a_tombstone_that_is_lost_comes_back_as_one(before):
    raw(*wipe("'video_00007'"))
    restore_from(before, "bert")
    video = Video.objects.get(pk="video_00007")
    assert video.deleted_at and (video.deleted_by, video.deleted_reason) == ("anna", "not wanted")


def test_categories_that_somebody_changed_since_are_not_lost_and_stay_changed(before):
    decide({"video_00001": [("Education", None)]}, "bert")
    categorise(Video.objects.get(pk="video_00003"), [("Technology", None)], Origin.AI)
    found = assess_beside(before).sections["categories"]
    assert found.lost == [] and ("video_00001", "History", "Part 1") in found.on_purpose
    was = library_now()
    restore_from(before, "anna")
    assert library_now() == was


def test_a_person_who_decided_after_the_disaster_is_right(before):
    raw("DELETE FROM videos_categorization WHERE video_id = 'video_00001'")
    assert len(lost(before)["categories"]) == 2
    decide({"video_00001": [("Technology", None)]}, "bert")
    assert lost(before) == nothing()
    restore_from(before, "anna")
    assert Categorization.objects.pairs_of(["video_00001"])["video_00001"] == [Pair("Technology", None, Origin.CURATED)]


def test_what_was_lost_after_somebody_wrote_it_is_lost(before):
    gone = [("video_00001", "Education", ""), ("video_00001", "History", "Part 1")]
    decide({"video_00001": [("History", "Part 1"), ("Education", None), ("Technology", None)]}, "bert")
    raw("DELETE FROM videos_categorization WHERE video_id = 'video_00001'")
    assert lost(before)["categories"] == gone


def test_what_was_lost_past_all_triggers_after_somebody_wrote_it_is_lost(before):
    gone = [("video_00001", "Education", ""), ("video_00001", "History", "Part 1")]
    decide({"video_00001": [("History", "Part 1"), ("Education", None), ("Technology", None)]}, "bert")
    truncate("videos_categorization")
    assert [key for key in lost(before)["categories"] if key[0] == "video_00001"] == gone
    restore_from(before, "anna")
    assert lost(before) == nothing() and counts_hold()


def test_a_category_that_was_renamed_since_is_lost_and_comes_back_by_its_present_name(before):
    modern = Category.objects.create(name="Past")
    below = Subcategory.objects.create(category=modern, name="Part 1")
    history = Category.objects.get(name="History")
    raw("DELETE FROM videos_categorization WHERE video_id = 'video_00001' AND position = 0")
    with transaction.atomic(), in_the_name_of("anna"):
        for row in Categorization.objects.filter(category=history):
            target = Subcategory.objects.get_or_create(category=modern, name=row.subcategory.name)[0]
            Categorization.objects.filter(pk=row.pk).update(category=modern, subcategory=target)
    Subcategory.objects.filter(category=history, name="Part 1").update(merged_into=below)
    Category.objects.filter(pk=history.pk).update(merged_into=modern)
    assert ("video_00001", "Past", "Part 1") in lost(before)["categories"]
    restore_from(before, "bert")
    assert Pair("Past", "Part 1", Origin.CURATED) in Categorization.objects.pairs_of(["video_00001"])["video_00001"]


def test_what_is_missing_of_a_tombstone_is_lost_unless_it_was_purged(before):
    was = library_now()
    raw("DELETE FROM summaries_summary WHERE video_id = 'video_00007'")
    assert [key[:2] for key in lost(before)["summaries"]] == [
        ("video_00007", "audio"),
        ("video_00007", "comprehensive"),
    ]
    restore_from(before, "bert")
    assert library_now() == was
    Video.objects.purge(timedelta(0), "bert")
    assert lost(before) == nothing()
    was = library_now()
    restore_from(before, "bert")
    assert library_now() == was


# What is there


def test_nothing_that_is_there_is_written_over(before, tmp_path):
    path = make_backup(tmp_path).folder
    raw("UPDATE videos_video SET title = 'Another' WHERE video_id = 'video_00003'", *wipe("'video_00004'"))
    found = assess_beside(before)
    assert found.sections["videos"].changed == [("video_00003",)] and found.columns == {"video_00003": ["title"]}
    restore_from(before, "bert")
    assert Video.objects.get(pk="video_00003").title == "Another"
    output = StringIO()
    with pytest.raises(CommandError, match="other than they were") as ended:
        call_command("assess", str(path), stdout=output, stderr=StringIO())
    assert ended.value.returncode == 2
    assert "  video_00003 Another (other: title)" in output.getvalue()


def test_a_place_that_is_taken_since_is_left_to_who_has_it(before):
    raw(
        "DELETE FROM videos_categorization WHERE video_id = 'video_00003' AND position = 0",
        "UPDATE videos_categorization SET position = 0 WHERE video_id = 'video_00003'",
    )
    restore_from(before, "bert")
    rows = Categorization.objects.filter(video="video_00003").order_by("position")
    assert list(rows.values_list("position", "category__name")) == [(0, "General"), (1, CATEGORIES[3])]


def test_an_old_revision_comes_back_at_its_place_and_the_newest_stays_the_latest(before):
    was, numbers = library_now(), list(Summary.objects.filter(revision=3).values_list("pk", flat=True))
    raw("DELETE FROM summaries_summary WHERE video_id = 'video_00004' AND revision = 2")
    assert lost(before) == nothing(summaries=[("video_00004", "comprehensive", 2)])
    restore_from(before, "bert")
    assert library_now() == was
    assert list(Summary.objects.filter(revision=3).values_list("pk", flat=True)) == numbers
    raw(
        "DELETE FROM summaries_summary WHERE video_id = 'video_00004' AND revision = 3",
        "UPDATE summaries_summary SET is_latest = true WHERE video_id = 'video_00004' AND revision = 2",
    )
    restore_from(before, "bert")
    assert library_now() == was


def test_a_lost_text_does_not_become_the_latest_in_the_place_of_a_newer_one(before, tmp_path):
    path = make_backup(tmp_path).folder
    raw("DELETE FROM summaries_summary WHERE video_id = 'video_00004' AND variant = 'comprehensive'")
    with transaction.atomic():
        summarise(Video.objects.get(pk="video_00004"), "Written anew.")
    output = StringIO()
    with pytest.raises(CommandError, match="Left alone: 2") as ended:
        call_command("restore", str(path), "--only-missing", by="bert", stdout=output, stderr=StringIO())
    assert ended.value.returncode == 2 and "the summary was written anew since" in output.getvalue()
    texts = Summary.objects.filter(video="video_00004", variant="comprehensive")
    assert list(texts.values_list("revision", "text", "is_latest")) == [(1, "Written anew.", True)]


def test_a_video_whose_old_id_belongs_to_another_by_now_is_left_alone_and_the_rest_comes_back(before):
    raw(*wipe("'video_00004', 'video_00005'"))
    make_video(9, legacy_id="yt:5")
    done = restore_from(before, "bert")
    assert done.left == {("video_00005",): "its old ID belongs to video_00009"}
    assert done.brought["videos"] == 1 and lost(before)["videos"] == [("video_00005",)]


# Who else is at work


def test_a_restore_beside_an_import_says_so_with_5(before, tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "LOCK_WAIT_SECONDS", 0)
    path = make_backup(tmp_path).folder
    raw(*wipe("'video_00001'"))
    with psycopg.connect(connection.connection.info.dsn, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(CommandError, match="Another import is running") as ended:
            call_command("restore", str(path), "--only-missing", by="bert", stderr=StringIO())
    assert ended.value.returncode == 5 and not Video.objects.filter(pk="video_00001").exists()
    assert scratch_databases() == []


def test_a_report_that_arrives_meanwhile_waits_and_finds_the_video(before):
    raw(*wipe("'video_00001'"))
    arrived = []
    record = VideoRecord("video_00001", "youtube", title="Arrived", updated_at=timezone.now())

    def arrive() -> None:
        try:
            with transaction.atomic():
                (result,) = Video.objects.upsert([record]).values()
                arrived.append(result.action)
        finally:
            connection.close()

    def in_the_middle() -> None:
        """Hold the restore up when it has read which videos there are, until the report waits as well."""
        try:
            wait_until(lambda: waiting(other) == 1)
            arrival.start()
            wait_until(lambda: waiting(other) == 2 or arrived)
        finally:
            other.rollback()

    arrival, holder = threading.Thread(target=arrive), threading.Thread(target=in_the_middle)
    with psycopg.connect(connection.connection.info.dsn) as other:
        other.execute("LOCK TABLE videos_subcategory IN ACCESS EXCLUSIVE MODE")
        holder.start()
        done = restore_from(before, "bert")
        holder.join()
    arrival.join()
    assert done.brought["videos"] == 1 and arrived == ["updated"]
    video = Video.objects.get(pk="video_00001")
    assert (video.title, video.channel_name) == ("Arrived", "Channel 1")


def waiting(observer: psycopg.Connection) -> int:
    """How many sessions of this database wait for a lock."""
    return observer.execute(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database AND datname = current_database()"
        " WHERE NOT granted"
    ).fetchone()[0]


def test_what_cannot_be_brought_back_exactly_changes_nothing(before):
    """A trigger of somebody else's that spoils what is written."""
    raw(*wipe("'video_00001'"))
    was = library_now()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " NEW.title = 'Spoilt'; RETURN NEW; END $$;"
            " CREATE TRIGGER spoil BEFORE INSERT ON videos_video FOR EACH ROW EXECUTE FUNCTION spoil()"
        )
    try:
        with pytest.raises(NotBroughtBack, match=r"videos: 0 still lost, 1 otherwise than before"):
            restore_from(before, "bert")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION spoil CASCADE")
    assert library_now() == was and scratch_databases() == []


# An old file


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "library.db"
    write_snapshot(path, 60, 1)
    import_snapshot(path)
    return path


def test_beside_the_file_that_was_imported_nothing_is_lost_or_changed(snapshot):
    with former(snapshot) as before:
        found = assess_beside(before)
    assert found.lost == found.changed == 0
    assert found.sections["videos"].before == found.sections["videos"].now == 60


def test_what_is_lost_comes_back_from_an_old_file_as_an_import_would_bring_it(snapshot):
    was = library_now()
    raw(
        *wipe("SELECT video_id FROM videos_video ORDER BY video_id LIMIT 20"),
        "DELETE FROM videos_categorization WHERE id IN"
        " (SELECT id FROM videos_categorization ORDER BY video_id DESC, position LIMIT 5)",
    )
    Video.objects.order_by("-pk")[10].delete_by("anna", "not wanted")
    with former(snapshot) as before:
        assert len(lost(before)["videos"]) == 20 and len(lost(before)["categories"]) > 5
        restore(snapshot, "bert")
        assert lost(before) == nothing() and assess_beside(before).changed == 0
    after = library_now()
    assert (after["summaries"], after["triples"]) == (was["summaries"], was["triples"])
    assert after["videos"].count == was["videos"].count and after["deleted"].count == 1


def test_an_older_file_that_was_never_imported_takes_nothing_back_that_is_there_now(snapshot, tmp_path):
    older = tmp_path / "older.db"
    write_snapshot(older, 60, 1, Generation.FIRST)
    was = library_now()
    restore(older, "bert")
    after = library_now()
    assert (after["triples"], after["decisions"]) == (was["triples"], was["decisions"])


def test_what_is_no_file_and_no_backup_says_so_with_1(tmp_path, db):
    (tmp_path / "text.db").write_text("no database")
    for path in (tmp_path / "text.db", tmp_path / "nowhere"):
        with pytest.raises(CommandError) as ended:
            call_command("assess", str(path), stderr=StringIO())
        assert ended.value.returncode == 1


# Everything back


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Postgres, Postgres]]:
    with own_postgres() as first, own_postgres() as second:
        first.start()
        second.start()
        yield first, second


def manage(url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR, env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "DATABASE_URL": url},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


FILL = """
from pathlib import Path
from django.core.management import call_command
from ingest.backup import make_backup
from tests.factories import make_library
call_command("migrate", verbosity=0)
make_library(20)
make_backup(Path({folder!r}))
"""


def test_everything_comes_back_on_an_empty_server_as_the_documentation_says(servers, tmp_path):
    first, second = servers
    manage(first.url, "shell", "-v0", "-c", FILL.format(folder=str(tmp_path)))
    (made,) = tmp_path.glob("ytv2-*")
    text = (settings.BASE_DIR / "docs" / "backup.md").read_text()
    block = text.partition("<!-- restore -->")[2].partition("\n   `pg_restore`")[0]
    commands = [line.strip() for line in block.splitlines() if line.strip()]
    assert [command.split()[0] for command in commands] == ["createdb", "pg_restore"]
    server = {"PGHOST": "127.0.0.1", "PGPORT": str(second.port), "PGUSER": "postgres"}
    path = f"{second.programs}{os.pathsep}{os.environ['PATH']}"
    for command in commands:
        subprocess.run(command.split(), cwd=made, env={"PATH": path} | server, check=True)
    url = second.url.removesuffix("postgres") + "ytv2"
    manage(url, "migrate", "-v0")
    assert "Nothing is lost" in manage(url, "assess", str(made))
