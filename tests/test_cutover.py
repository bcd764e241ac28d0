"""The steps of the cut-over: their order, what each proves or refuses, and the way back."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from ingest.cutover import state
from ingest.cutover.flags import current
from ingest.cutover.state import code_sha256, step
from ingest.models import CutoverStep, Delivery, Flag, OutboxEntry, Phase
from ingest.scratch import PREFIX, ScratchInUse, prefix, scratch_database, turned_to
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.reader import file_sha256
from tests.sqlite.conftest import video, write_file
from videos.models import Categorization, Video

from .factories import categorise, make_video
from .gunicorn_server import database_url
from .test_backup import scratch_databases

__all__ = ("video", "write_file")

pytestmark = pytest.mark.django_db(transaction=True)

VIDEOS = 12
TOKEN = {"X-INGEST-TOKEN": "a-secret"}
# `YTV2_KILLS=20` takes longer, for more moments.
KILLS = int(os.environ.get("YTV2_KILLS", "2"))


@pytest.fixture
def old_file(write_file, video) -> Path:
    """The old dashboard's file, with a summary of every video."""
    rows = [video(number) for number in range(1, VIDEOS + 1)]
    texts = [
        {"content_id": row["id"], "summary_text": f"Of {row['title']}.", "summary_type": "comprehensive"}
        for row in rows
    ]
    return write_file("old.db", content=rows, content_summaries=texts)


@pytest.fixture(autouse=True)
def folder(settings, tmp_path, old_file) -> Path:
    settings.CUTOVER_DIR = tmp_path / "cutover"
    settings.LEGACY_SQLITE = str(old_file)
    settings.LEGACY_URL = ""
    settings.INGEST_TOKEN = TOKEN["X-INGEST-TOKEN"]
    return settings.CUTOVER_DIR


