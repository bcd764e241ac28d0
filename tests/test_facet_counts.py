"""The kept counts are exact: whatever is written, in whatever order, they equal a recount."""

import threading
from collections import Counter

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from videos.curation import mark_reviewed
from videos.deciding import deciding
from videos.models import Categorization, Category, FacetCount, Origin, Pair, Subcategory, Video

from .factories import categorise, make_library, make_video


def kept() -> dict[tuple, int]:
    """The kept counts, without the revision."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT facet, value, category_id, subcategory_id, sum(count)::bigint FROM videos_facetcount"
            " WHERE facet <> 'revision' GROUP BY 1, 2, 3, 4 HAVING sum(count) <> 0"
        )
        return {tuple(row): count for *row, count in cursor.fetchall()}


def recounted() -> dict[tuple, int]:
    """The same from the rows themselves, in Python."""
    counts: Counter[tuple] = Counter()
    live = Video.objects.live()
    for video in live:
        counts["total", "", None, None] += 1
        values = {
            "source": video.source, "language": video.language, "content_type": video.content_type,
            "complexity_level": video.complexity_level, "channel": video.channel_name,
            "has_audio": str(video.has_audio).lower(),
        }  # fmt: skip
        for facet, value in values.items():
            if value:
                counts[facet, value, None, None] += 1
    rows = Categorization.objects.filter(video__in=live)
    for video_id, category in {(row.video_id, row.category_id) for row in rows}:
        assert video_id
        counts["category", "", category, None] += 1
    for row in rows:
        if row.subcategory_id:
            counts["subcategory", "", row.category_id, row.subcategory_id] += 1
    return dict(counts)


def highest_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(pg_sequence_last_value('videos_facetcount_id_seq'), 0)")
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_differences_are_added_up_every_thousand_and_not_with_every_write_however_many_counts_there_are():
    Video.objects.bulk_create(
        Video(video_id=f"v{number}", source="youtube", channel_name=f"Channel {number}") for number in range(1100)
    )
    FacetCount.objects.compact()
    number = highest_id()
    for word_count in range(20):
        Video.objects.filter(pk="v1").update(word_count=word_count)
    assert highest_id() == number + 20
    for word_count in range(1000):
        Video.objects.filter(pk="v1").update(word_count=word_count)
    assert number + 2000 < highest_id() < number + 4000
    assert kept() == recounted()


videos = st.integers(0, 4).map(lambda number: f"video_{number:05d}")
values = st.sampled_from(["", "a", "b"])
pairs = st.tuples(st.sampled_from("XY"), st.sampled_from(["p", "q", None]))
steps = st.one_of(
    st.tuples(st.just("set"), videos, st.sampled_from(["channel_name", "language", "content_type", "source"]), values),
    st.tuples(st.just("audio"), videos, st.booleans()),
    st.tuples(st.just("delete"), videos),
    st.tuples(st.just("restore"), videos),
    st.tuples(st.just("categorise"), videos, st.lists(pairs, max_size=3, unique=True)),
    st.tuples(st.just("uncategorise"), st.lists(videos, max_size=3)),
    st.tuples(st.just("move"), st.sampled_from("pq"), st.sampled_from("XY")),
    st.tuples(st.just("compact")),
)


class Counts(TestCase):
    def setUp(self) -> None:
        for number in range(5):
            make_video(number, channel_name="a", language="", content_type="b", complexity_level="")

    def take(self, action: str, *arguments) -> None:
        match action, arguments:
            case "set", (video, column, value):
                Video.objects.filter(pk=video).update(**{column: value or ("x" if column == "source" else "")})
            case "audio", (video, flag):
                Video.objects.filter(pk=video).update(has_audio=flag)
            case "delete", (video,):
                Video.objects.filter(pk=video, deleted_at=None).update(deleted_at=timezone.now())
            case "restore", (video,):
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL ytv2.allow = 'restore'")
                    Video.objects.filter(pk=video).update(deleted_at=None)
                    cursor.execute("SET LOCAL ytv2.allow = ''")
            case "categorise", (video, pairs):
                Categorization.objects.filter(video=video).delete()
                Categorization.objects.merge({video: [Pair(*pair, Origin.AI) for pair in pairs]}, {video})
            case "uncategorise", (of,):
                Categorization.objects.filter(video__in=of).delete()
            case "move", (name, category):
                target = Subcategory.objects.filter(name=name, category__name=category).first()
                if target:
                    taken = Categorization.objects.filter(subcategory=target).values("video")
                    rows = Categorization.objects.filter(subcategory=None).exclude(video__in=taken)
                    first = {row.video_id: row.pk for row in rows}.values()
                    Categorization.objects.filter(pk__in=first).update(subcategory=target, category=target.category)
            case "compact", ():
                FacetCount.objects.compact()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(steps, max_size=12))
    def test_kept_counts_equal_a_recount_after_any_writes(self, taken):
        for step in taken:
            self.take(*step)
        assert kept() == recounted()


@pytest.mark.django_db
def test_adding_up_changes_no_count_and_leaves_few_rows():
    make_library(40)
    for number in range(30):
        Video.objects.filter(pk="video_00001").update(channel_name=f"Channel {number}")
    before, rows = kept(), FacetCount.objects.count()
    FacetCount.objects.compact()
    assert kept() == before == recounted()
    assert FacetCount.objects.count() < rows


@pytest.mark.django_db
def test_writers_add_the_table_up_themselves():
    video = make_video()
    for number in range(1200):
        Video.objects.filter(pk=video.pk).update(channel_name=f"Channel {number}")
    assert FacetCount.objects.count() < 3000
    assert kept() == recounted()


@pytest.mark.django_db
def test_every_write_makes_a_new_revision_and_reading_makes_none():
    video = make_video()
    categorise(video, [("A", "a")], Origin.AI)
    writes = [
        lambda: Video.objects.filter(pk=video.pk).update(title="new"),
        lambda: Category.objects.update(name="B"),
        lambda: Subcategory.objects.update(name="b"),
        lambda: Categorization.objects.update(position=5),
        lambda: mark_reviewed([video.pk], "curator"),
        lambda: Categorization.objects.all().delete(),
        lambda: video.summaries.create(variant="audio", revision=1, text="t", html="t"),
        lambda: video.summaries.update(html="u"),
    ]
    for write in writes:
        before = FacetCount.objects.revision()
        assert FacetCount.objects.revision() == before
        write()
        assert FacetCount.objects.revision() != before
    before = FacetCount.objects.revision()
    Video.objects.filter(pk="nobody").update(title="x")
    assert FacetCount.objects.revision() == before


@pytest.mark.django_db(transaction=True)
def test_counts_are_exact_when_a_delete_and_a_categorisation_meet():
    """Two connections: one deletes videos while the other categorises them, many times over."""
    make_library(20)
    start = threading.Barrier(2)
    errors = []

    def run(work) -> None:
        try:
            start.wait()
            for number in range(20):
                with transaction.atomic():
                    work(f"video_{number:05d}")
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def delete(video_id: str) -> None:
        Video.objects.filter(pk=video_id).update(deleted_at=timezone.now())

    def categorise_again(video_id: str) -> None:
        category, _ = Category.objects.get_or_create(name="Late")
        with deciding("curator"):
            Categorization.objects.create(video_id=video_id, position=9, category=category)

    threads = [threading.Thread(target=run, args=[work]) for work in (delete, categorise_again)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert kept() == recounted()
