"""Dual write: what is written and deleted here arrives in the old system, and whoever writes does not notice."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from ingest.cutover import background, dual_write, legacy
from ingest.cutover.comparison import Database, Snapshot, compare
from ingest.cutover.dual_write import NO_ANSWER, Dashboard, NotConfigured, deliver_due, waiting
from ingest.cutover.flags import Flags, set_flag
from ingest.cutover.snapshot_library import SnapshotLibrary
from ingest.models import Delivery, FlagName, OutboxEntry
from ingest.scratch import turned_to
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.schema import Generation
from ingest.sqlite.synthetic import write_snapshot
from ingest.tokens import create_token
from summaries.models import Summary
from videos import taxonomy
from videos.curation import decide
from videos.models import Category, Video

from .factories import categorise, make_video, summarise
from .gunicorn_server import database_url, gunicorn, wait_for
from .old_dashboard import SECRET, OldDashboard, old_dashboard
from .test_worker_routes import KEY, Worker

VIDEOS = 12


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> Callable[[Generation], Path]:
    """A library of the old dashboard of each generation, written once."""
    folder = tmp_path_factory.mktemp("originals")

    def original(generation: Generation) -> Path:
        path = folder / f"{generation}.db"
        if not path.exists():
            write_snapshot(path, VIDEOS, 1, generation)
        return path

    return original


@pytest.fixture
def library(originals, tmp_path, transactional_db) -> Path:
    """The old file of the categorised generation, which is imported here as well."""
    path = Path(shutil.copyfile(originals(Generation.CATEGORISED), tmp_path / "library.db"))
    import_snapshot(path, accept_quarantine=True)
    return path


@pytest.fixture
def worker(transactional_db) -> Worker:
    return Worker(create_token("worker", ["ingest", "delete", "read"]))


@pytest.fixture
def on(transactional_db) -> None:
    set_flag(FlagName.DUAL_WRITE_MODE, True, "ada")


@pytest.fixture
def dashboard(library, settings, on) -> Iterator[OldDashboard]:
    """The old dashboard over its file, with dual write to it."""
    with old_dashboard(library) as running:
        settings.LEGACY_URL, settings.SYNC_SECRET = running.url, SECRET
        yield running


@pytest.fixture
def file(library, settings, on) -> Path:
    """The old file alone, with dual write into it."""
    settings.LEGACY_SQLITE = str(library)
    return library


def report_many(worker: Worker, count: int) -> list[str]:
    """New videos by the worker; their keys in the order of writing."""
    keys = [f"New-_{number:06d}" for number in range(count)]
    for number, key in enumerate(keys):
        worker.report(video_id=key, title=f"New {number}", canonical_url=f"https://www.youtube.com/watch?v={key}")
    return keys


def flush(*options: str) -> str:
    out = StringIO()
    call_command("dual_write", "flush", *options, stdout=out)
    return out.getvalue()


def parities() -> set[str]:
    return set(Delivery.objects.values_list("parity", flat=True))


def arrived(dashboard: OldDashboard) -> list[str]:
    return [name for _, name in dashboard.received()]


# What arrives


def test_a_new_video_a_change_a_persons_categories_and_a_delete_arrive(dashboard, worker):
    worker.report()
    assert deliver_due().delivered == 1
    item = dashboard.report(KEY)
    assert (item["title"], item["summary"]["text"]) == ("A title", "What the video says.")
    assert item["analysis"]["categories"] == [{"category": "Technology", "subcategories": ["Web Development"]}]

    known = Video.objects.exclude(pk=KEY).exclude(legacy_id="").first()
    worker.client.put(
        f"/api/content/{known.pk}", json.dumps({"title": "Another"}), "application/json", headers=worker.headers
    )
    decide({KEY: [("History", "World War I (WWI)"), ("Education", None)]}, "ada")
    assert deliver_due().delivered == 2
    assert dashboard.report(known.legacy_id)["title"] == "Another"
    analysis = dashboard.report(KEY)["analysis"]
    assert analysis["category"] == ["History", "Education"]
    assert analysis["categories"] == [{"category": "History", "subcategories": ["World War I (WWI)"]}]

    known.delete_by("ada", "twice")
    assert deliver_due().delivered == 1
    assert dashboard.report(known.legacy_id) is None
    assert dashboard.received()[-1] == ["delete", known.legacy_id]
    assert parities() == {"equal"} and not waiting()
    assert list(Delivery.objects.order_by("pk").values_list("action", flat=True)) == ["write"] * 3 + ["delete"]


def test_every_video_of_the_library_is_the_same_there_after_it_was_sent(dashboard):
    Video.objects.update(view_count=7)
    assert "12 sent to" in flush() and parities() == {"equal"}
    with closing(sqlite3.connect(dashboard.path)) as file:
        assert file.execute("SELECT DISTINCT view_count FROM content").fetchall() == [(7,)]


def test_whoever_writes_it_is_told(dashboard):
    video = make_video(1, title="By the ORM")
    assert OutboxEntry.objects.get().pk == video.pk
    told = []

    def is_told() -> bool:
        """Whether this was one more change, of this video."""
        told.append(OutboxEntry.objects.get(pk=video.pk).sequence)
        return len(told) < 2 or told[-1] > told[-2]

    assert is_told()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE videos_video SET title = 'By SQL' WHERE video_id = %s", [video.pk])
    assert is_told()
    categorise(video, [("History", "Past")])
    assert is_told()
    summarise(video, "A text")
    assert is_told()
    Summary.objects.filter(video=video).delete()
    assert is_told()
    taxonomy.rename(Category.objects.get(name="History"), "Times gone by", "ada")
    assert is_told()
    deliver_due()
    assert dashboard.report(f"yt:{video.pk}")["analysis"]["category"] == ["Times gone by"]
    assert not waiting()


def test_nothing_is_noted_while_it_is_off_or_unwanted_or_rolled_back(library):
    video = make_video(1)
    assert not waiting()
    set_flag(FlagName.DUAL_WRITE_MODE, True, "ada")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ytv2.outbox = 'off'")
        video.save()
        summarise(video, "A text")
        assert not waiting()
    with suppress(ZeroDivisionError), transaction.atomic():
        video.save()
        assert waiting() == 1
        raise ZeroDivisionError
    assert not waiting()
    video.save()
    assert waiting() == 1
    set_flag(FlagName.DUAL_WRITE_MODE, False, "ada")
    make_video(2)
    assert waiting() == 1


def test_many_changes_of_one_video_are_one_entry_that_keeps_the_first_time(on):
    video = make_video(1)
    first = OutboxEntry.objects.get()
    OutboxEntry.objects.update(attempts=4, last_error="x", next_attempt_at=timezone.now())
    video.save()
    entry = OutboxEntry.objects.get()
    assert entry.sequence > first.sequence and entry.enqueued_at == first.enqueued_at
    assert (entry.attempts, entry.last_error) == (0, "")


def test_a_row_that_is_gone_without_a_delete_is_no_delete_there(dashboard):
    known = Video.objects.exclude(legacy_id="").first()
    known.save()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL ytv2.allow = 'forget'")
        cursor.execute("SET LOCAL ytv2.curator = 'ada'")
        for table in ("videos_review", "videos_categorization", "summaries_summary", "videos_video"):
            cursor.execute(f"DELETE FROM {table} WHERE video_id = %s", [known.pk])
    deliver_due()
    assert not waiting() and not dashboard.received() and dashboard.report(known.legacy_id)


# The old system is down, slow, or broken


def test_the_worker_does_not_notice_an_old_system_that_is_down_and_it_catches_up_in_order(dashboard, worker):
    dashboard.stop()
    keys = report_many(worker, 5)
    assert waiting() == 5
    sent = deliver_due()
    assert sent.delivered == 0 and sent.no_answer
    entry = OutboxEntry.objects.get(attempts__gt=0)
    assert entry.pk == keys[0] and entry.last_error.startswith(NO_ANSWER)
    # While its pause lasts nothing is tried, whatever waits.
    report_many(worker, 6)
    deliver_due()
    assert list(OutboxEntry.objects.filter(attempts__gt=0)) == [entry]
    dashboard.start()
    assert "6 sent to" in flush()
    assert arrived(dashboard) == [*keys, "New-_000005"]
    assert parities() == {"equal"} and not waiting()
    assert Delivery.objects.get(video_id=keys[0]).attempts == 2


@pytest.mark.parametrize("mode", ["slow", "500", "hang"])
def test_the_worker_does_not_notice_an_old_system_that_is_slow_or_broken(dashboard, worker, mode, monkeypatch):
    monkeypatch.setattr(dual_write, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(dual_write, "PROBE_SECONDS", 1)
    dashboard.set_mode(mode)
    keys = report_many(worker, 3)
    worker.delete(keys[1])
    assert dashboard.received() == [] and waiting() == 3
    assert Summary.objects.filter(video__in=keys).count() == 3
    sent = deliver_due()
    if mode != "slow":
        assert not sent.delivered and waiting() == 3 and OutboxEntry.objects.filter(attempts__gt=0).count() == 1
        dashboard.set_mode("ok")
        flush()
    assert not waiting() and parities() == {"equal"}
    assert arrived(dashboard) == [keys[0], keys[2], f"yt:{keys[1]}"]


@pytest.mark.parametrize(("mode", "code"), [("refuse", "400"), ("break", "500")])
def test_one_video_that_is_refused_does_not_hold_up_the_others(dashboard, worker, mode, code):
    keys = report_many(worker, 4)
    dashboard.set_mode(mode, keys[1])
    sent = deliver_due()
    assert (sent.delivered, sent.refused, sent.no_answer) == (3, 1, "")
    entry = OutboxEntry.objects.get()
    assert entry.pk == keys[1] and entry.attempts == 1 and code in entry.last_error
    assert entry.next_attempt_at > entry.enqueued_at
    with pytest.raises(CommandError) as refused:
        flush("--seconds", "5")
    assert refused.value.returncode == 2 and keys[1] in str(refused.value)
    dashboard.set_mode("ok")
    flush()
    assert not waiting() and dashboard.report(keys[1])


def test_a_system_that_breaks_down_on_every_write_is_asked_a_few_times_only(dashboard, worker):
    report_many(worker, 8)
    with closing(sqlite3.connect(dashboard.path)) as file:
        file.execute("DROP TABLE content_summaries")
        file.execute("CREATE VIEW content_summaries AS SELECT 1 AS content_id, 2 AS summary_text, 3 AS summary_type")
        file.commit()
    sent = deliver_due()
    assert sent.no_answer and not sent.delivered
    assert OutboxEntry.objects.filter(attempts__gt=0).count() == dual_write.FAULTS_IN_A_ROW


def test_a_wrong_secret_stops_the_run_and_says_what_to_set(dashboard, worker, settings):
    settings.SYNC_SECRET = "another"
    report_many(worker, 3)
    with pytest.raises(CommandError) as refused:
        flush("--seconds", "1")
    assert refused.value.returncode == 2 and "Set SYNC_SECRET" in str(refused.value)
    assert waiting() == 3


def test_pauses_double_up_to_five_minutes():
    assert [round(dual_write.pause(number) / 2**number, 1) <= 1 for number in range(9)] == [True] * 9
    assert 0.75 <= dual_write.pause(0) <= 1
    assert 225 <= dual_write.pause(30) <= 300


# What an interrupted or a second sender does


def command(*arguments: str, url: str) -> subprocess.Popen[bytes]:
    """`manage.py dual_write …` as a process of its own on the database of the tests."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "dual_write", *arguments],
        cwd=django_settings.BASE_DIR,
        env=os.environ
        | {"DATABASE_URL": database_url(), "LEGACY_URL": url, "SYNC_SECRET": SECRET, "LEGACY_SQLITE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_flush_that_is_killed_is_made_up_for_by_the_next(dashboard, worker):
    keys = report_many(worker, 6)
    dashboard.set_mode("slow")
    process = command("flush", url=dashboard.url)
    assert wait_for(lambda: len(dashboard.received()) >= 2 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL and waiting()
    dashboard.set_mode("ok")
    flush()
    assert not waiting() and parities() == {"equal"}
    assert list(dict.fromkeys(arrived(dashboard))) == keys
    assert len(arrived(dashboard)) <= len(keys) + 1


def test_two_flushes_at_once_send_everything_once(dashboard, worker):
    keys = report_many(worker, 3)
    dashboard.set_mode("slow")
    processes = [command("flush", url=dashboard.url) for _ in range(2)]
    for process in processes:
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0, (out, error)
    assert arrived(dashboard) == keys and not waiting()


def test_a_flush_beside_another_sender_says_so(dashboard, worker):
    report_many(worker, 1)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [dual_write.SENDER_LOCK])
        assert deliver_due().is_locked
        with pytest.raises(CommandError) as locked:
            flush("--seconds", "0.1")
        assert locked.value.returncode == 5
    finally:
        other.close()
    flush()


def test_a_change_while_its_delivery_is_under_way_goes_again(dashboard, worker, monkeypatch):
    worker.report()

    class Meanwhile(Dashboard):
        """Somebody writes after the video was sent."""

        def write(self, stored: dual_write.Stored) -> None:
            assert not connection.in_atomic_block
            super().write(stored)
            if stored.record.title == "A title":
                Video.objects.filter(pk=KEY).update(title="A later title")

    monkeypatch.setattr(dual_write, "old_system", lambda: Meanwhile(dashboard.url))
    assert deliver_due().delivered == 1
    assert waiting() == 1 and dashboard.report(KEY)["title"] == "A title"
    assert deliver_due().delivered == 1
    assert not waiting() and dashboard.report(KEY)["title"] == "A later title"
    assert parities() == {"equal"}


def test_what_the_old_system_does_not_keep_is_logged_by_name(dashboard, worker, caplog):
    with closing(sqlite3.connect(dashboard.path)) as file:
        file.execute(
            "CREATE TRIGGER shout AFTER INSERT ON content BEGIN"
            " UPDATE content SET title = upper(title) WHERE id = NEW.id; END"
        )
        file.commit()
    worker.report()
    assert deliver_due().different == 1
    delivery = Delivery.objects.get()
    assert delivery.parity == "different"
    assert delivery.differences == [{"field": "title", "old": "A TITLE", "new": "A title"}]
    assert f"video {KEY} differs in the old system: title" in caplog.text
    assert not waiting()


# Into the file


@pytest.mark.parametrize("generation", list(Generation))
def test_changes_arrive_in_the_file_of_every_generation(originals, tmp_path, settings, worker, generation):
    path = Path(shutil.copyfile(originals(generation), tmp_path / "library.db"))
    import_snapshot(path, accept_quarantine=True)
    set_flag(FlagName.DUAL_WRITE_MODE, True, "ada")
    settings.LEGACY_SQLITE = str(path)
    untouched, changed, gone = Video.objects.exclude(legacy_id="").order_by("pk")[:3]
    with closing(sqlite3.connect(path)) as file:
        file.execute("ALTER TABLE content ADD COLUMN odd")
        file.execute("UPDATE content SET odd = x'00ff'")
        file.execute("INSERT INTO content_files (content_id, file_type) VALUES (?, 'mp3')", (gone.legacy_id,))
        file.commit()
        before = file.execute("SELECT * FROM content WHERE id = ?", (untouched.legacy_id,)).fetchone()

    worker.report()
    worker.report(summary_variants=[{"variant": "comprehensive", "text": "Said anew."}])
    worker.report(video_id=changed.pk, title="Another title", processed_at="2030-01-01T00:00:00Z")
    worker.delete(gone.pk)
    untouched.save()
    assert "4 sent to" in flush() and not waiting()
    assert parities() == {"equal"}, list(Delivery.objects.values_list("differences", flat=True))

    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT * FROM content WHERE id = ?", (untouched.legacy_id,)).fetchone() == before
        title, odd = file.execute("SELECT title, odd FROM content WHERE id = ?", (changed.legacy_id,)).fetchone()
        assert (title, odd) == ("Another title", b"\x00\xff")
        for table, column in (("content", "id"), ("content_summaries", "content_id"), ("content_files", "content_id")):
            counted = f"SELECT count(*) FROM {table} WHERE {column} = ?"
            assert file.execute(counted, (gone.legacy_id,)).fetchone() == (0,), table
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    unheld = {
        Generation.FIRST: {
            "id", "summary_variants[0].revision", "analysis.subcategory", "analysis.categories", "subcategories_json",
        },
        Generation.CATEGORISED: {"id", "summary_variants[0].revision"},
        Generation.LAST: {"id"},
    }[generation]  # fmt: skip
    details = [
        f"/api/reports/{key}" for key in Video.objects.live().exclude(pk=changed.pk).values_list("pk", flat=True)
    ]
    found = compare(Snapshot(SnapshotLibrary(path)), Database(), details)
    assert found.requests == VIDEOS - 1 and {one.path for one in found.differences} <= unheld, found.differences
    once = path.read_bytes()
    Video.objects.get(pk=changed.pk).save()
    flush()
    with closing(sqlite3.connect(path)) as file:
        dump = list(file.iterdump())
    path.write_bytes(once)
    with closing(sqlite3.connect(path)) as file:
        assert list(file.iterdump()) == dump


def test_revisions_are_added_to_the_files_table_of_variants(originals, tmp_path, settings, worker, on):
    path = Path(shutil.copyfile(originals(Generation.LAST), tmp_path / "library.db"))
    settings.LEGACY_SQLITE = str(path)
    for text in ("One.", "Two.", "One."):
        worker.report(summary_variants=[{"variant": "key-points", "text": text}])
        flush()
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute(
            "SELECT revision, content, is_latest FROM summary_variants WHERE video_id = ? ORDER BY 1", (KEY,)
        ).fetchall()
        flat = file.execute("SELECT summary_text FROM content_summaries WHERE content_id = ?", (f"yt:{KEY}",))
        assert flat.fetchall() == [("One.",)]
    assert rows == [(1, "One.", 0), (2, "Two.", 0), (3, "One.", 1)]
    assert parities() == {"equal"}


def test_a_file_that_is_locked_or_missing_is_tried_again_and_never_made(file, worker, monkeypatch):
    monkeypatch.setattr(legacy, "BUSY_SECONDS", 0)
    report_many(worker, 2)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in deliver_due().no_answer
    away = file.rename(file.with_name("away.db"))
    sent = deliver_due(ignore_backoff=True)
    assert "cannot be written" in sent.no_answer and not file.exists()
    away.rename(file)
    flush()
    assert not waiting() and parities() == {"equal"}


# The guard


@pytest.fixture
def guarded(tmp_path, settings) -> Iterator[Path]:
    path = tmp_path / "guarded.db"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE content (id)")
    settings.LEGACY_SQLITE = str(path)
    legacy.install_guard()
    yield path
    settings.LEGACY_SQLITE = ""
    legacy.install_guard()


def by_descriptor(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.remove(path.name, dir_fd=folder)
    finally:
        os.close(folder)


def through_a_link(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    link.write_bytes(b"")


WRITES: dict[str, Callable[[Path], Any]] = {
    "open": lambda path: path.open("r+b"),
    "write": lambda path: path.write_bytes(b""),
    "append": lambda path: open(str(path), "a"),  # noqa: PTH123, SIM115
    "os.open": lambda path: os.open(os.fsencode(path), os.O_RDWR),
    "wal": lambda path: Path(f"{path}-wal").write_bytes(b""),
    "journal": lambda path: Path(f"{path}-journal").write_bytes(b""),
    "link": through_a_link,
    "relative": lambda path: Path(os.path.relpath(path)).write_bytes(b""),
    "remove": lambda path: path.unlink(),
    "remove in a folder": by_descriptor,
    "rename": lambda path: path.rename(path.with_name("other")),
    "replace": lambda path: path.with_name("other").replace(path),
    "copy": lambda path: shutil.copyfile(__file__, path),
    "truncate": lambda path: os.truncate(path, 0),
    "rmtree": lambda path: shutil.rmtree(path.parent),
    "sqlite": lambda path: sqlite3.connect(path),
    "sqlite bytes": lambda path: sqlite3.connect(os.fsencode(path)),
    "sqlite uri": lambda path: sqlite3.connect(f"file:{path}?mode=rwc", uri=True),
    "sqlite uri with a host": lambda path: sqlite3.connect(f"file://localhost{path}", uri=True),
}


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
def test_nothing_else_may_write_the_old_file(guarded, write):
    guarded.with_name("other").write_bytes(b"")
    before = guarded.read_bytes()
    with pytest.raises(PermissionError, match="is the old library"):
        write(guarded)
    assert guarded.read_bytes() == before


def test_reading_is_free_and_dual_write_may_write(guarded):
    assert guarded.read_bytes()
    with closing(sqlite3.connect(f"file:{guarded}?mode=ro", uri=True)) as file:
        assert file.execute("SELECT count(*) FROM content").fetchone() == (0,)
    with legacy.writable(guarded) as file:
        file.execute("INSERT INTO content VALUES (1)")
    with pytest.raises(PermissionError):
        guarded.write_bytes(b"")
    with pytest.raises(ZeroDivisionError), legacy.writable(guarded) as file:
        file.execute("INSERT INTO content VALUES (2)")
        raise ZeroDivisionError
    with closing(sqlite3.connect(f"file:{guarded}?mode=ro", uri=True)) as file:
        assert file.execute("SELECT count(*) FROM content").fetchone() == (1,)


def test_the_guard_stands_in_every_process_that_names_the_file(tmp_path):
    path = tmp_path / "library.db"
    path.touch()
    code = f"import django; django.setup(); open({str(path)!r}, 'w')"
    environment = {
        "DJANGO_SETTINGS_MODULE": "ytv2.settings",
        "DATABASE_URL": database_url(),
        "LEGACY_SQLITE": str(path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=django_settings.BASE_DIR, env=os.environ | environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1 and "is the old library" in done.stderr


# In the background


def test_the_thread_goes_on_after_a_fault_and_a_lost_connection(on, monkeypatch, caplog):
    monkeypatch.setattr(background, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(background, "running", None)
    ended, seen = threading.Event(), []

    def job(flags: Flags) -> None:
        assert flags.dual_write
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            seen.append(cursor.fetchone()[0])
        if len(seen) == 1:
            raise RuntimeError("a fault")

    thread = background.start([job], ended)
    try:
        assert background.start([job]) is thread
        assert wait_for(lambda: len(seen) > 2)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [seen[-1]])
        assert wait_for(lambda: len(set(seen)) == 2)
    finally:
        ended.set()
        thread.join(20)
    assert not thread.is_alive()
    assert caplog.text.count("test_dual_write.job: RuntimeError: a fault") == 1


def test_a_database_that_is_away_is_logged_once_and_when_it_is_back(on, caplog):
    said: dict[str, str] = {}
    with turned_to("there_is_no_such_database"):
        for _ in range(3):
            assert background.turn(background.JOBS, said) == background.IDLE_PAUSE_SECONDS
    assert background.turn(background.JOBS, said) == background.PAUSE_SECONDS
    assert caplog.text.count("the database does not answer") == 1 and "Traceback" not in caplog.text
    assert "flags: it works again" in caplog.text
    # Nothing says where the old system is.
    assert "dual_write.work: Nothing says where" in caplog.text


def test_the_site_delivers_by_itself(dashboard, worker, tmp_path):
    with gunicorn(tmp_path / "media", "--workers", "2", LEGACY_URL=dashboard.url, SYNC_SECRET=SECRET, LEGACY_SQLITE=""):
        worker.report()
        assert wait_for(lambda: dashboard.report(KEY))
        assert wait_for(lambda: not waiting())
        worker.delete(KEY)
        assert wait_for(lambda: dashboard.report(KEY) is None)
        assert wait_for(lambda: not waiting())
    assert parities() == {"equal"}


# What people see


def test_the_status_says_what_waits_why_and_what_to_do(dashboard, worker):
    def said() -> str:
        out = StringIO()
        call_command("dual_write", "status", stdout=out)
        return out.getvalue()

    assert "Dual write:  on" in said() and "told of everything" in said()
    report_many(worker, 2)
    assert "Waiting:     2, the oldest since" in said() and "dual_write flush" in said()
    dashboard.stop()
    deliver_due()
    assert "tried once: No answer:" in said() and "see to the last error" in said()
    dashboard.start()
    flush()
    assert "2 written, 0 deleted" in said() and "2 the same, 0 different, 0 not known" in said()
    set_flag(FlagName.DUAL_WRITE_MODE, False, "ada")
    assert "told of everything" not in said() and "cutover set DUAL_WRITE_MODE true" in said()


def test_without_an_old_system_nothing_is_lost_and_the_commands_say_what_to_set(on):
    make_video(1)
    with pytest.raises(NotConfigured):
        deliver_due()
    with pytest.raises(CommandError) as refused:
        flush()
    assert refused.value.returncode == 4 and "LEGACY_URL" in str(refused.value)
    assert waiting() == 1


def test_of_what_was_told_long_ago_the_newest_of_each_video_is_kept(file, worker):
    long_ago = timezone.now() - timedelta(days=40)
    worker.report()
    deliver_due()
    told = Delivery.objects.get()
    for video_id in (told.video_id, "another"):
        for _ in range(2):
            Delivery.objects.create(
                at=long_ago, video_id=video_id, sequence=1, action="write", attempts=1, parity="equal"
            )
    Delivery.objects.filter(pk=told.pk).update(at=long_ago)
    worker.report(title="A better title", processed_at="2030-01-01T00:00:00Z")
    deliver_due()
    kept = sorted(Delivery.objects.values_list("video_id", flat=True))
    assert kept == sorted([told.video_id, "another", "another"])


def test_the_admin_shows_what_waits_and_what_was_told(dashboard, worker, admin_client):
    worker.report()
    deliver_due()
    Delivery.objects.update(parity="different", differences=[{"field": "title", "old": "<b>", "new": "A title"}])
    report_many(worker, 1)
    OutboxEntry.objects.update(last_error="<i>refused")
    for model, said in ((OutboxEntry, "&lt;i&gt;refused"), (Delivery, "title")):
        address = f"admin:ingest_{model._meta.model_name}"
        answer = admin_client.get(reverse(f"{address}_changelist"))
        assert answer.status_code == 200 and said in answer.content.decode()
        row = admin_client.get(reverse(f"{address}_change", args=[model.objects.first().pk]))
        assert row.status_code == 200 and "<b>" not in row.content.decode().partition("differences")[2][:500]
        assert admin_client.post(reverse(f"{address}_delete", args=[model.objects.first().pk])).status_code == 403


@pytest.mark.parametrize("secret", ["", "two\nlines", "☃"])
def test_a_secret_that_no_request_can_carry_is_a_sentence(settings, secret):
    settings.LEGACY_URL, settings.SYNC_SECRET = "http://127.0.0.1:9", secret
    with pytest.raises(CommandError) as refused:
        call_command("dual_write", "flush", stdout=StringIO())
    assert refused.value.returncode == 4 and "SYNC_SECRET" in str(refused.value)