def cutover(verb: str, *arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command("cutover", verb, *arguments, stdout=out, stderr=StringIO(), by="ada", **options)
    return out.getvalue()


def status() -> str:
    out = StringIO()
    call_command("cutover", "status", stdout=out)
    return out.getvalue()


def refused(verb: str, *arguments: str, code: int = 4, **options: Any) -> str:
    with pytest.raises(CommandError) as error:
        cutover(verb, *arguments, **options)
    assert error.value.returncode == code, error.value
    return str(error.value)


def phase() -> str:
    return state.state().phase


def as_if_rehearsed(sha256: str = "", code: str = "") -> None:
    """What a rehearsal leaves; the rehearsal itself takes seconds and has tests of its own."""
    numbers = {"code_sha256": code or code_sha256(), "snapshot_sha256": sha256 or state.state().snapshot_sha256}
    CutoverStep.objects.create(by="ada", verb="rehearse", outcome="done", message="", numbers=numbers)


def go_live() -> None:
    cutover("freeze")
    cutover("sync")
    cutover("verify", requests=40)
    as_if_rehearsed()
    cutover("go-live")


def execute(path: Path, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql, values)


def send(client, key: str, **values: Any) -> Any:
    payload = {"video_id": key, "title": f"Title of {key}"} | values
    return client.post("/ingest/report", json.dumps(payload), content_type="application/json", headers=TOKEN)


# The order


def test_each_step_says_what_comes_before_it_and_changes_nothing():
    for verb, first in (("sync", "freeze"), ("verify", "freeze"), ("go-live", "freeze")):
        assert f"manage.py cutover {first}" in refused(verb)
    assert "manage.py cutover freeze" in refused("finalise", archive=Path("/"), yes=True)
    assert phase() == Phase.PARALLEL and not Video.objects.exists()
    cutover("freeze")
    assert "manage.py cutover sync" in refused("verify")
    assert "manage.py cutover sync" in refused("go-live")
    cutover("sync")
    assert "manage.py cutover verify" in refused("go-live")
    cutover("verify", requests=40)
    assert "rehearse" in refused("go-live")
    assert current().frozen and phase() == Phase.VERIFIED


def test_the_way_forward_keeps_every_step_with_who_when_and_numbers(admin_client):
    go_live()
    assert phase() == Phase.LIVE and current().read_from_postgres and not current().frozen
    assert Video.objects.live().count() == VIDEOS
    steps = CutoverStep.objects.exclude(verb="rehearse").order_by("pk")
    assert list(steps.values_list("verb", "outcome", "by")) == [
        (verb, "done", "ada") for verb in ("freeze", "sync", "verify", "go-live")
    ]
    proven = steps.get(verb="verify").numbers
    assert (proven["total"], proven["summaries"], proven["requests"]) == (VIDEOS, VIDEOS, 40)
    assert json.loads(Path(proven["report"]).read_text())["compare_api"]["holds"]
    page = admin_client.get(reverse("admin:ingest_cutoverstep_changelist")).content.decode()
    assert "Everything of" in page


def test_every_step_can_be_repeated():
    for verb, options in (("freeze", {}), ("sync", {}), ("verify", {"requests": 20})):
        assert cutover(verb, **options) and cutover(verb, **options)
    as_if_rehearsed()
    cutover("go-live")
    assert "already" in cutover("go-live")
    cutover("rollback")
    assert "already" in cutover("rollback")
    assert phase() == Phase.PARALLEL


def test_one_step_at_a_time():
    with step("freeze", "ada"):
        assert "under way" in refused("freeze", code=5)


def test_a_step_that_failed_stays_begun_and_says_so():
    with pytest.raises(RuntimeError), step("sync", "ada"):
        raise RuntimeError
    assert CutoverStep.objects.get().outcome == "begun"
    assert "begun" in status() and "was broken off. Run it again: manage.py cutover sync" in status()
    with step("verify", "ada"):
        assert "is under way: manage.py cutover verify" in status()


def test_a_step_that_stopped_with_a_sentence_says_it_again_in_the_status(settings, old_file):
    old_file.write_bytes(b"no database")
    said = refused("rehearse", code=1)
    assert "no SQLite database" in said and f"The last one said: {said}" in status()
    settings.CUTOVER_DIR = old_file
    assert f"keeps its files in {old_file} (CUTOVER_DIR)" in refused("rehearse", code=1)
    assert not CutoverStep.objects.exclude(outcome="refused").exists()


def test_without_its_tables_it_says_what_comes_first():
    with scratch_database():
        for verb in ("status", "freeze"):
            assert refused(verb) == "The database is not ready. Run manage.py migrate first."


def test_status_says_the_next_command_and_what_is_not_in_order(old_file):
    assert "Next: manage.py cutover rehearse" in status()
    as_if_rehearsed("of another file")
    assert "Next: manage.py cutover freeze" in status()
    cutover("freeze")
    assert "Next: manage.py cutover sync" in status()
    cutover("sync")
    assert "Next: manage.py cutover verify" in status()
    cutover("verify", requests=20)
    assert "Next: manage.py cutover rehearse" in status(), "the data are not those of the rehearsal"
    as_if_rehearsed()
    assert "Next: manage.py cutover go-live" in status()
    cutover("go-live")
    assert "the way back is open" in status()
    assert f"{VIDEOS} videos" in status()
    old_file.unlink()
    assert "NOT  The old file" in status()


# Bringing over, and proving


def test_a_rehearsal_holds_for_its_program_and_its_data_only():
    cutover("freeze")
    cutover("sync")
    cutover("verify", requests=20)
    as_if_rehearsed(code="another program")
    assert "another one than" in refused("go-live")
    as_if_rehearsed("other data")
    assert "newer than" in refused("go-live")
    as_if_rehearsed()
    cutover("go-live")


def test_who_writes_to_the_old_file_after_all_is_noticed(old_file):
    cutover("freeze")
    cutover("sync")
    execute(old_file, "UPDATE content SET title = 'Changed there' WHERE rowid = 1")
    assert "written to since" in refused("verify")
    cutover("sync")
    cutover("verify", requests=20)
    as_if_rehearsed()
    execute(old_file, "UPDATE content SET title = 'And again' WHERE rowid = 1")
    assert "written to since" in refused("go-live")
    assert phase() == Phase.VERIFIED and current().frozen
    cutover("sync")
    assert Video.objects.get(pk="Video-_0001").title == "And again"


def test_a_copy_that_was_changed_is_no_proof(folder):
    cutover("freeze")
    cutover("sync")
    copy = next((folder / "snapshots").glob("*.db"))
    copy.chmod(0o644)
    execute(copy, "UPDATE content SET title = 'x' WHERE rowid = 1")
    assert "is not what was brought over" in refused("verify")


def test_what_is_only_here_is_decided_by_a_person(old_file):
    import_snapshot(old_file)
    execute(old_file, "DELETE FROM content WHERE rowid = 3")
    execute(old_file, "DELETE FROM content_summaries WHERE content_id = 'yt:video-_0003'")
    cutover("freeze")
    assert "Video-_0003" in refused("sync")
    assert phase() == Phase.FROZEN
    cutover("sync", missing="keep")
    cutover("verify", requests=40)
    assert Video.objects.live().filter(pk="Video-_0003").exists()
    cutover("sync", missing="delete")
    gone = Video.objects.get(pk="Video-_0003")
    assert (gone.deleted_by, gone.deleted_reason) == ("ada", "deleted in the old dashboard")
    cutover("verify", requests=40)


def test_what_the_old_system_never_had_was_not_deleted_there(old_file):
    import_snapshot(old_file)
    make_video(pk="Only-here_1")
    execute(old_file, "DELETE FROM content WHERE rowid = 3")
    execute(old_file, "DELETE FROM content_summaries WHERE content_id = 'yt:video-_0003'")
    cutover("freeze")
    said = refused("sync")
    assert re.search(r"no longer in .*\(1\): Video-_0003\..* never seen in the old system \(1\): Only-here_1\.", said)
    assert "Never seen there, so they stay (1): Only-here_1." in cutover("sync", missing="delete")
    assert Video.objects.get(pk="Video-_0003").deleted_at and not Video.objects.get(pk="Only-here_1").deleted_at
    cutover("verify", requests=40)


def test_what_is_deleted_or_curated_here_stays_so_and_is_no_difference(old_file):
    import_snapshot(old_file)
    Video.objects.get(pk="Video-_0002").delete_by("ada", "no use")
    categorise(Video.objects.get(pk="Video-_0004"), [("History", "Ancient")])
    cutover("freeze")
    cutover("sync")
    cutover("verify", requests=100)
    assert Video.objects.get(pk="Video-_0002").deleted_at
    assert list(Categorization.objects.filter(video="Video-_0004").values_list("category__name", flat=True)) == [
        "History"
    ]
    assert CutoverStep.objects.get(verb="verify").numbers["changed_here"] == 2


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE videos_video SET title = 'x' WHERE video_id = 'Video-_0005'",
        "DELETE FROM videos_categorization WHERE video_id = 'Video-_0005'",
        "UPDATE summaries_summary SET text = 'x' WHERE video_id = 'Video-_0005'",
        "UPDATE videos_video SET published_at = now() WHERE video_id = 'Video-_0005'",
    ],
)
def test_damage_that_nothing_explains_is_found(damage, folder):
    cutover("freeze")
    cutover("sync")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        cursor.execute(damage)
    assert "nothing explains" in refused("verify", code=2, requests=40)
    assert phase() == Phase.SYNCED
    report = json.loads(next((folder / "reports").glob("verify-*.json")).read_text())
    assert report["problems"] and not report["verify_sqlite"]["holds"]


