"""Delete, restore and purge: what each leaves, and that no order of them with an ingest revives a video."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from ingest import purge as ingest_purge
from ingest.models import AudioFile, ImageFile, IngestLogEntry
from ingest.purge import purge_deleted
from ingest.sqlite import importer
from summaries.models import Summary, SummaryEvent, SummaryText
from videos.deleted import LONGEST_REASON
from videos.models import (
    Categorization,
    CategorizationEvent,
    Origin,
    Pair,
    Proposal,
    Video,
    VideoEvent,
)
from videos.search import Search
from videos.upsert import Action, VideoRecord

from .factories import categorise, make_video, summarise

pytestmark = pytest.mark.django_db

NOW = timedelta()
MONTH = timedelta(days=30)
NOON = datetime(2025, 9, 11, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _own_media(settings, tmp_path) -> None:
    settings.MEDIA_ROOT = tmp_path


def full_video(number: int = 1, **values: object) -> Video:
    """A video with something of every kind."""
    video = make_video(number, **values)
    categorise(video, [("History", "Modern History")])
    summarise(video, "first text")
    summarise(video, "second text")
    Summary.objects.filter(video=video).update(language="en")
    Proposal.objects.create(video=video, pairs=[["Technology", None]], proposed_at=NOON)
    return video


def long_ago(video: Video, days: int = 31) -> None:
    """Let the delete have happened days ago."""
    Video.objects.filter(pk=video.pk).update(deleted_at=timezone.now() - timedelta(days=days))


def add_file(model: type[AudioFile] | type[ImageFile], video: Video, name: str) -> str:
    stored = default_storage.save(name, ContentFile(b"sound"))
    values = {"content_type": "image/png"} if model is ImageFile else {}
    model.objects.create(
        video=video, name=stored, source_name="A title.mp3", size_bytes=5, sha256=name.zfill(64), **values
    )
    return stored


# Delete


def test_a_delete_hides_the_video_and_says_who_when_and_why():
    video = full_video()
    assert video.delete_by("owner", "  not\ninteresting ")
    stored = Video.objects.get(pk=video.pk)
    assert (stored.deleted_by, stored.deleted_reason) == ("owner", "not interesting")
    assert timezone.now() - stored.deleted_at < timedelta(minutes=1)
    assert not Video.objects.live().exists()
    assert Search().count() == 0
    assert video.deleted_at == stored.deleted_at
    assert (stored.title, Summary.objects.count(), Categorization.objects.count()) == ("Video number 1", 2, 1)


def test_a_second_delete_changes_nothing():
    video, again = full_video(), Video.objects.get()
    video.delete_by("owner", "first")
    assert not again.delete_by("worker", "second")
    assert (again.deleted_by, again.deleted_reason, again.deleted_at) == ("owner", "first", video.deleted_at)


@pytest.mark.parametrize(("reason", "kept"), [("a\x00b\ud800", "ab"), ("x" * 1000, "x" * LONGEST_REASON), ("", "")])
def test_a_reason_can_be_anything(reason, kept):
    video = make_video()
    assert video.delete_by("owner", reason)
    assert Video.objects.get().deleted_reason == kept


@pytest.mark.parametrize("by", ["", "  ", "\x00"])
def test_nobody_deletes_restores_or_purges_without_a_name(by):
    video = make_video()
    with pytest.raises(ValueError, match="nobody is named"):
        video.delete_by(by, "")
    with pytest.raises(ValueError, match="nobody is named"):
        video.restore_by(by)
    with pytest.raises(ValueError, match="nobody is named"):
        Video.objects.purge(NOW, by)
    assert Video.objects.live().exists()


def test_a_delete_hits_one_video_and_none_whose_key_holds_its_key():
    """It has happened: `?id=m` deleted 22 of 63 rows by substring."""
    keys = ("m", "mm", "am", "M", "m_", "%", "_", "m%", "m-very-long-one")
    for number, key in enumerate(keys):
        make_video(number, video_id=key)
    assert Video.objects.named("m").delete_by("worker", "")
    assert [video.pk for video in Video.objects.deleted()] == ["m"]
    assert Video.objects.named("%").delete_by("worker", "")
    assert {video.pk for video in Video.objects.deleted()} == {"m", "%"}
    Video.objects.get(pk="m").restore_by("owner")
    assert [video.pk for video in Video.objects.deleted()] == ["%"]


def test_an_id_cut_short_names_nothing():
    """It has happened: the id cut to 57 characters matched nothing and was reported as deleted."""
    key = "web:" + "a" * 70
    make_video(video_id=key)
    with pytest.raises(Video.DoesNotExist):
        Video.objects.named(key[:57])
    assert Video.objects.live().exists()


# Restore


def test_a_restored_video_is_as_it_was():
    video = full_video()
    before = Video.objects.values().get()
    video.delete_by("owner", "by mistake")
    assert video.restore_by("owner")
    assert Video.objects.values().get() == before
    assert video.deleted_at is None
    assert Search().count() == 1
    assert VideoEvent.objects.latest("pgh_id").pgh_context.metadata == {"restored_by": "owner"}
    assert VideoEvent.objects.latest("pgh_id").deleted_reason == "by mistake"


def test_what_is_not_deleted_is_not_restored():
    video = make_video()
    assert not video.restore_by("owner")
    assert not VideoEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_restore_opens_no_way_for_others_in_its_transaction():
    first, second = make_video(1), make_video(2)
    for video in (first, second):
        video.delete_by("owner", "")
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        first.restore_by("owner")
    first.restore_by("owner")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('ytv2.allow', true)")
        assert not cursor.fetchone()[0]


# Purge


def test_a_purge_erases_everything_but_the_key_and_the_delete():
    video = full_video(legacy_id="yt:old", extra={"transcript": "secret"}, analysis={"a": 1})
    Video.objects.update(title="Renamed")
    name = add_file(AudioFile, video, "audio/1.mp3")
    image = add_file(ImageFile, video, "images/1.png")
    entry = IngestLogEntry.objects.create(
        route="/ingest/report", outcome="updated", status=200, video_id=video.pk, body=b"{}", body_bytes=2,
        changes={"title": ["A", "B"]},
    )  # fmt: skip
    video.delete_by("owner", "old")
    long_ago(video)
    deleted_at = Video.objects.get().deleted_at

    report = purge_deleted(MONTH, by="owner")

    stored = Video.objects.get()
    kept = {"video_id": video.pk, "legacy_id": "yt:old", "source": "youtube", "deleted_at": deleted_at}
    kept |= {"deleted_by": "owner", "deleted_reason": "old", "processing_status": "purged"}
    for column in Video._meta.concrete_fields:
        value = getattr(stored, column.attname)
        assert value == kept[column.name] if column.name in kept else not value, column.name
    assert stored.is_purged
    for model in (
        Summary, Categorization, Proposal, VideoEvent, SummaryEvent, CategorizationEvent, AudioFile, ImageFile,
    ):  # fmt: skip
        assert not model.objects.exists(), model
    assert not default_storage.exists(name)
    assert not default_storage.exists(image)
    entry.refresh_from_db()
    assert (entry.body, entry.changes, entry.outcome) == (None, {}, "updated")
    assert (report.library.deleted, report.library.purged, report.files.removed) == (1, 1, 2)
    assert report.library.erased["summaries"] == 2


def test_a_purge_leaves_what_is_live_or_was_deleted_later():
    live, recent, old = (full_video(number) for number in range(3))
    for video, name in ((live, "a"), (recent, "b"), (old, "c")):
        add_file(AudioFile, video, f"{name}.mp3")
    recent.delete_by("owner", "")
    long_ago(recent, days=29)
    old.delete_by("owner", "")
    long_ago(old)
    untouched = Video.objects.exclude(pk=old.pk).order_by("pk")
    before = list(untouched.values())
    events = SummaryEvent.objects.exclude(video=old.pk).count()

    report = purge_deleted(MONTH, by="owner")

    assert report.library.deleted == 1
    assert list(untouched.values()) == before
    assert {summary.video_id for summary in Summary.objects.all()} == {live.pk, recent.pk}
    assert SummaryEvent.objects.count() == events > 0
    assert sorted(AudioFile.objects.values_list("name", flat=True)) == ["a.mp3", "b.mp3"]
    assert default_storage.exists("a.mp3")
    assert default_storage.exists("b.mp3")


def test_a_second_purge_finds_nothing():
    video = full_video()
    video.delete_by("owner", "")
    purge_deleted(NOW, by="owner")
    report = purge_deleted(NOW, by="owner")
    assert (report.library.deleted, report.library.purged, report.library.erased) == (1, 0, {})
    assert not VideoEvent.objects.exists()


def test_a_dry_run_says_the_same_and_changes_nothing():
    video = full_video()
    add_file(AudioFile, video, "a.mp3")
    video.delete_by("owner", "")
    before = (Video.objects.values().get(), Summary.objects.count(), VideoEvent.objects.count())
    planned = purge_deleted(NOW, by="owner", is_dry_run=True)
    assert (Video.objects.values().get(), Summary.objects.count(), VideoEvent.objects.count()) == before
    assert default_storage.exists("a.mp3")
    done = purge_deleted(NOW, by="owner")
    assert (planned.library.purged, planned.library.erased) == (done.library.purged, done.library.erased)
    assert planned.files == done.files


def test_a_purged_video_stays_deleted_for_every_form_of_its_id():
    video = full_video(video_id="AbC-dE_f123", legacy_id="yt:abc-de_f123")
    video.delete_by("owner", "")
    purge_deleted(NOW, by="owner")
    for name in ("AbC-dE_f123", "yt:AbC-dE_f123", "yt:abc-de_f123", "a_title_AbC-dE_f123"):
        assert Video.objects.named(name).pk == "AbC-dE_f123"
    result = Video.objects.upsert([VideoRecord("AbC-dE_f123", "youtube", title="Back again")])
    assert result["AbC-dE_f123"].action is Action.DELETED
    assert Video.objects.get().title == ""


def test_a_purged_video_that_is_restored_comes_back_when_it_is_sent_again():
    video = full_video()
    video.delete_by("owner", "")
    purge_deleted(NOW, by="owner")
    video.refresh_from_db()
    assert video.restore_by("owner")
    assert not video.is_purged
    ingest(video.pk)
    video.refresh_from_db()
    assert (video.title, video.processing_status) == ("Sent", "")
    # Deleted anew, it is not taken for purged, and keeps what it has for its time.
    video.delete_by("owner", "again")
    add_file(AudioFile, video, "a.mp3")
    purge_deleted(MONTH, by="owner")
    assert Video.objects.get().title == "Sent"
    assert default_storage.exists("a.mp3")


def test_a_file_that_cannot_be_removed_is_reported_and_tried_again(tmp_path, capsys):
    video = full_video()
    video.delete_by("owner", "")
    # A folder that is not empty in the place of the file: no storage removes it.
    AudioFile.objects.create(video=video, name="audio/a.mp3", source_name="A title.mp3", size_bytes=5, sha256="1")
    add_file(AudioFile, video, "audio/b.mp3")
    (tmp_path / "audio" / "a.mp3" / "in the way").mkdir(parents=True)
    with pytest.raises(CommandError, match="could not be removed: 1") as failed:
        call_command("purge_deleted", "--older-than=0d")
    assert failed.value.returncode == 1
    assert "audio/a.mp3: " in capsys.readouterr().out
    assert list(AudioFile.objects.values_list("name", "source_name")) == [("audio/a.mp3", "")]
    assert Video.objects.get().is_purged
    (tmp_path / "audio" / "a.mp3" / "in the way").rmdir()
    call_command("purge_deleted", "--older-than=30d")
    assert AudioFile.objects.exists()
    call_command("purge_deleted", "--older-than=0d")
    assert not AudioFile.objects.exists()


def test_a_purge_goes_through_batches(monkeypatch):
    monkeypatch.setattr("videos.deleted.PURGED_AT_ONCE", 2)
    for number in range(5):
        full_video(number).delete_by("owner", "")
    told = []
    report = Video.objects.purge(NOW, "owner", progress=told.append)
    assert (report.deleted, report.purged, told) == (5, 5, [2, 2, 1])


def test_history_stays_append_only_for_everybody_else():
    video = full_video()
    video.delete_by("owner", "")
    full_video(2)
    purge_deleted(NOW, by="owner")
    with pytest.raises(Exception, match="Cannot update or delete rows"), transaction.atomic():
        SummaryEvent.objects.all().delete()
    assert SummaryEvent.objects.exists()


def test_no_relation_to_a_video_is_forgotten_by_a_purge():
    """A row that goes with its video is CASCADE; one that stands for something outside of the database is PROTECT."""
    relations = [field for field in Video._meta.get_fields(include_hidden=True) if field.auto_created]
    kinds = {field.related_model.__name__: field.on_delete.__name__ for field in relations if field.is_relation}
    history = {
        "VideoEvent", "TitleOrDeleteEvent", "SummaryEvent", "CategorizationEvent", "ReviewEvent", "ProposalEvent",
    }  # fmt: skip
    assert {name for name, kind in kinds.items() if kind == "DO_NOTHING"} == history
    assert {name for name, kind in kinds.items() if kind == "PROTECT"} == {
        model.__name__ for model in ingest_purge.FILE_MODELS
    }


# The command


def test_the_command_says_what_it_did(capsys):
    call_command("purge_deleted", "--older-than=30d")
    assert "No video was deleted before" in capsys.readouterr().out
    video = full_video()
    add_file(AudioFile, video, "a.mp3")
    video.delete_by("owner", "")
    call_command("purge_deleted", "--older-than=0d", dry_run=True)
    out = capsys.readouterr().out
    assert "Would be erased:" in out
    assert "A dry run: nothing was changed." in out
    call_command("purge_deleted", "--older-than=0d")
    out = capsys.readouterr().out
    assert "1 video was deleted before" in out
    assert "         2 summaries" in out
    assert "         1 files (5 bytes)" in out
    call_command("purge_deleted", "--older-than=0d")
    assert "Nothing was left of them but their keys." in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "30 d", "999999d", "30m", "٣d"])
def test_an_age_that_is_none_is_refused(text):
    with pytest.raises(CommandError) as refused:
        call_command("purge_deleted", f"--older-than={text}")
    assert refused.value.returncode == 1


@pytest.mark.parametrize("text", ["0h", "99999d"])
def test_the_smallest_and_the_largest_age(text):
    call_command("purge_deleted", f"--older-than={text}")


@pytest.mark.django_db(transaction=True)
def test_a_purge_waits_for_no_import(monkeypatch):
    monkeypatch.setattr(importer, "LOCK_WAIT_SECONDS", 0)
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with importer.import_lock():
            locked.set()
            done.wait(10)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(10)
    try:
        with pytest.raises(CommandError, match="An import or another purge is running") as refused:
            call_command("purge_deleted", "--older-than=30d")
    finally:
        done.set()
        holder.join()
    assert refused.value.returncode == 5


def test_an_interrupted_purge_goes_on(monkeypatch):
    monkeypatch.setattr("videos.deleted.PURGED_AT_ONCE", 1)
    for number in range(3):
        full_video(number).delete_by("owner", "")

    def interrupt(videos: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        purge_deleted(NOW, by="owner", progress=interrupt)
    assert [video.is_purged for video in Video.objects.order_by("pk")] == [True, False, False]
    assert purge_deleted(NOW, by="owner").library.purged == 2


# Races


def ingest(video_id: str) -> Action:
    """What an ingest does: the video, its categories and its texts, in one transaction."""
    record = VideoRecord(video_id, "youtube", title="Sent", updated_at=timezone.now())
    with transaction.atomic():
        result = Video.objects.upsert([record])[video_id]
        if result.action is not Action.DELETED:
            newest = {video_id} if result.is_newest else set()
            Categorization.objects.merge({video_id: [Pair("Sent", None, Origin.AI)]}, newest)
            Summary.objects.merge({video_id: [SummaryText("comprehensive", "sent")]}, newest)
    return result.action


WORKS: dict[str, Callable[[str], object]] = {
    "ingest": ingest,
    "delete": lambda key: Video.objects.get(pk=key).delete_by("worker", "raced"),
    "restore": lambda key: Video.objects.get(pk=key).restore_by("owner"),
    "purge": lambda key: Video.objects.filter(pk=key).purge(MONTH, "owner"),
}
STATES = ("live", "deleted")


@dataclass(frozen=True)
class Seen:
    """All that is of a video."""

    deleted_by: str
    is_deleted: bool
    title: str
    channel: str
    pairs: tuple[str, ...]
    texts: tuple[str, ...]
    history: int

    @classmethod
    def of(cls, key: str) -> "Seen":
        video = Video.objects.get(pk=key)
        return cls(
            video.deleted_by,
            video.deleted_at is not None,
            video.title,
            video.channel_name,
            tuple(map(str, video.categorizations.all())),
            tuple(video.summaries.order_by("revision").values_list("text", flat=True)),
            VideoEvent.objects.filter(pgh_obj=key).count(),
        )


def start(state: str, number: int) -> str:
    video = make_video(number, title="Stored", channel_name="Channel", updated_at=NOON)
    categorise(video, [("Stored", None)], origin=Origin.IMPORTED)
    summarise(video, "stored")
    if state == "deleted":
        video.delete_by("owner", "")
        long_ago(video)
    return video.pk


def waiting_for_locks() -> int:
    with connection.cursor() as cursor:
        # A transaction sees the activity of the moment when it asked first.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone()[0]


def queue(key: str, *works: Callable[[str], object]) -> None:
    """Run the works on a video at once, each on a connection of its own, and let them have it in this order.

    The video is locked until each of them waits for it, or is done because it found nothing to wait for.
    """
    errors: list[BaseException] = []

    def run(work: Callable[[str], object]) -> None:
        try:
            work(key)
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    with transaction.atomic():
        Video.objects.select_for_update().get(pk=key)
        for thread in threads:
            before = waiting_for_locks()
            thread.start()
            deadline = time.monotonic() + 10
            while thread.is_alive() and waiting_for_locks() == before:
                assert time.monotonic() < deadline
                time.sleep(0.005)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def in_turn(key: str, *names: str) -> Seen:
    for name in names:
        WORKS[name](key)
    return Seen.of(key)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("first", WORKS)
def test_two_at_once_are_one_after_the_other(first, state):
    """Whatever meets: the end is that of one order, nothing is half written, and no ingest revives a video."""
    for number, second in enumerate(WORKS):
        raced = start(state, 10 * number)
        queue(raced, WORKS[first], WORKS[second])
        seen = Seen.of(raced)
        if seen != in_turn(start(state, 10 * number + 1), first, second):
            # The second found nothing to wait for, so it came before the first.
            assert seen == in_turn(start(state, 10 * number + 2), second, first), second
        if state == "deleted" and "restore" not in (first, second):
            assert seen.is_deleted and seen.title in ("Stored", ""), second


@pytest.mark.django_db(transaction=True)
def test_deleted_while_ingests_and_purges_go_on_it_never_comes_back():
    key = start("live", 1)
    works = [WORKS["ingest"], WORKS["delete"], WORKS["ingest"], WORKS["purge"], WORKS["ingest"], WORKS["delete"]]
    queue(key, *works)
    seen = Seen.of(key)
    assert seen.is_deleted
    # One ingest came before the delete, so all of it is there.
    assert (seen.title, seen.texts, seen.pairs) == ("Sent", ("stored", "sent"), ("Sent",))


@pytest.mark.django_db(transaction=True)
def test_many_purges_deletes_restores_and_ingests_do_not_deadlock():
    keys = [start("deleted" if number % 2 else "live", number) for number in range(12)]
    barrier = threading.Barrier(4)
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            for _ in range(3):
                work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    def ingest_all() -> None:
        records = [replace(VideoRecord(key, "youtube", title="Sent"), updated_at=timezone.now()) for key in keys[::-1]]
        with transaction.atomic():
            Video.objects.upsert(records)

    def each(name: str, listed: list[str]) -> Callable[[], None]:
        return lambda: [WORKS[name](key) for key in listed] and None

    works = [ingest_all, lambda: Video.objects.purge(NOW, "owner"), each("delete", keys[::-1]), each("restore", keys)]
    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(count) FROM videos_facetcount WHERE facet = 'total'")
        assert (cursor.fetchone()[0] or 0) == Video.objects.live().count()
