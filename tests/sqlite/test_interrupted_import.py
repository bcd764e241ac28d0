"""An import that is killed, stopped or raced: readers see all or nothing, and the next run completes it."""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from ingest.models import RowOutcome, Snapshot, VaultRow
from ingest.sqlite import importer
from ingest.sqlite.digests import TableDigest
from ingest.sqlite.importer import import_snapshot
from ingest.sqlite.schema import Generation
from ingest.sqlite.synthetic import write_snapshot
from summaries.models import Summary, SummaryText
from videos.models import Categorization, Origin, Pair, Video
from videos.upsert import Action, VideoRecord

from .test_import import library, start

# `YTV2_KILLS=50 make test ARGS="-k killed"` takes longer, for more moments.
KILLS = int(os.environ.get("YTV2_KILLS", "4"))
VIDEOS = int(os.environ.get("YTV2_KILLED_VIDEOS", "400"))


@pytest.fixture(scope="module")
def large_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("large") / "library.db"
    write_snapshot(path, VIDEOS, 7, Generation.LAST)
    return path


def digests() -> dict[str, str]:
    """One digest for each table of the vault, and for what readers see."""
    found = {}
    for table in VaultRow.objects.order_by("table").values_list("table", flat=True).distinct():
        digest = TableDigest()
        for key, sha256 in VaultRow.objects.filter(table=table).order_by("key").values_list("key", "sha256"):
            digest.add(key, bytes(sha256))
        found[table] = digest.hexdigest()
    found["outcomes"] = str(list(RowOutcome.objects.values_list("table", "key", "outcome", "video_id")))
    return found | {name: repr(rows) for name, rows in library().items()}


def wait_until_unlocked() -> None:
    """The server lets go of a killed client's lock within a second or two."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as session:
        session.execute("SET lock_timeout = '20s'")
        session.execute("SELECT pg_advisory_lock(%s)", [importer.LOCK])


def empty_database() -> None:
    call_command("flush", "--no-input", verbosity=0)


class Reader(threading.Thread):
    """Counts what the dashboard would find, again and again, as another client."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, int, int]] = set()
        self.stopped = threading.Event()

    def run(self) -> None:
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as session:
            while not self.stopped.is_set():
                query = (
                    "SELECT (SELECT count(*) FROM videos_video), (SELECT count(*) FROM summaries_summary),"
                    " (SELECT count(DISTINCT video_id) FROM videos_categorization)"
                )
                self.seen.add(session.execute(query).fetchone())
                time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_an_import_killed_at_any_moment_ends_as_an_undisturbed_one(large_file):
    started = time.monotonic()
    import_snapshot(large_file)
    undisturbed_seconds = time.monotonic() - started
    undisturbed = digests()
    whole = (Video.objects.count(), Summary.objects.count(), Categorization.objects.values("video").distinct().count())
    moments = random.Random(11)
    vaulted = set()
    for _ in range(KILLS):
        empty_database()
        reader = Reader()
        reader.start()
        process = start("import_sqlite", large_file)
        try:
            # A process takes about a second to begin.
            time.sleep(0.8 + moments.random() * undisturbed_seconds * 1.3)
        finally:
            process.kill()
            process.communicate()
        wait_until_unlocked()
        vaulted.add(VaultRow.objects.count())
        import_snapshot(large_file)
        reader.stopped.set()
        reader.join()
        assert digests() == undisturbed
        assert reader.seen <= {(0, 0, 0), whole}, "a reader saw half of an import"
    assert KILLS < 10 or len(vaulted) > 2, "the moments were all alike"


@pytest.mark.django_db(transaction=True)
def test_an_interrupted_vault_goes_on_where_it_was(large_file):
    """Also one batch at a time: no row is read twice, none is left out."""

    def stop(stage: str, rows: int) -> None:
        if stage == "vault":
            raise KeyboardInterrupt

    before = -1
    while VaultRow.objects.count() > before and not Snapshot.objects.filter(vaulted_at__isnull=False).exists():
        before = VaultRow.objects.count()
        keys = set(VaultRow.objects.values_list("pk", flat=True))
        with pytest.raises(KeyboardInterrupt):
            import_snapshot(large_file, stop)
        assert keys < set(VaultRow.objects.values_list("pk", flat=True)), "what was there stays"
        if VaultRow.objects.count() > 1000:
            break
    report = import_snapshot(large_file)
    assert (
        sum(table.rows for table in report.tables.values()) == VaultRow.objects.exclude(table="sqlite_schema").count()
    )
    assert Video.objects.count() == VIDEOS


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.django_db(transaction=True)
def test_a_stopped_import_says_that_it_can_go_on(large_file, stop):
    process = start("import_sqlite", large_file)
    while not VaultRow.objects.exists():
        time.sleep(0.01)
    process.send_signal(stop)
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (75, ""), errors
    assert "the same command goes on where it was" in errors and "Traceback" not in errors
    assert not Video.objects.exists()
    assert import_snapshot(large_file).videos["created"] == VIDEOS


