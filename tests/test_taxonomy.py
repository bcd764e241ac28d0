"""Names of the taxonomy: what each verb does to videos, counts, former names and what comes in later."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ingest.merge import merge as take_in
from ingest.payloads import Arrival
from videos import taxonomy
from videos.curation import decide, mark_reviewed
from videos.deciding import share_names
from videos.models import (
    Categorization,
    CategorizationEvent,
    Category,
    CategoryEvent,
    Origin,
    Pair,
    Proposal,
    Review,
    Subcategory,
    Video,
)
from videos.search import Search
from videos.taxonomy import Refused
from videos.upsert import VideoRecord

from .factories import categorise, make_video
from .test_facet_counts import kept, recounted

pytestmark = pytest.mark.django_db

BY = "curator"
NOON = datetime(2025, 9, 11, 12, tzinfo=UTC)


def category(name: str) -> Category:
    return Category.objects.get(name=name)


def below(name: str, of: str) -> Subcategory:
    return Subcategory.objects.get(category__name=of, name=name)


def pairs(number: int = 1) -> list[tuple[str, str | None]]:
    """The pairs of a video by name, in order."""
    return [(pair.category, pair.subcategory) for pair in stored(number)]


def stored(number: int = 1) -> list[Pair]:
    key = f"video_{number:05d}"
    return Categorization.objects.pairs_of([key])[key]


def filed(number: int, *names: tuple[str, str | None], origin: Origin = Origin.AI) -> Video:
    """A video that is in these categories."""
    video = make_video(number)
    categorise(video, names, origin)
    return video


def send(number: int, *names: tuple[str, str | None]) -> None:
    """What a worker sends of a video."""
    key = f"video_{number:05d}"
    record = VideoRecord(key, "youtube", title=f"Video number {number}", updated_at=timezone.now())
    take_in(Arrival(record, tuple(Pair(*one, Origin.AI) for one in names), ()), by="worker")


def assert_whole() -> None:
    """What holds whatever was done: counts are exact, videos have present names, former names lead to present ones."""
    assert kept() == recounted()
    rows = Categorization.objects
    assert not rows.filter(category__merged_into__isnull=False).exists()
    assert not rows.filter(subcategory__merged_into__isnull=False).exists()
    for model in (Category, Subcategory):
        assert not model.objects.filter(merged_into__merged_into__isnull=False).exists()
    assert not Category.objects.filter(merged_below__merged_into__isnull=False).exists()
    for former in Category.objects.filter(merged_below__isnull=False).select_related("merged_below"):
        assert former.merged_below.category_id == former.merged_into_id
    assert not Subcategory.objects.present().filter(category__merged_into__isnull=False).exists()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


# Rename


def test_a_renamed_category_keeps_its_key_and_leaves_its_name():
    filed(1, ("Tech", "Web"))
    row = category("Tech")
    taxonomy.rename(row, "  Technology ", BY)
    assert pairs() == [("Technology", "Web")]
    assert category("Technology").pk == row.pk
    assert category("Tech").merged_into_id == row.pk
    assert_whole()


def test_what_comes_with_a_former_name_lands_on_the_present_one():
    filed(1, ("Tech", "Web"), ("Tech", "Old"))
    taxonomy.rename(below("Old", "Tech"), "New", BY)
    taxonomy.rename(category("Tech"), "Technology", BY)
    taxonomy.rename(below("Web", "Technology"), "Web Development", BY)
    send(2, ("Tech", "Web"), ("Tech", "Old"), ("Tech", "Unheard of"))
    expected = [("Technology", "Web Development"), ("Technology", "New"), ("Technology", "Unheard of")]
    assert pairs(2) == expected
    assert pairs(1) == expected[:2]
    assert_whole()


def test_a_rename_back_leaves_one_former_name():
    filed(1, ("Tech", "Web"))
    taxonomy.rename(category("Tech"), "Technology", BY)
    taxonomy.rename(category("Technology"), "Tech", BY)
    assert dict(Category.objects.values_list("name", "merged_into__name")) == {"Tech": None, "Technology": "Tech"}
    taxonomy.rename(below("Web", "Tech"), "Net", BY)
    taxonomy.rename(below("Net", "Tech"), "Web", BY)
    assert pairs() == [("Tech", "Web")]
    send(2, ("Technology", "Net"), ("Tech", "Net"))
    assert pairs(2) == [("Tech", "Web")]
    assert_whole()


def test_a_name_that_came_by_a_merge_can_be_taken_back():
    filed(1, ("Art", "Film"), ("Arts", "Music"))
    taxonomy.merge(category("Art"), category("Arts"), BY)
    taxonomy.rename(below("Film", "Arts"), "Movies", BY)
    taxonomy.rename(category("Arts"), "Art", BY)
    assert pairs() == [("Art", "Movies"), ("Art", "Music")]
    send(2, ("Art", "Film"), ("Arts", "Music"))
    assert pairs(2) == pairs(1)
    assert_whole()


@pytest.mark.parametrize("name", ["news–POLITICS  now", "news-politics now", "News—Politics Now"])
def test_a_name_that_looks_like_another_is_refused_and_the_other_named(name):
    filed(1, ("News-Politics Now", None), ("Other", None))
    with pytest.raises(Refused, match="There is") as refused:
        taxonomy.rename(category("Other"), name, BY)
    assert refused.value.clash == category("News-Politics Now")
    with pytest.raises(Refused, match="There is"):
        taxonomy.add(name, BY)


def test_and_is_the_same_as_its_sign():
    filed(1, ("Health & Wellness", "A and B"), ("Health & Wellness", "C"))
    with pytest.raises(Refused, match="There is"):
        taxonomy.add("health and wellness", BY)
    with pytest.raises(Refused, match="There is"):
        taxonomy.rename(below("C", "Health & Wellness"), "a & b", BY)


def test_a_row_can_be_written_in_another_way():
    filed(1, ("history", "modern"))
    taxonomy.rename(category("history"), "History", BY)
    taxonomy.rename(below("modern", "History"), "Modern", BY)
    assert pairs() == [("History", "Modern")]
    taxonomy.rename(category("History"), "history", BY)
    assert_whole()


def test_a_former_name_of_another_is_refused():
    filed(1, ("A", None), ("B", None))
    taxonomy.rename(category("A"), "C", BY)
    with pytest.raises(Refused, match="former name of “C”") as refused:
        taxonomy.rename(category("B"), "a", BY)
    assert refused.value.clash == category("C")
    with pytest.raises(Refused, match="is a former name"):
        taxonomy.rename(category("A"), "D", BY)


@pytest.mark.parametrize("name", ["", "  ", "a\x00b", "a\nb", "\u200b", "\u200d", "\ud800", "a\u202eb", "x" * 101])
def test_odd_names_are_refused_with_a_sentence(name):
    filed(1, ("A", "a"))
    for row in (category("A"), below("a", "A")):
        with pytest.raises(Refused) as refused:
            taxonomy.rename(row, name, BY)
        assert str(refused.value).endswith(".")
    with pytest.raises(Refused):
        taxonomy.add(name, BY)
    assert Category.objects.count() == 1


# Merge


def test_a_merge_puts_subcategories_together_by_name_and_adds_the_others():
    filed(1, ("Tech", "Web"), ("Tech", "Robots"))
    filed(2, ("Tech", None))
    filed(3, ("Technology", "web"))
    changed = taxonomy.merge(category("Tech"), category("Technology"), BY)
    assert pairs(1) == [("Technology", "web"), ("Technology", "Robots")]
    assert pairs(2) == [("Technology", None)]
    assert (changed.moved, changed.joined) == (3, 0)
    send(4, ("Tech", "Web"), ("Tech", None))
    assert pairs(4) == [("Technology", "web"), ("Technology", None)]
    assert_whole()


def test_bare_pairs_go_below_a_subcategory_if_one_is_named():
    filed(1, ("AI", None))
    filed(2, ("Technology", "Machines"))
    target = below("Machines", "Technology")
    taxonomy.merge(category("AI"), target.category, BY, below=target)
    assert pairs(1) == [("Technology", "Machines")]
    send(3, ("AI", None))
    assert pairs(3) == [("Technology", "Machines")]
    taxonomy.rename(target, "Engines", BY)
    send(4, ("AI", None))
    assert pairs(4) == [("Technology", "Engines")]
    taxonomy.move(below("Engines", "Technology"), taxonomy.add("Science", BY).row, BY)
    send(5, ("AI", None))
    assert pairs(5) == [("Science", "Engines")]
    assert_whole()


def test_a_pair_that_a_video_has_twice_keeps_the_first_place_and_a_persons_origin():
    video = make_video(1)
    categorise(video, [("A", "x"), ("C", None), ("B", "x")], Origin.AI)
    curated = make_video(2)
    Categorization.objects.merge(
        {
            curated.pk: [
                Pair("A", "x", Origin.IMPORTED),
                Pair("C", None, Origin.CURATED),
                Pair("B", "x", Origin.CURATED),
            ]
        },
        {curated.pk},
    )
    before = list(Review.objects.values())
    changed = taxonomy.merge(category("A"), category("B"), BY)
    assert stored(1) == [Pair("B", "x", Origin.AI), Pair("C", None, Origin.AI)]
    assert stored(2) == [Pair("B", "x", Origin.CURATED), Pair("C", None, Origin.CURATED)]
    assert changed.joined == 2
    assert list(Review.objects.values()) == before
    assert_whole()


def test_a_subcategory_can_be_merged_into_one_of_another_category():
    filed(1, ("A", "x"), ("B", "y"))
    taxonomy.merge(below("x", "A"), below("y", "B"), BY)
    assert pairs() == [("B", "y")]
    send(2, ("A", "x"))
    assert pairs(2) == [("B", "y")]
    assert_whole()


def test_former_names_follow_and_make_no_chains():
    filed(1, ("A", "x"), ("B", "y"), ("C", "z"))
    taxonomy.rename(category("A"), "A2", BY)
    taxonomy.rename(below("x", "A2"), "x2", BY)
    taxonomy.merge(category("A2"), category("B"), BY)
    taxonomy.merge(category("B"), category("C"), BY)
    taxonomy.merge(below("x2", "C"), below("z", "C"), BY)
    for number, names in enumerate([("A", "x"), ("A", "x2"), ("A2", "x"), ("A2", "x2"), ("B", "x2"), ("C", "x2")], 2):
        send(number, names)
        assert pairs(number) == [("C", "z")], names
    send(9, ("A", None), ("B", "y"))
    assert pairs(9) == [("C", None), ("C", "y")]
    assert_whole()


def test_a_merge_that_makes_no_sense_is_refused():
    filed(1, ("A", "x"), ("B", "y"))
    a, b, x = category("A"), category("B"), below("x", "A")
    for source, target in ((a, a), (x, x), (a, x), (x, a)):
        with pytest.raises(Refused):
            taxonomy.merge(source, target, BY)
    with pytest.raises(Refused, match="no subcategory of"):
        taxonomy.merge(a, b, BY, below=x)
    taxonomy.retire(b, BY)
    with pytest.raises(Refused, match="retired"):
        taxonomy.merge(a, b, BY)
    with pytest.raises(Refused, match="retired"):
        taxonomy.merge(x, below("y", "B"), BY)


def test_deleted_videos_go_over_as_well():
    video = filed(1, ("A", "x"))
    filed(2, ("B", "x"))
    video.delete_by("owner", "")
    taxonomy.merge(category("A"), category("B"), BY)
    Video.objects.get(pk=video.pk).restore_by("owner")
    assert pairs(1) == [("B", "x")]
    assert_whole()


# Move


def test_a_subcategory_that_moves_is_found_below_its_new_category_and_can_move_back():
    filed(1, ("A", "x"), ("B", "y"))
    taxonomy.move(below("x", "A"), category("B"), BY)
    assert pairs() == [("B", "x"), ("B", "y")]
    taxonomy.move(below("x", "B"), category("A"), BY)
    assert pairs() == [("A", "x"), ("B", "y")]
    send(2, ("B", "x"))
    assert pairs(2) == [("A", "x")]
    taxonomy.merge(category("A"), category("B"), BY)
    assert pairs() == [("B", "x"), ("B", "y")]
    assert_whole()


def test_a_move_to_where_the_name_is_taken_is_refused():
    filed(1, ("A", "x"), ("B", "X"))
    with pytest.raises(Refused, match="There is") as refused:
        taxonomy.move(below("x", "A"), category("B"), BY)
    assert refused.value.clash == below("X", "B")


# Order, retire, place, add


def test_the_order_is_saved_in_one_place():
    filed(1, *((name, None) for name in "ABCD"))
    taxonomy.reorder([category("C"), category("A")], BY)
    assert list(Category.objects.order_by("position").values_list("name", flat=True)) == ["C", "A", "B", "D"]
    filed(2, ("A", "x"), ("B", "y"))
    with pytest.raises(Refused):
        taxonomy.reorder([below("x", "A"), below("y", "B")], BY)


def test_what_is_retired_is_offered_no_more_and_stays_with_its_videos():
    filed(1, ("A", "x"))
    taxonomy.retire(category("A"), BY)
    assert not Category.objects.offered().exists()
    assert pairs() == [("A", "x")]
    send(2, ("A", "x"))
    assert pairs(2) == [("A", "x")]
    taxonomy.bring_back(category("A"), BY)
    assert Category.objects.offered().exists()
    assert_whole()


def test_a_new_name_gets_its_place():
    filed(1, ("Brought by a machine", None))
    assert category("Brought by a machine").is_new
    taxonomy.place(category("Brought by a machine"), BY)
    assert not category("Brought by a machine").is_new


def test_a_name_that_a_person_adds_is_at_the_end_and_waits_for_nobody():
    taxonomy.reorder([taxonomy.add(name, BY).row for name in "AB"], BY)
    row = taxonomy.add("C", BY).row
    assert (row.position, row.is_new) == (2, False)
    assert taxonomy.add("x", BY, row).row == below("x", "C")
    assert not Category.objects.filter(is_new=True).exists()


# Old flat names


def test_old_flat_names_get_their_pairs_at_once():
    filed(1, ("Health", None), ("History", None), origin=Origin.IMPORTED)
    filed(2, ("History", None), ("History", "Modern History"))
    filed(3, ("Health & Wellness", "Fitness"))
    filed(4, ("History", None), ("History", "Modern History"), origin=Origin.IMPORTED)
    fitness, modern = below("Fitness", "Health & Wellness"), below("Modern History", "History")
    mapping = {category("Health"): (fitness.category, fitness), category("History"): (modern.category, modern)}
    preview = taxonomy.preview_flat(mapping)
    assert preview.videos == 2
    changed = taxonomy.map_flat(mapping, BY)
    assert (changed.moved, changed.joined) == (3, 1)
    assert pairs(1) == [("Health & Wellness", "Fitness"), ("History", "Modern History")]
    assert pairs(2) == [("History", None), ("History", "Modern History")]
    assert pairs(4) == [("History", "Modern History")]
    assert category("Health").merged_below == fitness
    assert category("History").merged_into is None
    assert_whole()


def test_a_flat_name_cannot_become_one_that_goes_itself():
    filed(1, ("A", None), ("B", None), ("C", "x"))
    with pytest.raises(Refused, match="Map it afterwards"):
        taxonomy.map_flat({category("A"): (category("B"), None), category("B"): (category("C"), None)}, BY)
    with pytest.raises(Refused):
        taxonomy.map_flat({category("C"): (category("C"), None)}, BY)
    assert pairs() == [("A", None), ("B", None), ("C", "x")]


# What people have decided


def test_who_curated_a_video_and_when_stays_as_it_was():
    filed(1, ("A", "x"), ("B", "x"))
    filed(2, ("A", None))
    decide({"video_00001": [("A", "x"), ("B", "x")]}, "somebody")
    mark_reviewed(["video_00002"], "somebody")
    before = list(Review.objects.order_by("pk").values())
    taxonomy.rename(category("A"), "A2", BY)
    taxonomy.merge(category("A2"), category("B"), BY)
    assert list(Review.objects.order_by("pk").values()) == before
    assert stored(1) == [Pair("B", "x", Origin.CURATED)]


def test_what_was_answered_does_not_wait_again_under_its_former_name():
    filed(1, ("A", "x"), origin=Origin.CURATED)
    send(1, ("B", "y"))
    assert Proposal.objects.waiting().exists()
    mark_reviewed(["video_00001"], "somebody")
    taxonomy.rename(taxonomy.add("B", BY).row, "B2", BY)
    assert Proposal.objects.get().pairs == [["B2", "y"]]
    send(1, ("B", "y"))
    assert not Proposal.objects.waiting().exists()


def test_a_proposal_that_says_what_is_stored_then_waits_no_more():
    filed(1, ("A", "x"), origin=Origin.CURATED)
    filed(2, ("B", "x"))
    send(1, ("B", "x"))
    taxonomy.merge(category("B"), category("A"), BY)
    proposal = Proposal.objects.get()
    assert (proposal.pairs, proposal.settled_by) == ([["A", "x"]], BY)


def test_history_says_who_did_it():
    filed(1, ("A", "x"), ("B", "y"))
    taxonomy.rename(category("A"), "A2", BY)
    taxonomy.merge(category("A2"), category("B"), BY)
    renamed = CategoryEvent.objects.filter(pgh_label="update", name="A").earliest("pgh_id")
    went = CategorizationEvent.objects.filter(pgh_label="update").latest("pgh_id")
    assert renamed.pgh_context.metadata["curator"] == went.pgh_context.metadata["curator"] == BY
    with pytest.raises(ValueError, match="nobody is named"):
        taxonomy.rename(category("B"), "C", " ")


# Previews


def test_a_preview_says_what_would_change_and_changes_nothing():
    for number in range(25):
        filed(number, ("Tech", "Web"), ("Tech", "Robots"))
    filed(30, ("Technology", "Web"))
    preview = taxonomy.preview_merge(category("Tech"), category("Technology"))
    assert preview.videos == 25
    assert len(preview.titles) == 20
    assert preview.subcategories == (
        "“Robots” (25 videos) is added below “Technology”.",
        "“Web” (25 videos) becomes “Technology › Web”, which is there.",
        "What has no subcategory goes to “Technology”, without one.",
    )
    assert taxonomy.preview_rename(below("Web", "Tech"), "Net").videos == 25
    assert taxonomy.preview_move(below("Robots", "Tech"), category("Technology")).videos == 25
    for preview_of in (taxonomy.preview_retire, taxonomy.preview_bring_back, taxonomy.preview_place):
        assert preview_of(category("Tech")).videos == 25
    assert pairs(0) == [("Tech", "Web"), ("Tech", "Robots")]
    assert not Category.objects.filter(merged_into__isnull=False).exists()


# Links


def test_a_link_with_a_former_name_goes_on_finding():
    filed(1, ("Tech", "Web"))
    filed(2, ("Science", "Space"))
    taxonomy.rename(below("Web", "Tech"), "Net", BY)
    taxonomy.rename(category("Tech"), "Technology", BY)
    taxonomy.merge(category("Science"), category("Technology"), BY)
    for search, found in (
        (Search(categories=("Tech",)), 2),
        (Search(subcategories=("Web",)), 1),
        (Search(subcategories=("Web",), parent_categories=("Tech",)), 1),
        (Search(subcategories=("Net",), parent_categories=("Tech",)), 1),
        (Search(subcategories=("Space",), parent_categories=("Tech",)), 1),
        (Search(subcategories=("Space",), parent_categories=("Science",)), 1),
        (Search(subcategories=("Space",), parent_categories=("Other",)), 0),
    ):
        assert search.count() == search.matching().count() == found, search


# Races


@pytest.mark.django_db(transaction=True)
def test_a_merge_and_an_ingest_of_the_old_name_that_meet_leave_the_new_one():
    filed(0, ("A", "x"))
    filed(1, ("B", "y"))
    start = threading.Barrier(2)
    errors = []

    def run(*work) -> None:
        try:
            start.wait()
            for one in work:
                one()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def ingest() -> None:
        for number in range(2, 22):
            send(number, ("A", "x"), ("A", None))

    threads = [
        threading.Thread(target=run, args=[ingest]),
        threading.Thread(target=run, args=[lambda: taxonomy.merge(category("A"), category("B"), BY)]),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert all(pairs(number) == [("B", "x"), ("B", None)] for number in range(2, 22))
    assert_whole()


@pytest.mark.django_db(transaction=True)
def test_a_verb_waits_for_writers_and_gives_up_with_nothing_done(client, curator):
    filed(1, ("A", "x"))
    written, finished = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            share_names()
            written.set()
            finished.wait()
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    written.wait()
    try:
        page = client.post(f"{LIST}rename/", {"row": f"category:{category('A').pk}", "name": "B"})
        assert "Somebody is writing" in page.text and "try again" in page.text
    finally:
        finished.set()
        writer.join()
    assert not Category.objects.filter(name="B").exists()


# Any order

NAMES, BELOW = "ABC", "xyz"
of_category = st.sampled_from(NAMES)
of_below = st.sampled_from(BELOW)
steps = st.one_of(
    st.tuples(st.just("rename"), of_category, st.sampled_from(["A", "B", "C", "D", "E"])),
    st.tuples(st.just("merge"), of_category, of_category, st.one_of(st.none(), of_below)),
    st.tuples(st.just("rename below"), of_category, of_below, st.sampled_from(["x", "y", "z", "u", "X"])),
    st.tuples(st.just("merge below"), of_category, of_below, of_category, of_below),
    st.tuples(st.just("move"), of_category, of_below, of_category),
    st.tuples(st.just("flat"), of_category, of_category, st.one_of(st.none(), of_below)),
    st.tuples(st.just("retire"), of_category),
    st.tuples(st.just("send"), of_category, st.one_of(st.none(), of_below)),
)


class AnyOrder(TestCase):
    def setUp(self) -> None:
        number = 0
        for name in NAMES:
            for one in (None, *BELOW[:2]):
                filed(number, (name, one), origin=Origin.IMPORTED)
                number += 1
        filed(20, ("A", "x"), ("B", "x"), ("B", None), ("C", "y"))
        filed(21, ("C", "x"), ("A", "x"), origin=Origin.CURATED)
        self.sent = 30

    def named(self, name: str) -> Category:
        """The row that had this name at first, or what it is now."""
        row = Category.objects.get(name=name)
        return row.merged_into or row

    def below(self, name: str, one: str | None) -> Subcategory | None:
        found = Subcategory.objects.filter(category=self.named(name), name=one).first()
        return found and (found.merged_into or found)

    def take(self, action: str, *arguments: str | None) -> None:
        match action, arguments:
            case "rename", (name, new):
                taxonomy.rename(self.named(name), new, BY)
            case "merge", (source, target, one):
                taxonomy.merge(self.named(source), self.named(target), BY, self.below(target, one))
            case "rename below", (name, one, new):
                if row := self.below(name, one):
                    taxonomy.rename(row, new, BY)
            case "merge below", (name, one, target, other):
                rows = self.below(name, one), self.below(target, other)
                if all(rows):
                    taxonomy.merge(*rows, BY)
            case "move", (name, one, target):
                if row := self.below(name, one):
                    taxonomy.move(row, self.named(target), BY)
            case "flat", (source, target, one):
                taxonomy.map_flat({self.named(source): (self.named(target), self.below(target, one))}, BY)
            case "retire", (name,):
                taxonomy.retire(self.named(name), BY)
            case "send", names:
                self.sent += 1
                send(self.sent, names)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @example([("merge below", "B", "x", "A", "y"), ("merge", "A", "B", None)])
    @given(st.lists(steps, max_size=7))
    def test_any_verbs_in_any_order_keep_every_rule(self, taken: Sequence[tuple]):
        curated = list(Review.objects.values())
        former: set[int] = set()
        for step in taken:
            try:
                self.take(*step)
            except Refused:
                continue
            former |= set(Subcategory.objects.filter(merged_into__isnull=False).values_list("pk", flat=True))
        # A former name that another subcategory has taken since, by a merge or a move, means that one.
        taken_over = set(Subcategory.objects.present().filter(pk__in=former).values_list("category__name", "name"))
        assert_whole()
        assert list(Review.objects.values()) == curated
        for number, names in enumerate((name, one) for name in NAMES for one in (None, *BELOW[:2])):
            if names[1] is None and any(action == "flat" for action, *_ in taken):
                # A category that stays gets its own name back with what comes in later.
                continue
            if names in taken_over:
                continue
            key = f"video_{number:05d}"
            sent = Categorization.objects.with_present_names({key: [Pair(*names, Origin.IMPORTED)]})
            assert sent == Categorization.objects.pairs_of([key]), "what comes with the first names goes where it is"


# The admin

LIST = "/admin/videos/category/"


@pytest.fixture
def curator(client):
    user = get_user_model().objects.create_superuser("ada")
    client.force_login(user)
    return user


def confirm(client, verb: str, **values: str) -> str:
    """Look at what a verb would do, do it, and what the page says then."""
    preview = client.get(f"{LIST}{verb}/", values)
    assert preview.status_code == 200
    assert preview.context["preview"], preview.context["problem"]
    assert "Confirm" in preview.text and "To go back" in preview.text
    done = client.post(f"{LIST}{verb}/", values, follow=True)
    return " ".join(str(message) for message in done.context["messages"])


def test_every_verb_works_from_its_page(client, curator):
    filed(1, ("Tech", "Web"), ("Brought", None))
    filed(2, ("Technology", "Net"))
    tech, web = f"category:{category('Tech').pk}", f"subcategory:{below('Web', 'Tech').pk}"
    technology = category("Technology")
    assert "is now" in confirm(client, "rename", row=tech, name="Techs")
    assert "is now" in confirm(client, "move", row=web, into=f"{technology.pk}:")
    assert pairs(1) == [("Technology", "Web"), ("Brought", None)]
    web, net = below("Web", "Technology"), below("Net", "Technology")
    assert "is now" in confirm(client, "merge", row=f"subcategory:{web.pk}", into=f"{technology.pk}:{net.pk}")
    brought = f"category:{category('Brought').pk}"
    assert "place" in confirm(client, "place", row=brought)
    assert "retired" in confirm(client, "retire", row=brought)
    assert "offered" in confirm(client, "bring_back", row=brought)
    assert "part of" in confirm(client, "merge", row=brought, into=f"{technology.pk}:{net.pk}")
    assert pairs(1) == [("Technology", "Net")]
    said = LogEntry.objects.order_by("pk").values_list("change_message", flat=True)
    assert len(said) == 7 and said[0] == "Rename: “Tech” is now “Techs”."
    assert CategoryEvent.objects.filter(pgh_context__metadata__user=curator.pk).exists()
    assert_whole()


def test_a_clash_offers_the_merge(client, curator):
    filed(1, ("Tech", "Web"), ("Technology", None))
    page = client.get(f"{LIST}rename/", {"row": f"category:{category('Tech').pk}", "name": "technology"})
    assert "There is “Technology” already." in page.text
    offered = page.context["merge_instead"]
    assert client.get(offered).context["preview"].videos == 1


def test_a_change_that_is_posted_without_sense_says_why(client, curator):
    filed(1, ("A", "x"), ("B", None))
    a, x = f"category:{category('A').pk}", f"subcategory:{below('x', 'A').pk}"
    for verb, values in (
        ("rename", {"row": a, "name": "b"}),
        ("rename", {"row": a, "name": "\x00"}),
        ("merge", {"row": a, "into": "999999:"}),
        ("merge", {"row": a, "into": "odd"}),
        ("merge", {"row": a, "into": f"{category('A').pk}:"}),
        ("merge", {"row": x, "into": f"{category('B').pk}:"}),
        ("move", {"row": x, "into": f"{category('A').pk}:"}),
    ):
        for ask in (client.get, client.post):
            page = ask(f"{LIST}{verb}/", values)
            assert page.status_code == 200 and page.context["problem"], (verb, values)
    for row in ("", "odd", "category:", "category:999999", "video:1", "category:9999999999999999999", "category:x"):
        assert client.get(f"{LIST}retire/", {"row": row}).status_code == 404
    assert client.get(f"{LIST}move/", {"row": a}).status_code == 404
    assert pairs() == [("A", "x"), ("B", None)]


def test_the_page_shows_everything_in_as_many_queries_for_more_names(client, curator, django_assert_max_num_queries):
    filed(1, ("news", None), ("News", "World"), ("News", "world"), ("Old", None))
    taxonomy.place(category("News"), BY)
    taxonomy.retire(category("Old"), BY)
    with django_assert_max_num_queries(12):
        page = client.get(LIST)
    everything = page.context["everything"]
    assert [line.name for line in everything.new] == ["news"]
    assert [line.name for line in everything.retired] == ["Old"]
    assert {group.first.name for group in page.context["alike"]} == {"News", "World"}
    assert page.text.index("New, to be placed") < page.text.index('id="taxonomy-all"')
    filed(2, *((f"Category {number}", f"Below {number}") for number in range(30)))
    with django_assert_max_num_queries(12):
        page = client.get(LIST)
    assert "style=" not in page.text and "onclick" not in page.text


def test_the_order_is_changed_by_numbers_and_by_buttons(client, curator):
    rows = [taxonomy.add(name, BY).row for name in "ABCD"]
    numbers = {f"place-{row.pk}": str(place) for place, row in enumerate(rows, 1)}

    def order() -> str:
        return "".join(taxonomy.in_order(Category.objects.all()).values_list("name", flat=True))

    client.post(f"{LIST}reorder/", numbers | {f"place-{rows[3].pk}": "2"})
    assert order() == "ADBC"
    client.post(f"{LIST}reorder/", {"down": str(rows[0].pk)})
    assert order() == "DABC"
    client.post(f"{LIST}reorder/", {"up": str(rows[2].pk), f"place-{rows[0].pk}": "odd"})
    assert order() == "DACB"
    for name in "xyz":
        taxonomy.add(name, BY, rows[0])
    done = client.post(f"{LIST}reorder/", {"of": str(rows[0].pk), "up": str(below("z", "A").pk)})
    assert done.url.endswith(f"?open={rows[0].pk}#category-{rows[0].pk}")
    assert [row.name for row in taxonomy.in_order(rows[0].subcategories.all())] == ["x", "z", "y"]
    assert client.get(f"{LIST}reorder/").status_code == 405


def test_old_flat_names_are_mapped_from_one_page(client, curator):
    filed(1, ("Health", None), ("History", None), origin=Origin.IMPORTED)
    filed(2, ("History", "Modern"), ("Wellness", "Fitness"))
    url, modern, fitness = f"{LIST}flat-names/", below("Modern", "History"), below("Fitness", "Wellness")
    assert [line.name for line, _ in client.get(url).context["names"]] == ["Health", "History"]
    assert client.get(url, {"preview": "1"}).context["problem"]
    values = {
        f"to-{category('Health').pk}": f"{fitness.category_id}:{fitness.pk}",
        f"to-{category('History').pk}": f"{modern.category_id}:{modern.pk}",
    }
    preview = client.get(url, values).context["preview"]
    assert (preview.videos, len(preview.subcategories)) == (1, 2)
    client.post(url, values)
    assert pairs(1) == [("Wellness", "Fitness"), ("History", "Modern")]
    assert LogEntry.objects.count() == 2


def test_names_are_added_by_the_same_rule_and_never_deleted(client, curator):
    client.post(f"{LIST}add/", {"name": "Arts & Crafts"})
    page = client.post(f"{LIST}add/", {"name": "arts and crafts"})
    assert "There is “Arts &amp; Crafts” already." in page.text
    row = category("Arts & Crafts")
    add = "/admin/videos/subcategory/add/"
    assert client.post(add, {"name": "Paper"}).context["problem"]
    assert client.post(add, {"name": "Paper", "category": f"{row.pk}:"}).status_code == 302
    assert below("Paper", "Arts & Crafts").is_new is False
    assert client.get(f"{LIST}{row.pk}/delete/").status_code == 403


def test_the_page_of_a_name_says_what_it_was_or_is(client, curator):
    filed(1, ("A", None), ("B", "x"))
    taxonomy.merge(category("A"), category("B"), BY, below("x", "B"))
    x = below("x", "B")
    assert client.get(f"/admin/videos/subcategory/{x.pk}/change/").context["former_names"] == ["A"]
    assert "B › x" in client.get(f"{LIST}{category('A').pk}/change/").text
    assert client.get("/admin/videos/subcategory/").context["everything"].placed == []
    assert client.get(f"{LIST}999999/change/").status_code == 404


def test_only_who_may_change_categories_does(client):
    filed(1, ("A", "x"))
    reader = get_user_model().objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_category"))
    client.force_login(reader)
    page = client.get(LIST)
    assert page.status_code == 200 and "Rename" not in page.text
    row = {"row": f"category:{category('A').pk}", "name": "B"}
    for verb in ("rename", "merge", "retire", "flat-names"):
        assert client.get(f"{LIST}{verb}/", row).status_code == 403
        assert client.post(f"{LIST}{verb}/", row).status_code == 403
    assert client.post(f"{LIST}reorder/").status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert pairs() == [("A", "x")]


@pytest.mark.django_db(transaction=True)
def test_a_merge_that_was_interrupted_goes_on_where_it_was(monkeypatch, admin_client):
    for number in range(5):
        filed(number, ("Tech", "Web"), ("Tech", None))
    source = category("Tech")
    target = Category.objects.create(name="Technology")
    monkeypatch.setattr(taxonomy, "NEXT", taxonomy.NEXT.replace(f"LIMIT {taxonomy.AT_ONCE}", "LIMIT 2"))
    done = taxonomy.go_over_in
    batches = []

    def end_in_the_second(cursor: object, parameters: object) -> tuple[int, int]:
        batches.append(1)
        if len(batches) == 2:
            raise KeyboardInterrupt
        return done(cursor, parameters)

    monkeypatch.setattr(taxonomy, "go_over_in", end_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        taxonomy.merge(source, target, "ada")
    assert taxonomy.unfinished() and kept() == recounted()
    assert sorted(map(len, [pairs(number) for number in range(5)])) == [2] * 5
    # What comes meanwhile goes to the present name.
    send(9, ("Tech", "Web"))
    assert pairs(9) == [("Technology", "Web")]
    monkeypatch.setattr(taxonomy, "go_over_in", done)
    assert "A merge was interrupted" in admin_client.get("/admin/videos/category/").content.decode()
    assert admin_client.post("/admin/videos/category/finish/").status_code == 302
    assert not taxonomy.unfinished() and kept() == recounted()
    for number in range(5):
        assert pairs(number) == [("Technology", "Web"), ("Technology", None)]