def test_other_numbers_than_the_owner_expects_are_no_proof():
    cutover("freeze")
    cutover("sync")
    said = refused("verify", code=2, requests=20, expect_total=VIDEOS, expect_summaries=7, expect_categorised=67)
    assert f"7 videos with a summary were expected, and there are {VIDEOS}." in said
    assert "67 videos with a subcategory were expected, and there are 0." in said
    assert f"{VIDEOS} videos were expected" not in said
    cutover("verify", requests=20, expect_total=VIDEOS, expect_summaries=VIDEOS, expect_categorised=0)


def test_rows_that_cannot_be_taken_stop_it_until_somebody_accepts_them(old_file):
    execute(old_file, "UPDATE content SET published_at = 'some day' WHERE rowid = 1")
    cutover("freeze")
    assert "--accept-quarantine" in refused("sync", code=2)
    assert not Video.objects.exists()
    cutover("sync", accept_quarantine=True)
    assert Video.objects.count() == VIDEOS - 1


def test_an_unfrozen_library_has_no_proof():
    cutover("freeze")
    cutover("sync")
    cutover("verify", requests=20)
    cutover("unfreeze")
    assert phase() == Phase.PARALLEL
    as_if_rehearsed()
    assert "freeze" in refused("go-live")


# A rehearsal


