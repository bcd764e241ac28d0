"""The merge of what is stored with what comes in (contract/ingest.md, Merge), and that it cannot be raced."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from summaries.models import Summary, SummaryText
from videos.models import Categorization, Origin, Pair, Video, match_key
from videos.search import Search
from videos.upsert import COLUMNS, Action, VideoRecord

from .factories import make_video

NOON = datetime(2025, 9, 11, 12, tzinfo=UTC)
LATER, EARLIER = NOON + timedelta(hours=1), NOON - timedelta(hours=1)
RECORD = VideoRecord(
    "AbC-dE_f123", "youtube", legacy_id="yt:abc-de_f123", title="A title", channel_name="A channel", language="en",
    canonical_url="https://www.youtube.com/watch?v=AbC-dE_f123", duration_seconds=60, has_audio=True,
    key_topics=["a", "b"], indexed_at=NOON, created_at=NOON, updated_at=NOON, extra={"kept": 1},
)  # fmt: skip


def upsert(record: VideoRecord) -> Action:
    with transaction.atomic():
        return Video.objects.upsert([record])[record.video_id].action


def stored() -> Video:
    return Video.objects.get(pk=RECORD.video_id)


pytestmark = pytest.mark.django_db


def test_created_then_unchanged_then_updated():
    assert upsert(RECORD) == Action.CREATED
    assert upsert(RECORD) == Action.UNCHANGED
    assert upsert(replace(RECORD, title="Another title")) == Action.UPDATED
    assert stored().title == "Another title"


def test_the_same_record_again_writes_no_row_version():
    upsert(RECORD)
    version = "SELECT xmin, ctid FROM videos_video"
    with connection.cursor() as cursor:
        cursor.execute(version)
        before = cursor.fetchall()
        upsert(RECORD)
        cursor.execute(version)
        assert cursor.fetchall() == before


@pytest.mark.parametrize(
    "placeholder",
    ["", "Untitled", "(untitled)", "Content AbC-dE_f123", "Unknown", "temp", "untitled"],
)
def test_a_title_is_never_replaced_by_a_placeholder(placeholder):
    upsert(RECORD)
    assert upsert(replace(RECORD, title=placeholder, updated_at=LATER)) == Action.UPDATED
    assert stored().title == "A title"


@pytest.mark.parametrize(
    "placeholder", ["(untitled)", " Unknown ", "TEMP", "https://example.com", "http://www.example.com/"]
)
def test_no_text_is_ever_replaced_by_a_placeholder(placeholder):
    names = [
        name for name, kind in COLUMNS.items() if kind == "text" and name not in ("video_id", "legacy_id", "source")
    ]
    real = replace(RECORD, **dict.fromkeys(names, "real"))
    upsert(real)
    upsert(replace(RECORD, **dict.fromkeys(names, placeholder), updated_at=LATER))
    assert {name: getattr(stored(), name) for name in names} == dict.fromkeys(names, "real")
    upsert(replace(real, **dict.fromkeys(names, "https://example.com/a"), updated_at=LATER))
    assert stored().canonical_url == "https://example.com/a"


@pytest.mark.parametrize("title", ["Content marketing for engineers", "Content warning", "Unknown Pleasures", "Tempo"])
def test_a_title_that_begins_like_a_placeholder_is_none(title):
    upsert(RECORD)
    upsert(replace(RECORD, title=title, updated_at=LATER))
    assert stored().title == title


@pytest.mark.parametrize("text", ["ﷺ" * 5000, "字" * 9000, "".join(map(chr, range(33, 9000)))])
def test_no_length_of_a_text_is_too_much_for_an_index(text):
    upsert(replace(RECORD, title=text, channel_name=text, content_type=text, language=text))
    assert stored().title == text
    assert [video.pk for video in Search(channels=(match_key(text),)).matching()] == [RECORD.video_id]


def test_a_placeholder_is_better_than_nothing_and_gives_way_to_older_data():
    upsert(replace(RECORD, title="", channel_name="Unknown"))
    upsert(replace(RECORD, title="Untitled", channel_name=""))
    assert (stored().title, stored().channel_name) == ("Untitled", "Unknown")
    upsert(replace(RECORD, updated_at=EARLIER))
    assert (stored().title, stored().channel_name) == ("A title", "A channel")


def test_newer_wins_and_older_fills_blanks():
    upsert(replace(RECORD, language=""))
    upsert(replace(RECORD, title="Older title", language="fr", view_count=5, updated_at=EARLIER))
    assert (stored().title, stored().language, stored().view_count) == ("A title", "fr", 5)
    upsert(replace(RECORD, title="Newer title", language="de", updated_at=LATER))
    assert (stored().title, stored().language, stored().view_count) == ("Newer title", "de", 5)
    assert stored().updated_at == LATER


def test_a_report_without_audio_clears_no_audio():
    upsert(RECORD)
    upsert(replace(RECORD, has_audio=False, key_topics=[], duration_seconds=0, canonical_url="", updated_at=LATER))
    video = stored()
    assert (video.has_audio, video.key_topics, video.duration_seconds) == (True, ["a", "b"], 60)
    assert video.canonical_url == RECORD.canonical_url


def test_indexed_at_created_at_and_the_old_id_are_set_once():
    upsert(RECORD)
    upsert(replace(RECORD, indexed_at=LATER, created_at=LATER, legacy_id="yt:other", updated_at=LATER))
    video = stored()
    assert (video.indexed_at, video.created_at, video.legacy_id) == (NOON, NOON, RECORD.legacy_id)


def test_what_has_no_field_is_kept_key_by_key():
    upsert(RECORD)
    upsert(replace(RECORD, extra={"more": 2, "kept": 3}, updated_at=LATER))
    assert stored().extra == {"kept": 3, "more": 2}
    upsert(replace(RECORD, extra={"kept": 4, "old": 5}, updated_at=EARLIER))
    assert stored().extra == {"kept": 3, "more": 2, "old": 5}


def test_a_deleted_video_stays_deleted_and_nothing_is_written():
    upsert(RECORD)
    Video.objects.update(deleted_at=NOON, deleted_by="owner")
    assert upsert(replace(RECORD, title="Back again", updated_at=LATER)) == Action.DELETED
    assert stored().title == "A title"
    assert stored().deleted_at == NOON


def test_curated_categories_outlive_every_machine():
    upsert(RECORD)
    curated = [Pair("History", "Modern History", Origin.CURATED)]
    proposal = [Pair("Technology", None, Origin.AI)]
    newest = {RECORD.video_id}
    assert Categorization.objects.merge({RECORD.video_id: curated}, newest) == 1
    assert Categorization.objects.merge({RECORD.video_id: proposal}, newest) == 0
    assert Categorization.objects.merge({RECORD.video_id: []}, newest) == 0
    assert [str(row) for row in Categorization.objects.all()] == ["History › Modern History"]


def test_categories_of_a_machine_give_way_to_newer_ones_and_not_to_older_or_none():
    upsert(RECORD)
    first, second = [Pair("A", None, Origin.AI)], [Pair("B", "b", Origin.AI), Pair("C", None, Origin.AI)]
    Categorization.objects.merge({RECORD.video_id: first}, {RECORD.video_id})
    assert Categorization.objects.merge({RECORD.video_id: second}, set()) == 0
    assert Categorization.objects.merge({RECORD.video_id: []}, {RECORD.video_id}) == 0
    assert Categorization.objects.merge({RECORD.video_id: second}, {RECORD.video_id}) == 2
    assert Categorization.objects.merge({RECORD.video_id: second}, {RECORD.video_id}) == 0


def test_a_new_text_is_a_new_revision_and_the_same_text_is_nothing():
    upsert(RECORD)
    newest = {RECORD.video_id}

    def add(*texts: SummaryText) -> int:
        return Summary.objects.merge({RECORD.video_id: texts}, newest).added

    assert add(SummaryText("audio", "one")) == 1
    assert add(SummaryText("audio", "one")) == 0
    assert add(SummaryText("audio", "two"), SummaryText("audio-fr", "deux")) == 2
    rows = Summary.objects.order_by("variant", "revision").values_list("variant", "revision", "is_latest", "text")
    assert list(rows) == [
        ("audio", 1, False, "one"), ("audio", 2, True, "two"), ("audio-fr", 1, True, "deux")
    ]  # fmt: skip
    assert Summary.objects.merge({RECORD.video_id: [SummaryText("audio", "three")]}, set()).added == 0


def test_a_text_that_comes_back_is_a_revision_of_its_own():
    upsert(RECORD)
    for text in ("A", "B", "A"):
        Summary.objects.merge({RECORD.video_id: [SummaryText("audio", text)]}, {RECORD.video_id})
    assert Summary.objects.get(is_latest=True).text == "A"
    assert Summary.objects.count() == 3


def test_a_history_keeps_its_order_and_merges_once():
    upsert(RECORD)
    history = [
        SummaryText("audio", "A", revision=1, is_latest=False),
        SummaryText("audio", "B", revision=2, is_latest=False),
        SummaryText("audio", "A", revision=3),
    ]
    for added in (3, 0, 0):
        count = Summary.objects.merge({RECORD.video_id: history}, {RECORD.video_id}, is_history=True).added
        assert count == added
    assert list(Summary.objects.order_by("revision").values_list("text", "is_latest")) == [
        ("A", False), ("B", False), ("A", True)
    ]  # fmt: skip


def test_a_text_of_any_script_and_length_can_be_searched():
    upsert(RECORD)
    text = " ".join(f"字字字字-字字{chr(0x4E00 + n)}{chr(0x5E00 + n % 97)}" for n in range(20_000))
    assert Summary.objects.merge({RECORD.video_id: [SummaryText("audio", text)]}, {RECORD.video_id}) == (1, 0)


class AnyOrder(TestCase):
    """Property: in whatever order records of one video come, nothing real is lost to a placeholder or to nothing."""

    records = st.lists(
        st.builds(
            lambda title, channel, views, audio, hour: replace(
                RECORD, title=title, channel_name=channel, view_count=views, has_audio=audio,
                updated_at=NOON + timedelta(hours=hour),
            ),
            st.sampled_from(["", "Untitled", "A", "B"]),
            st.sampled_from(["", "Unknown", "C"]),
            st.integers(0, 3),
            st.booleans(),
            st.integers(0, 5),
        ),
        min_size=1, max_size=5, unique_by=lambda record: record.updated_at,
    )  # fmt: skip

    @settings(max_examples=40, deadline=None)
    @given(records, st.randoms())
    def test_nothing_real_is_ever_lost(self, records, random):
        random.shuffle(records)
        for record in records:
            upsert(record)
        video = stored()
        real = [record.title for record in records if record.title in ("A", "B")]
        assert video.title in (real or ["", "Untitled"])
        assert bool(video.view_count) == any(record.view_count for record in records)
        assert video.has_audio == any(record.has_audio for record in records)
        assert video.updated_at == max(record.updated_at for record in records)
        if len(real) == len(records):
            assert video.title == max(records, key=lambda record: record.updated_at).title


# Races


def meet(*works: Callable[[], None]) -> None:
    """Run each in a thread and a transaction of its own, all starting at once."""
    barrier = threading.Barrier(len(works))
    errors: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait()
            with transaction.atomic():
                work()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["delete", "ingest"])
def test_deleted_video_stays_deleted_when_both_transactions_are_open(first):
    """Either goes first and waits to commit until the other is under way."""
    upsert(RECORD)
    started, results = threading.Event(), []

    def delete() -> None:
        Video.objects.filter(pk=RECORD.video_id).update(deleted_at=timezone.now(), deleted_by="owner")

    def ingest() -> None:
        results.append(Video.objects.upsert([replace(RECORD, title="Back again", updated_at=LATER)]))

    works = {"delete": delete, "ingest": ingest}
    second = ({"delete", "ingest"} - {first}).pop()

    def run_first() -> None:
        works[first]()
        started.set()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.3)")

    def run_second() -> None:
        started.wait()
        works[second]()

    meet(run_first, run_second)
    video = stored()
    assert video.deleted_at
    assert (results[0][RECORD.video_id].action == Action.DELETED) == (first == "delete")
    assert video.title == ("A title" if first == "delete" else "Back again")


@pytest.mark.django_db(transaction=True)
def test_many_writers_of_the_same_videos_in_different_order_do_not_deadlock():
    keys = [f"key{number:08d}" for number in range(20)]

    def ingest(order: int) -> Callable[[], None]:
        records = [replace(RECORD, video_id=key, legacy_id="", view_count=order + 2) for key in keys]
        return lambda: Video.objects.upsert(records[::order]) and None

    for _ in range(5):
        meet(ingest(1), ingest(-1), ingest(1), ingest(-1))
    assert Video.objects.count() == 20


def test_a_video_is_found_by_every_name_and_only_by_whole_ones():
    make_video(1, video_id="AbC-dE_f123", legacy_id="yt:abc-de_f123")
    for name in ("AbC-dE_f123", "yt:abc-de_f123", "a_title_AbC-dE_f123"):
        assert Video.objects.named(name).pk == "AbC-dE_f123"
    for name in ("", "m", "AbC", "%", "AbC-dE_f12", "\x00"):
        with pytest.raises(Video.DoesNotExist):
            Video.objects.named(name)
