"""An import beside a delete, a restore, a purge or a report of the same videos: one after the other, in effect.

The import is stopped at a known point while the others work on connections of their own, or they all wait for one
row and get it in a known order. Whatever meets, each video ends as if one had come wholly before the other.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction

from ingest.files import AUDIO, FileAction, store_upload
from ingest.merge import merge
from ingest.models import AudioFile, RowOutcome
from ingest.payloads import read_report
from ingest.purge import purge_deleted
from ingest.sqlite import importer
from ingest.sqlite.exporter import export_library
from ingest.sqlite.importer import ImportReport, import_snapshot
from ingest.sqlite.verification.report import Equation, VerifyReport
from ingest.sqlite.verifier import verify_snapshot
from summaries.models import Summary
from tests.test_audio_files import mp3
from tests.test_delete import waiting_for_locks
from videos.models import Categorization, Proposal, Video

from .test_verify import compared

pytestmark = pytest.mark.django_db(transaction=True)

# The stages that an import tells its progress of, in order. From "videos" on it holds the rows of its videos.
STAGES = ("vault", "mapped", "videos", "categories", "summaries")
HOLDS_ROWS = STAGES[2:]
# What is stored is older than the file; what a report says is newer than it.
STORED_AT, FILE_AT, SENT_AT = "2025-09-01T10:00:00Z", "2025-09-03T10:00:00Z", "2025-09-05T10:00:00Z"
NOW = timedelta()
WAIT_SECONDS = 20


def report(key: str, word: str, at: str) -> dict[str, Any]:
    """A report whose every value says one word."""
    return {
        "video_id": key, "title": word, "canonical_url": f"https://www.youtube.com/watch?v={key}",
        "channel_name": word, "processed_at": at, "category": [word],
        "summary_variants": [{"variant": "comprehensive", "text": word}, {"variant": "executive", "text": word}],
    }  # fmt: skip


def send(key: str) -> None:
    merge(read_report(report(key, "Sent", SENT_AT)), by="worker")


def delete(key: str) -> None:
    for video in Video.objects.filter(pk=key):
        video.delete_by("owner", "raced")


def restore(key: str) -> None:
    for video in Video.objects.filter(pk=key):
        video.restore_by("owner")


def purge(key: str) -> None:
    Video.objects.filter(pk=key).purge(NOW, "owner")


WORKS: dict[str, Callable[[str], None]] = {"ingest": send, "delete": delete, "restore": restore, "purge": purge}
# What is stored of a video before the import.
STATES = ("absent", "live", "deleted", "purged")


def store(states: Mapping[str, str]) -> None:
    """Make videos of these states, by key."""
    arrivals = [read_report(report(key, "Stored", STORED_AT)) for key, state in states.items() if state != "absent"]
    keys = {arrival.record.video_id for arrival in arrivals}
    with transaction.atomic():
        Video.objects.upsert([arrival.record for arrival in arrivals])
        Categorization.objects.merge({arrival.record.video_id: arrival.pairs for arrival in arrivals}, keys)
        Summary.objects.merge({arrival.record.video_id: arrival.texts for arrival in arrivals}, keys)
    for key, state in states.items():
        if state in ("deleted", "purged"):
            delete(key)
    Video.objects.filter(pk__in=[key for key, state in states.items() if state == "purged"]).purge(NOW, "owner")


def key_of(number: int) -> str:
    return f"Video-_{number:04d}"


@pytest.fixture
def library(write_file: Callable[..., Path], video: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """Writes a file with so many videos, each with categories and two texts; its every value says "Filed"."""

    def write(videos: int, name: str = "library.db", at: str = FILE_AT, word: str = "Filed") -> Path:
        numbers = range(videos)
        return write_file(
            name,
            content=[
                video(number, title=word, channel_name=word, category=f'["{word}"]', updated_at=at)
                for number in numbers
            ],
            content_summaries=[
                {
                    "content_id": f"yt:{key_of(number).lower()}",
                    "summary_text": word,
                    "summary_type": "comprehensive",
                }
                for number in numbers
            ],
            summary_variants=[
                {"video_id": key_of(number), "variant_type": "executive", "revision": 1, "content": word}
                for number in numbers
            ],
        )

    return write


@dataclass(frozen=True)
class Seen:
    """All that is of a video, and what the import noted of its row."""

    exists: bool
    deleted_by: str
    is_purged: bool
    title: str
    channel: str
    pairs: tuple[tuple[str, str | None, str], ...]
    proposed: object
    texts: tuple[tuple[str, int, bool, str], ...]
    outcome: str | None

    @classmethod
    def of(cls, key: str) -> "Seen":
        video = Video.objects.filter(pk=key).first() or Video()
        pairs = Categorization.objects.filter(video=key).order_by("position")
        texts = Summary.objects.filter(video=key).order_by("variant", "revision")
        return cls(
            bool(video.pk),
            video.deleted_by,
            video.is_purged,
            video.title,
            video.channel_name,
            tuple(pairs.values_list("category__name", "subcategory__name", "origin")),
            Proposal.objects.filter(video=key).values_list("pairs", flat=True).first(),
            tuple(texts.values_list("variant", "revision", "is_latest", "text")),
            RowOutcome.objects.filter(table="content", video_id=key).values_list("outcome", flat=True).first(),
        )

    @property
    def words(self) -> set[str]:
        """What the video, its categories and the latest of its texts say."""
        latest = {text for *_, is_latest, text in self.texts if is_latest}
        return {self.title, self.channel, *(name for name, *_ in self.pairs), *latest}

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there, and of one making."""
        variants = {variant for variant, *_ in self.texts}
        return len(self.words) == 1 and bool(self.pairs) and variants == {"comprehensive", "executive"}