def test_a_rehearsal_goes_the_whole_way_and_touches_nothing(old_file, folder, settings):
    make_video(90, title="Not in the old file")
    # Nobody is there to be told of what a rehearsal writes; it would not end if it tried.
    settings.DUAL_WRITE_MODE, settings.LEGACY_URL = True, "http://127.0.0.1:9"
    Flag.objects.create(name="DUAL_WRITE_MODE", value=True, changed_at=timezone.now(), changed_by="ada")
    before = file_sha256(old_file)
    said = cutover("rehearse", requests=40, expect_total=VIDEOS)
    assert "forward, back and forward again" in said
    assert list(Video.objects.values_list("title", flat=True)) == ["Not in the old file"]
    assert phase() == Phase.PARALLEL and file_sha256(old_file) == before
    assert not OutboxEntry.objects.exclude(video_id="video_00090").exists()
    done = CutoverStep.objects.get(verb="rehearse")
    steps = json.loads(Path(done.numbers["report"]).read_text())["steps"]
    way = ["freeze", "sync", "verify", "go-live"]
    assert [one["step"] for one in steps] == [*way, "writes", "rollback", *way]
    assert not scratch_databases() and not (folder / "rehearsals" / "work").exists()


def test_a_rehearsal_that_fails_says_why_and_leaves_no_database():
    assert "99 videos were expected" in refused("rehearse", code=2, requests=20, expect_total=99)
    assert not scratch_databases()
    assert CutoverStep.objects.get().outcome == "refused"


def test_one_scratch_database_at_a_time_and_what_is_left_over_goes():
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {prefix(connection)}left_by_a_killed_run")
        cursor.execute(f"CREATE DATABASE {PREFIX}0_of_another_library")
    make_video()
    own, before = connection.settings_dict["NAME"], set(scratch_databases())
    try:
        with scratch_database() as name:
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_database()")
                assert cursor.fetchone() == (name,)
            with turned_to(own):
                assert scratch_databases() == [name] and before.isdisjoint([name])
                with pytest.raises(ScratchInUse), scratch_database():
                    pass
        assert not scratch_databases() and Video.objects.exists()
        with connection.cursor() as cursor:
            cursor.execute("SELECT datname FROM pg_database WHERE datname = %s", [f"{PREFIX}0_of_another_library"])
            assert cursor.fetchone()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {PREFIX}0_of_another_library")


# The way back