@pytest.mark.django_db(transaction=True)
def test_a_dry_run_does_everything_and_leaves_nothing(large_file, write_file, video):
    report = import_snapshot(large_file, dry_run=True)
    assert report.ending == "dry_run" and report.videos["created"] == VIDEOS
    assert not Video.objects.exists() and not VaultRow.objects.exists() and not Snapshot.objects.exists()
    real = import_snapshot(large_file)
    assert (report.tables, report.rules, report.videos) == (real.tables, real.rules, real.videos)


# Races -------------------------------------------------------------------------------------------------


def in_threads(*works: Callable[[], None]) -> None:
    """Run works at the same time, each with a connection of its own; raises what any of them raised."""
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        try:
            barrier.wait()
            work()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.django_db(transaction=True)
def test_of_two_imports_at_once_both_end_and_the_library_is_whole(large_file, monkeypatch):
    import_snapshot(large_file)
    expected = digests()
    empty_database()
    outcomes = []

    def run() -> None:
        try:
            outcomes.append(import_snapshot(large_file).ending)
        except importer.ImportLocked:
            outcomes.append("locked")

    monkeypatch.setattr(importer, "LOCK_WAIT_SECONDS", 0)
    in_threads(run, run)
    assert sorted(outcomes) == ["imported", "locked"]
    assert digests() == expected


@pytest.mark.django_db(transaction=True)
def test_an_import_beside_a_thousand_ingests_and_deletes_loses_nothing_and_revives_nothing(large_file):
    """Worker and owner write the same videos, new ones and new categories while the import runs."""
    import_snapshot(large_file)
    keys = list(Video.objects.order_by("video_id").values_list("video_id", flat=True))
    empty_database()
    dice = random.Random(5)
    deleted: set[str] = set()
    sent: dict[str, str] = {}
    categories = ["Technology", "History", "New by the worker", "Another new one", "Science & Nature"]
    now = timezone.now()

    def ingest(key: str, number: int) -> None:
        record = VideoRecord(
            video_id=key, source="youtube", title=f"Title {number}", channel_name="Worker", updated_at=now
        )
        names = dice.sample(categories, 2)
        with transaction.atomic():
            result = Video.objects.upsert([record])[key]
            if result.action is Action.DELETED:
                return
            Categorization.objects.merge({key: [Pair(name, None, Origin.AI) for name in names]}, {key})
            Summary.objects.merge({key: [SummaryText("executive", f"Text {number}.")]}, {key})
        sent[key] = f"Text {number}."

    def delete(key: str) -> None:
        if Video.objects.filter(pk=key, deleted_at=None).update(
            deleted_at=timezone.now(), deleted_by="owner", deleted_reason=""
        ):
            deleted.add(key)

    def work(part: int, of: int) -> None:
        for number in range(part, 1000, of):
            key = dice.choice(keys) if number % 3 else f"New-vide-{number % 90:02d}"
            if number % 10 == 9:
                delete(key)
            else:
                ingest(key, number)

    in_threads(lambda: import_snapshot(large_file), lambda: work(0, 3), lambda: work(1, 3), lambda: work(2, 3))
    import_snapshot(large_file)
    assert set(Video.objects.deleted().values_list("video_id", flat=True)) == deleted
    assert set(keys) <= set(Video.objects.values_list("video_id", flat=True))
    stored = set(Summary.objects.filter(variant="executive").values_list("video_id", "text"))
    assert set(sent.items()) <= stored, "a write was lost"
    for video_id, variant in Summary.objects.values_list("video_id", "variant").distinct():
        revisions = Summary.objects.filter(video=video_id, variant=variant).order_by("-revision")
        assert [summary.is_latest for summary in revisions] == [True] + [False] * (len(revisions) - 1)