@contextmanager
def at_once(*works: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Gives a function that starts the works, each on a connection of its own, and returns when each of them is
    done or waits for a lock; at the end all are done. Raises what any of them raised.
    """
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]

    def start() -> None:
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + WAIT_SECONDS
        while (alive := sum(thread.is_alive() for thread in threads)) and waiting_for_locks() < alive:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    yield start
    for thread in threads:
        if thread.ident:
            thread.join()
    if errors:
        raise errors[0]


def import_meanwhile(path: Path, stage: str, *works: Callable[[], object]) -> ImportReport:
    """Import a file, and do the works when it is at this stage for the first time."""
    pending = True

    def stop(at: str, rows: int) -> None:
        nonlocal pending
        if pending and at == stage:
            pending = False
            start()

    with at_once(*works) as start:
        done = import_snapshot(path, stop)
    assert not pending
    return done


def differing(report: VerifyReport) -> set[str]:
    """The videos that a verification finds other than the file says."""
    return {difference.video_id for equation in Equation for difference in report.differences[equation].examples}


# At every point of an import


@pytest.mark.parametrize("stage", STAGES)
def test_whatever_comes_during_an_import_comes_before_or_after_it(library, stage):
    """Every work on a video in every state: before the import where that does not hold the row yet, else after it."""
    cases = [(state, work) for state in STATES for work in WORKS]
    path = library(3 * len(cases))
    raced, before, after = (
        {case: key_of(3 * number + group) for number, case in enumerate(cases)} for group in range(3)
    )
    store({key: state for keys in (raced, before, after) for (state, _), key in keys.items()})
    for (_, work), key in before.items():
        WORKS[work](key)
    report = import_meanwhile(path, stage, *(partial(WORKS[work], key) for (_, work), key in raced.items()))
    for (_, work), key in after.items():
        WORKS[work](key)

    restored_later = set()
    for (state, work), key in raced.items():
        seen = Seen.of(key)
        # A video that is not committed yet is none for whoever wants to delete it; a report waits for its key.
        comes_later = stage in HOLDS_ROWS and (state != "absent" or work == "ingest")
        assert seen == Seen.of((after if comes_later else before)[state, work]), (state, work)
        if state in ("deleted", "purged"):
            assert (work == "restore") != bool(seen.deleted_by), (state, work)
            restored_later |= {after[state, "restore"], *([key] if work == "restore" and comes_later else ())}
        if seen.outcome == "skipped_deleted":
            assert seen.words <= {"Stored", ""}, (state, work, seen)
        elif not seen.deleted_by:
            assert seen.is_whole, (state, work, seen)
    counted = report.tables["content"]
    assert counted.rows == counted.modelled + counted.skipped_deleted == 3 * len(cases)

    # What a person brought back after the import had passed it over is not as in the file, and nothing else is not.
    assert differing(compared(path)) == restored_later
    import_snapshot(path)
    assert not differing(compared(path))


@pytest.mark.parametrize("is_undone", [False, True])
def test_an_import_waits_for_what_is_under_way_and_takes_what_became_of_it(library, is_undone):
    """A delete and a report that are not committed when the import comes to their rows."""
    path = library(3)
    deleted, sent, untouched = map(key_of, range(3))
    store({deleted: "live"})
    with at_once(lambda: import_snapshot(path)) as start, transaction.atomic():
        delete(deleted)
        send(sent)
        start()
        assert waiting_for_locks() == 1
        transaction.set_rollback(is_undone)
    assert Seen.of(untouched).title == "Filed"
    if is_undone:
        assert Seen.of(deleted).title == Seen.of(sent).title == "Filed"
        assert Seen.of(deleted).is_whole and Seen.of(sent).is_whole
    else:
        seen = Seen.of(deleted)
        assert (seen.deleted_by, seen.title, seen.outcome) == ("owner", "Stored", "skipped_deleted")
        assert {text for *_, text in seen.texts} == {"Stored"}
        assert Seen.of(sent).title == "Sent" and Seen.of(sent).is_whole
    verified = verify_snapshot(path)
    assert verified.holds, differing(verified)


def test_whoever_waits_for_a_row_before_the_import_comes_before_it(library):
    """Their rows are locked until every work waits for its own, and the import behind them."""
    cases = [(state, work) for state in STATES[1:] for work in WORKS]
    path = library(2 * len(cases))
    raced, before = ({case: key_of(2 * number + group) for number, case in enumerate(cases)} for group in range(2))
    store({key: state for keys in (raced, before) for (state, _), key in keys.items()})
    for (_, work), key in before.items():
        WORKS[work](key)
    works = [partial(WORKS[work], key) for (_, work), key in raced.items()]
    with at_once(lambda: import_snapshot(path)) as start_import, at_once(*works) as start, transaction.atomic():
        assert len(Video.objects.filter(pk__in=raced.values()).select_for_update()) == len(cases)
        start()
        start_import()
    for case, key in raced.items():
        seen = Seen.of(key)
        assert seen == Seen.of(before[case]), case
        assert seen.is_whole or (seen.deleted_by and seen.words <= {"Stored", ""}), (case, seen)
    verified = verify_snapshot(path)
    assert verified.holds, differing(verified)


def test_reports_with_new_categories_and_an_import_in_batches_do_not_deadlock(library, write_file, video, monkeypatch):
    """Both add names that the other needs, each in an order of its own."""
    monkeypatch.setattr(importer, "BATCH_ROWS", 1)
    names = {0: "Zoology", 1: "Astronomy"}
    path = write_file(content=[video(number, category=f'["{name}"]') for number, name in names.items()])
    sent = report("New-_vide_o", "Sent", SENT_AT) | {"category": list(names.values())}
    import_meanwhile(path, "categories", lambda: merge(read_report(sent), by="worker"))
    stored = Categorization.objects.order_by("video", "position").values_list("video", "category__name")
    assert set(stored) == {("New-_vide_o", name) for name in names.values()} | {
        (key_of(number), name) for number, name in names.items()
    }
    assert verify_snapshot(path).holds


def test_nothing_is_purged_while_an_import_runs(library, monkeypatch):
    """A purge takes rows out of the vault, which an import counts on."""
    monkeypatch.setattr(importer, "LOCK_WAIT_SECONDS", 0)
    path = library(2)
    store({key_of(0): "deleted"})
    refusals = []

    def purge_all() -> None:
        with pytest.raises(importer.ImportLocked):
            purge_deleted(NOW, "owner")
        refusals.append(True)

    for stage in STAGES:
        import_meanwhile(path, stage, purge_all)
        # The vault is filled once.
        path = library(2, f"after {stage}.db", word=stage)
    assert len(refusals) == len(STAGES)
    assert purge_deleted(NOW, "owner").library.purged == 1
    assert Seen.of(key_of(0)).is_purged


def test_a_file_that_waits_for_a_video_becomes_its_own_when_an_import_brings_that(library, settings, tmp_path):
    """The answer to the upload has promised so; a report that comes later finds the video there already."""
    settings.MEDIA_ROOT = tmp_path / "media"
    path = library(2)
    upload = SimpleUploadedFile("sound.mp3", mp3())
    assert store_upload(upload, AUDIO, key_of(0), "worker").action == FileAction.KEPT_ASIDE
    import_snapshot(path)
    send(key_of(0))
    assert AudioFile.objects.get().video_id == key_of(0)


# Verification and export read in REPEATABLE READ


def writes_meanwhile(newer: Path) -> list[Callable[[], object]]:
    """One of everything that writes, on videos of their own, and another import."""
    return [
        *(partial(work, key_of(number)) for number, work in enumerate(WORKS.values())),
        lambda: import_snapshot(newer),
    ]


def imported_with_tombstones(library: Callable[..., Path]) -> tuple[Path, Path]:
    """A file that was imported, whose videos 2 and 3 are deleted, and a newer one."""
    path, newer = library(6), library(6, "newer.db", SENT_AT, "Newer")
    import_snapshot(path)
    delete(key_of(2))
    delete(key_of(3))
    return path, newer


def test_a_verification_sees_one_moment_whatever_is_written_meanwhile(library):
    path, newer = imported_with_tombstones(library)
    before = verify_snapshot(path)
    pending = True

    def stop(stage: str, rows: int) -> None:
        nonlocal pending
        if pending:
            pending = False
            start()

    with at_once(*writes_meanwhile(newer)) as start:
        during = verify_snapshot(path, stop)
    assert before.holds and during.holds
    assert (during.rows, during.models, during.changes) == (before.rows, before.models, before.changes)
    # Now it says what has happened; only what was restored too late for the newer import is not as in a file.
    after = verify_snapshot(path)
    assert after.holds, differing(after)
    assert {change.by for change in after.changes if change.kind == "deleted"} == {"owner"}
    assert f"the import of {newer.name}" in {change.by for change in after.changes}


def test_an_export_is_of_one_moment_whatever_is_written_meanwhile(library, tmp_path):
    _, newer = imported_with_tombstones(library)
    export_library(tmp_path / "before.db")
    pending = True

    def stop(stage: str, rows: int) -> None:
        nonlocal pending
        if pending:
            pending = False
            start()

    with at_once(*writes_meanwhile(newer)) as start:
        export_library(tmp_path / "during.db", progress=stop)
    export_library(tmp_path / "after.db")
    assert (tmp_path / "during.db").read_bytes() == (tmp_path / "before.db").read_bytes()
    with closing(sqlite3.connect(tmp_path / "after.db")) as database:
        titles = dict(database.execute("SELECT video_id, title FROM content"))
    assert titles[key_of(0)] in ("Sent", "Newer") and titles[key_of(4)] == titles[key_of(5)] == "Newer"
    assert key_of(1) not in titles and key_of(3) not in titles