def test_the_way_back_has_everything_that_was_written_here(client, folder, admin_client):
    go_live()
    assert send(client, "New-video_1", summary_text="A new text.", summary_variant="comprehensive").status_code == 200
    assert send(client, "Video-_0001", title="A better title").status_code == 200
    categorise(Video.objects.get(pk="Video-_0002"), [("History", "Ancient")])
    Video.objects.get(pk="Video-_0003").delete_by("ada", "no use")
    assert client.delete("/api/delete/Video-_0004", headers=TOKEN).status_code == 200
    said = cutover("rollback")
    assert "5 videos changed since" in said and phase() == Phase.PARALLEL
    assert current().frozen, "the old system would not have what is written here"
    numbers = CutoverStep.objects.get(verb="rollback").numbers
    back = Path(numbers["folder"])
    with closing(sqlite3.connect(f"file:{back / 'library.db'}?mode=ro", uri=True)) as file:
        titles = dict(file.execute("SELECT video_id, title FROM content"))
        pair = file.execute("SELECT category, subcategory FROM content WHERE video_id = 'Video-_0002'").fetchone()
        new = file.execute("SELECT summary_text FROM content_summaries WHERE content_id LIKE '%New-video_1'").fetchall()
    assert len(titles) == VIDEOS + 1 - 2 and not {"Video-_0003", "Video-_0004"} & titles.keys()
    assert titles["Video-_0001"] == "A better title" and titles["New-video_1"] == "Title of New-video_1"
    assert pair == ('["History"]', "Ancient") and new == [("A new text.",)]
    assert ".part" not in (back / "library.db.report.json").read_text()
    lines = [json.loads(line) for line in (back / "ingests.jsonl").read_text().splitlines()]
    assert [(line["method"], line["video_id"]) for line in lines] == [
        ("POST", "New-video_1"), ("POST", "Video-_0001"), ("DELETE", "Video-_0003"), ("DELETE", "Video-_0004"),
    ]  # fmt: skip
    assert json.loads(lines[0]["body"])["summary_text"] == "A new text."
    sums = dict(reversed(line.split("  ")) for line in (back / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: hashlib.sha256((back / name).read_bytes()).hexdigest() for name in sums}
    assert set(sums) == {"library.db", "library.db.report.json", "ingests.jsonl"}


def test_back_before_the_first_write_nothing_is_lost_and_pages_are_the_old_ones():
    go_live()
    assert "its file is complete" in cutover("rollback")
    assert not current().read_from_postgres


def test_back_without_having_gone_is_no_loss_either():
    cutover("freeze")
    cutover("sync")
    assert "never left" in cutover("rollback")
    assert phase() == Phase.PARALLEL and not current().frozen


def test_back_with_dual_write_on_all_the_time_the_old_file_has_everything(client, old_file):
    cutover("set", "DUAL_WRITE_MODE", "true")
    go_live()
    send(client, "New-video_1")
    Video.objects.get(pk="Video-_0003").delete_by("ada", "no use")
    assert "It has all 2 videos" in cutover("rollback")
    assert not current().read_from_postgres and not current().frozen
    with closing(sqlite3.connect(f"file:{old_file}?mode=ro", uri=True)) as file:
        keys = {key for (key,) in file.execute("SELECT video_id FROM content")}
    assert "New-video_1" in keys and "Video-_0003" not in keys and len(keys) == VIDEOS


def test_back_when_the_old_system_could_not_be_asked_it_is_told_and_asked_again(client):
    cutover("set", "DUAL_WRITE_MODE", "true")
    go_live()
    send(client, "New-video_1")
    call_command("dual_write", "flush", stdout=StringIO())
    assert Delivery.objects.update(parity="unknown") == 1
    assert "It has all 1 videos" in cutover("rollback")
    assert Delivery.objects.first().parity == "equal"


def test_back_when_the_old_system_says_something_else_its_file_is_not_trusted(client, old_file):
    cutover("set", "DUAL_WRITE_MODE", "true")
    go_live()
    execute(
        old_file,
        "CREATE TRIGGER spoil AFTER INSERT ON content BEGIN"
        " UPDATE content SET title = 'spoilt' WHERE rowid = new.rowid; END",
    )
    send(client, "New-video_1")
    execute(
        old_file,
        "CREATE TRIGGER spoil_again AFTER UPDATE OF title ON content WHEN new.title <> 'spoilt' BEGIN"
        " UPDATE content SET title = 'spoilt' WHERE rowid = new.rowid; END",
    )
    assert "Give it this file" in cutover("rollback")
    assert CutoverStep.objects.get(verb="rollback").numbers["differing"] == 1
    assert send(client, "New-video_2").status_code == 503, "the file that it is to be given would lack it"
    assert "unfreeze" in status().partition("Next:")[2]


def test_back_with_dual_write_on_too_late_the_file_of_the_way_back_is_needed(client):
    go_live()
    send(client, "New-video_1")
    cutover("set", "DUAL_WRITE_MODE", "true")
    send(client, "New-video_2")
    assert "Give it this file" in cutover("rollback")
    assert current().read_from_postgres, "the old file lacks a video"


def test_back_although_nothing_says_where_the_old_system_is(client, settings):
    cutover("set", "DUAL_WRITE_MODE", "true")
    go_live()
    settings.LEGACY_SQLITE = ""
    send(client, "New-video_1")
    assert "Give it this file" in cutover("rollback")
    assert phase() == Phase.PARALLEL


def test_back_that_comes_to_nothing_leaves_writes_as_they_were(client, folder):
    go_live()
    send(client, "New-video_1")
    (folder / "rollbacks").touch()
    refused("rollback", code=1)
    assert phase() == Phase.LIVE and not current().frozen
    cutover("freeze")
    refused("rollback", code=1)
    assert current().frozen


def test_back_when_the_old_file_is_but_a_copy_it_is_not_read(client, old_file, tmp_path, settings):
    cutover("set", "DUAL_WRITE_MODE", "true")
    go_live()
    copy = tmp_path / "copy.db"
    shutil.copyfile(old_file, copy)
    send(client, "Video-_0001", title="A better title")
    call_command("dual_write", "flush", stdout=StringIO())
    settings.LEGACY_SQLITE = str(copy)
    assert "It has all 1 videos" in cutover("rollback")
    assert current().read_from_postgres


def test_what_comes_from_the_old_system_is_not_told_to_it():
    cutover("set", "DUAL_WRITE_MODE", "true")
    cutover("freeze")
    cutover("sync")
    assert Video.objects.count() == VIDEOS and not OutboxEntry.objects.exists()
    make_video(91)
    assert OutboxEntry.objects.count() == 1, "it is, afterwards"


def test_forward_again_from_the_file_of_the_way_back(client, settings):
    go_live()
    send(client, "New-video_1", summary_text="A new text.", summary_variant="comprehensive")
    Video.objects.get(pk="Video-_0003").delete_by("ada", "no use")
    cutover("rollback")
    settings.LEGACY_SQLITE = str(Path(CutoverStep.objects.get(verb="rollback").numbers["folder"], "library.db"))
    go_live()
    assert Video.objects.live().count() == VIDEOS
    assert Video.objects.get(pk="Video-_0003").deleted_at


# The end


def drilled(age: timedelta = timedelta()) -> None:
    numbers = {"backup_made_at": (timezone.now() - age).isoformat()}
    CutoverStep.objects.create(by="ada", verb="restore_drill", outcome="done", message="", numbers=numbers)


def test_the_end_is_refused_until_nothing_leads_back_and_a_fresh_backup_was_tried(settings, tmp_path):
    go_live()
    settings.SQLITE_SNAPSHOT = "old.db"
    assert "LEGACY_SQLITE, SQLITE_SNAPSHOT" in refused("finalise", archive=tmp_path, yes=True)
    settings.LEGACY_SQLITE = settings.SQLITE_SNAPSHOT = ""
    OutboxEntry.objects.create(video_id="x", sequence=1)
    assert "1 changes were never told" in refused("finalise", archive=tmp_path, yes=True)
    assert "No backup was ever tried" in refused("finalise", archive=tmp_path, yes=True, abandon=True)
    drilled(timedelta(hours=30))
    assert "fresh" in refused("finalise", archive=tmp_path, yes=True, abandon=True)
    drilled()
    assert "is no folder" in refused("finalise", archive=tmp_path / "none", yes=True, abandon=True)
    assert "cannot be undone" in refused("finalise", archive=tmp_path)
    assert phase() == Phase.LIVE
    cutover("finalise", archive=tmp_path, yes=True, abandon=True)
    assert phase() == Phase.FINALISED and not OutboxEntry.objects.exists()
    assert "before" in cutover("finalise", archive=tmp_path, yes=True)
    assert "given up" in refused("rollback")


def test_the_archive_is_read_only_and_whole(settings, tmp_path, old_file):
    go_live()
    settings.LEGACY_SQLITE = ""
    drilled()
    cutover("finalise", archive=tmp_path, yes=True)
    [archive] = tmp_path.glob("ytv2-archive-*")
    files = {path for path in archive.rglob("*") if path.is_file()}
    assert all(not path.stat().st_mode & 0o222 for path in [archive, *archive.rglob("*")])
    sums = dict(reversed(line.split("  ")) for line in (archive / "SHA256SUMS").read_text().splitlines())
    assert {archive / name for name in sums} == files - {archive / "SHA256SUMS"}
    assert all(file_sha256(archive / name) == sha256 for name, sha256 in sums.items())
    [copy] = (archive / "snapshots").glob("*.db")
    with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as file:
        assert file.execute("SELECT count(*) FROM content").fetchone() == (VIDEOS,)
    assert "go-live\tdone\tada" in (archive / "steps.tsv").read_text()
    for path in [archive, *archive.rglob("*")]:
        path.chmod(0o755)


def test_the_check_shows_what_still_leads_to_the_old_system(settings, tmp_path, capsys):
    go_live()
    call_command("check", tags=["cutover"])
    assert "cutover.W001" in capsys.readouterr().err
    settings.LEGACY_SQLITE = ""
    drilled()
    cutover("finalise", archive=tmp_path, yes=True)
    call_command("check", tags=["cutover"])
    settings.LEGACY_URL = "http://old.example"
    Flag.objects.filter(name="DUAL_WRITE_MODE").update(value=True)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE videos_video DISABLE TRIGGER USER")
    try:
        with pytest.raises(CommandError) as found:
            call_command("check", tags=["cutover"])
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE videos_video ENABLE TRIGGER USER")
    assert all(f"cutover.{number}" in str(found.value) for number in ("E002", "E004", "E008"))
    for path in tmp_path.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)


def test_flags_are_set_for_all_and_only_where_they_have_something_to_work_with(settings):
    cutover("set", "READ_FROM_POSTGRES", "false")
    cutover("set", "DUAL_WRITE_MODE", "true")
    assert not current().read_from_postgres and current().dual_write
    settings.LEGACY_SQLITE = ""
    assert "needs LEGACY_URL or LEGACY_SQLITE" in refused("set", "SHADOW_READS", "true")
    cutover("set", "READ_FROM_POSTGRES", "true")
    assert current().read_from_postgres
    settings.LEGACY_URL = "http://old.example"
    state.enter(Phase.FINALISED)
    assert "was given up" in refused("set", "DUAL_WRITE_MODE", "true")
    cutover("set", "DUAL_WRITE_MODE", "false")
    cutover("freeze")
    assert "Next: manage.py cutover unfreeze" in status()


def test_the_first_value_of_a_flag_is_that_of_the_settings_and_then_the_database_holds(settings):
    settings.DUAL_WRITE_MODE = True
    assert current().dual_write
    assert Flag.objects.get(name="DUAL_WRITE_MODE").value, "triggers read rows"
    cutover("set", "DUAL_WRITE_MODE", "false")
    assert not current().dual_write


# Killed


def command(folder: Path, source: str, verb: str, *arguments: str) -> subprocess.Popen:
    environment = {
        "DATABASE_URL": database_url(), "CUTOVER_DIR": str(folder), "LEGACY_SQLITE": source, "LEGACY_URL": "",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "manage.py", "cutover", verb, "--by", "ada", *arguments],
        cwd=project.BASE_DIR, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def killed_at_some_moment(start: Callable[[], subprocess.Popen], seconds: float) -> None:
    process = start()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()


def completed(start: Callable[[], subprocess.Popen]) -> None:
    """The step is done in the end; the server lets go of a killed client's locks within a second or two."""
    for _ in range(30):
        process = start()
        said, _ = process.communicate()
        assert process.returncode in (0, 5), said
        if process.returncode == 0:
            return
    raise AssertionError(f"it never came to its end: {said}")


@pytest.mark.parametrize("verb", ["rehearse", "freeze", "sync", "verify", "go-live", "rollback", "finalise"])
def test_a_step_that_is_killed_is_run_again_with_the_same_end(verb, folder, old_file, client, tmp_path):
    archive = tmp_path / "archives"
    archive.mkdir()
    before: list[tuple[str, dict[str, Any]]] = [
        ("freeze", {}), ("sync", {}), ("verify", {"requests": 20}), ("go-live", {}),
    ]  # fmt: skip
    for earlier, options in before if verb in ("rollback", "finalise") else before[: names(before).get(verb, 0)]:
        if earlier == "go-live":
            as_if_rehearsed()
        cutover(earlier, **options)
    if verb == "go-live":
        as_if_rehearsed()
    if verb in ("rollback", "finalise"):
        send(client, "New-video_1")
        drilled()
    arguments = {
        "rehearse": ["--requests", "20"], "verify": ["--requests", "20"],
        "finalise": ["--archive", str(archive), "--yes"],
    }.get(verb, [])  # fmt: skip
    source = "" if verb == "finalise" else str(old_file)
    moments = random.Random(5)

    def start() -> subprocess.Popen:
        return command(folder, source, verb, *arguments)

    for _ in range(KILLS):
        killed_at_some_moment(start, moments.uniform(0.8, 12 if verb == "rehearse" else 2.5))
        assert Video.objects.live().count() in (0, VIDEOS, VIDEOS + 1)
    completed(start)
    expected = {
        "rehearse": (Phase.PARALLEL, False, 0), "freeze": (Phase.FROZEN, True, 0), "sync": (Phase.SYNCED, True, VIDEOS),
        "verify": (Phase.VERIFIED, True, VIDEOS), "go-live": (Phase.LIVE, False, VIDEOS),
        "rollback": (Phase.PARALLEL, True, VIDEOS + 1), "finalise": (Phase.FINALISED, False, VIDEOS + 1),
    }[verb]  # fmt: skip
    assert (phase(), current().frozen, Video.objects.live().count()) == expected
    assert CutoverStep.objects.filter(verb=verb, outcome="done").exists()
    if verb == "rollback":
        folders = [path for path in (folder / "rollbacks").iterdir() if not path.name.startswith(".")]
        assert folders and all((path / "SHA256SUMS").is_file() for path in folders)
    if verb == "finalise":
        assert all((path / "SHA256SUMS").is_file() for path in archive.glob("ytv2-archive-*"))
        for path in [archive, *archive.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


def names(steps: list[tuple[str, dict[str, Any]]]) -> dict[str, int]:
    return {name: number for number, (name, _) in enumerate(steps)}
