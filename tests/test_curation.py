"""What a person decides on categories, and that nothing else changes it."""

import re
import threading
from datetime import timedelta
from itertools import cycle, product

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from ingest.merge import merge
from ingest.payloads import read_universal
from videos import curation_list
from videos.bulk import Change, Verb, plan, run
from videos.curation import accept, decide, mark_reviewed
from videos.deciding import deciding
from videos.models import (
    Categorization,
    CategorizationEvent,
    Category,
    Curation,
    Origin,
    Proposal,
    Review,
    Subcategory,
    Video,
)  # fmt: skip
from videos.pairs_form import InvalidPairs, PairsForm, parse

from .database_sessions import wait_for
from .factories import categorise, make_library, make_video

pytestmark = pytest.mark.django_db

SNAPSHOT = settings.SHARED_DIR / "data" / "snapshot-2025-09-13-categorised.db"
WEB, WAR = ("Technology", "Web Development"), ("World War II (WWII)", "Aftermath & Reconstruction")


def pairs(key: str) -> list[tuple[str, str | None]]:
    stored = Categorization.objects.pairs_of([key])[key]
    return [(pair.category, pair.subcategory) for pair in stored]


def origins(key: str) -> set[str]:
    return set(Categorization.objects.filter(video=key).values_list("origin", flat=True))


def propose(key: str, *sent: tuple[str, str], at: str = "2030-01-01T00:00:00Z") -> None:
    """Let the worker report these categories of a video."""
    categories = [{"category": category, "subcategories": [below]} for category, below in sent]
    merge(
        read_universal({"video_id": key, "analysis": {"categories": categories}, "processed_at": at}, key), by="worker"
    )


@pytest.fixture
def video() -> Video:
    video = make_video()
    categorise(video, [WEB], Origin.AI)
    return video


@pytest.fixture
def curator(client):
    user = get_user_model().objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name="curator"))
    client.force_login(user)
    return client


@pytest.fixture
def viewer(client):
    user = get_user_model().objects.create_user("eve", is_staff=True)
    user.groups.add(Group.objects.get(name="viewer"))
    client.force_login(user)
    return client


# One video


def test_a_decision_keeps_its_order_and_says_who_and_when(video):
    decided = decide({video.pk: [WAR, WEB, WAR]}, "ada")
    assert decided.changed == [video.pk]
    assert pairs(video.pk) == [WAR, WEB] and origins(video.pk) == {Origin.CURATED}
    review = Review.objects.get()
    assert (review.reviewed_by, review.is_curated) == ("ada", True)
    assert timezone.now() - review.reviewed_at < timedelta(minutes=1)


def test_confirming_what_a_machine_said_makes_it_a_decision(video):
    decide({video.pk: [WEB]}, "ada")
    assert origins(video.pk) == {Origin.CURATED}
    assert decide({video.pk: [WEB]}, "eve").unchanged == [video.pk]
    assert Review.objects.get().reviewed_by == "ada"


def test_no_category_at_all_is_a_decision_that_no_machine_undoes(video):
    decide({video.pk: []}, "ada")
    propose(video.pk, WAR)
    assert pairs(video.pk) == []
    assert Proposal.objects.waiting().get().pairs == [list(WAR)]


def test_a_deleted_video_is_left_alone(video):
    video.delete_by("ada", "")
    assert decide({video.pk: [WAR]}, "ada").missing == [video.pk]
    assert mark_reviewed([video.pk], "ada").missing == [video.pk]
    assert pairs(video.pk) == [WEB] and not Review.objects.exists()


def test_a_proposal_waits_is_kept_away_and_does_not_come_back_until_it_differs(video):
    decide({video.pk: [WAR]}, "ada")
    propose(video.pk, WEB, at="2030-01-01T00:00:00Z")
    assert not Proposal.objects.waiting().exists(), "the machine said so before, and was overruled"
    propose(video.pk, ("Business", "Finance"), at="2030-01-02T00:00:00Z")
    assert Proposal.objects.waiting().get().proposed_by == "worker"
    mark_reviewed([video.pk], "ada")
    propose(video.pk, ("Business", "Finance"), at="2030-01-03T00:00:00Z")
    assert not Proposal.objects.waiting().exists()
    propose(video.pk, WEB, at="2030-01-04T00:00:00Z")
    assert Proposal.objects.waiting().exists()
    assert pairs(video.pk) == [WAR]


def test_accepting_takes_the_proposal_and_settles_it(video):
    decide({video.pk: [WAR]}, "ada")
    propose(video.pk, ("Business", "Finance"))
    accept([video.pk], "ada")
    assert pairs(video.pk) == [("Business", "Finance")] and origins(video.pk) == {Origin.CURATED}
    assert not Proposal.objects.waiting().exists()


def test_reviewed_is_no_decision_and_a_machines_change_asks_again(video):
    mark_reviewed([video.pk], "ada")
    assert origins(video.pk) == {Origin.AI} and Review.objects.get().is_curated is False
    propose(video.pk, WAR)
    assert pairs(video.pk) == [WAR] and not Review.objects.exists()


# What the database refuses

RAW = [
    "UPDATE videos_categorization SET position = position + 1",
    "UPDATE videos_categorization SET origin = 'ai'",
    "DELETE FROM videos_categorization",
    "INSERT INTO videos_categorization (video_id, position, category_id, origin)"
    " SELECT video_id, 9, (SELECT id FROM videos_category WHERE name = 'Business'), 'ai' FROM videos_video",
    "DELETE FROM videos_review",
    "UPDATE videos_review SET is_curated = false",
    "UPDATE videos_review SET reviewed_by = 'nobody'",
    "UPDATE videos_category SET name = 'Another' WHERE name = 'Technology'",
    "UPDATE videos_subcategory SET name = 'Another' WHERE name = 'Web Development'",
]


@pytest.mark.parametrize("sql", RAW)
def test_raw_sql_does_not_change_what_is_curated(video, sql):
    Category.objects.create(name="Business")
    decide({video.pk: [WAR, WEB]}, "ada")
    before = (list(Categorization.objects.values()), list(Review.objects.values()))
    refused = pytest.raises(IntegrityError, match="a person's decision")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert (list(Categorization.objects.values()), list(Review.objects.values())) == before


def test_nothing_becomes_curated_without_a_person(video):
    with pytest.raises(IntegrityError, match="a person's decision"), transaction.atomic():
        Categorization.objects.update(origin=Origin.CURATED)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO videos_review (video_id, is_curated, reviewed_by, reviewed_at)"
        " SELECT video_id, true, 'machine', now() FROM videos_video",
        "UPDATE videos_review SET is_curated = true",
    ],
)
def test_no_review_becomes_a_decision_without_a_person(video, sql):
    mark_reviewed([make_video(2).pk], "ada")
    with pytest.raises(IntegrityError, match="a person's decision"), transaction.atomic():
        connection.cursor().execute(sql)


def test_a_name_that_no_decision_uses_is_changed_by_raw_sql(video):
    Category.objects.update(name="Another")
    assert pairs(video.pk) == [("Another", WEB[1])]


@pytest.mark.parametrize(
    "table",
    [
        "videos_categorization",
        "videos_review",
        "videos_category CASCADE",
        "videos_video CASCADE",
        "videos_categorizationevent",
        "videos_titleordeleteevent",
    ],
)
def test_what_is_curated_is_not_emptied(video, table):
    """A TRUNCATE fires no trigger of the rows."""
    decide({video.pk: [WAR]}, "ada")
    with pytest.raises(IntegrityError, match="is not emptied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"TRUNCATE {table}")
    assert pairs(video.pk) == [WAR]


@pytest.mark.django_db(transaction=True)
def test_flush_empties_all_the_same_and_allows_it_to_nothing_after_it():
    decide({make_video(1).pk: [WAR]}, "ada")
    call_command("flush", interactive=False, verbosity=0)
    assert not Video.objects.exists() and not Categorization.objects.exists()
    make_video(2)
    with pytest.raises(IntegrityError, match="is not emptied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE videos_video CASCADE")


def test_raw_sql_that_names_a_person_is_let_through_and_ends_with_its_transaction(video):
    decide({video.pk: [WAR]}, "ada")
    with deciding("eve"):
        Categorization.objects.update(position=5)
    with pytest.raises(IntegrityError), transaction.atomic():
        Categorization.objects.update(position=6)


def test_history_has_every_change_of_a_bulk_update_and_of_raw_sql():
    make_library(50)
    before = CategorizationEvent.objects.count()
    with deciding("ada"):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE videos_categorization SET position = position + 10")
        Categorization.objects.filter(position=10).update(position=30)
    assert CategorizationEvent.objects.count() == before + 100 + 50
    assert CategorizationEvent.objects.last().pgh_context.metadata["curator"] == "ada"


@pytest.mark.django_db(transaction=True)
def test_a_decision_and_a_report_at_once_leave_the_decision(settings):
    keys = [make_video(number).pk for number in range(15)]
    start, errors = threading.Barrier(2), []

    def each(work) -> None:
        try:
            start.wait()
            for key in keys:
                work(key)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=each, args=[lambda key: decide({key: [WAR]}, "ada")]),
        threading.Thread(target=each, args=[lambda key: propose(key, WEB)]),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for key in keys:
        assert pairs(key) == [WAR]
        # Either it was there before and was overruled, or it waits.
        assert Proposal.objects.get(video=key).pairs == [list(WEB)]


# The 40 categorised videos of the snapshot


@pytest.mark.skipif(not SNAPSHOT.exists(), reason="the categorised snapshot is not here (YTV2_SHARED)")
def test_what_was_curated_outlives_reports_and_another_import():
    call_command("import_sqlite", str(SNAPSHOT), verbosity=0)
    keys = list(Review.objects.filter(is_curated=True).order_by("pk").values_list("pk", flat=True))
    assert len(keys) == 40
    others = list(Video.objects.live().exclude(pk__in=keys).values_list("pk", flat=True))
    before = {key: pairs(key) for key in keys + others}
    curated = {key: [choice] for key, choice in zip(keys[:10], cycle([WAR, WEB]), strict=False)}
    decide(curated, "ada")
    times = dict(Review.objects.values_list("pk", "reviewed_at"))
    for key in keys:
        propose(key, ("Gardening", "Roses"))
    call_command("import_sqlite", str(SNAPSHOT), verbosity=0)
    assert set(Proposal.objects.waiting().values_list("pk", flat=True)) == set(keys)
    call_command("import_sqlite", str(SNAPSHOT), verbosity=0)
    for key in keys:
        # What the worker's old upserts sent: flat names, and nothing.
        record = {"video_id": key, "title": "T", "category": ["News"], "processed_at": "2031-01-01T00:00:00Z"}
        merge(read_universal(record, key), by="worker")
        merge(read_universal({**record, "category": [], "analysis": {}}, key), by="worker")
    for key in keys:
        assert pairs(key) == (curated.get(key) or before[key])
        assert origins(key) == {Origin.CURATED}
    assert dict(Review.objects.values_list("pk", "reviewed_at")) == times
    assert set(Proposal.objects.waiting().values_list("pk", flat=True)) == set(keys)
    for key in others:
        assert set(pairs(key)) >= set(before[key])


# Many videos


def test_a_bulk_change_does_what_its_preview_says():
    make_library(40)
    videos = curation_list.listed({"state": "all"})
    change = Change(Verb.REPLACE, ("History", "Part 1"), WAR)
    planned = plan(videos, change)
    assert planned.changed + planned.unchanged == 40 and planned.changed > 0
    before = {key: pairs(key) for key in videos.values_list("pk", flat=True)}
    done = run(videos, change, "ada")
    assert len(done.decided.changed) == planned.changed and len(done.decided.unchanged) == planned.unchanged
    assert done.context is not None
    for key, old in before.items():
        assert pairs(key) == [WAR if pair == ("History", "Part 1") else pair for pair in old]
    assert plan(videos, change).changed == 0


@pytest.mark.parametrize(
    ("change", "then"),
    [
        (Change(Verb.ADD, WAR), [WEB, ("History", None), WAR]),
        (Change(Verb.ADD, WEB), [WEB, ("History", None)]),
        (Change(Verb.REMOVE, WEB), [("History", None)]),
        (Change(Verb.REMOVE, WAR), [WEB, ("History", None)]),
        (Change(Verb.REPLACE, WEB, WAR), [WAR, ("History", None)]),
        (Change(Verb.REPLACE, WEB, ("History", None)), [("History", None)]),
    ],
)
def test_each_change_of_pairs(change, then):
    assert change.of([WEB, ("History", None)]) == then


def test_accepting_and_reviewing_many():
    make_library(20)
    videos = curation_list.listed({"state": "all"})
    keys = list(videos.values_list("pk", flat=True))
    for key in keys[:5]:
        propose(key, WAR)
    assert plan(videos, Change(Verb.ACCEPT)).changed == 5
    assert len(run(videos, Change(Verb.ACCEPT), "ada").decided.changed) == 5
    assert all(pairs(key) == [WAR] for key in keys[:5])
    for key in keys[5:8]:
        propose(key, WAR)
    assert plan(videos, Change(Verb.REVIEW)).changed == 3
    assert len(run(videos, Change(Verb.REVIEW), "ada").decided.changed) == 3
    assert not Proposal.objects.waiting().exists()


# The list


@pytest.fixture
def states() -> dict[str, str]:
    """One video of each state, the newest first."""
    names = ("uncategorised", "proposed", "reviewed", "curated", "differs", "deleted")
    keys = {name: make_video(100 - number, title=name).pk for number, name in enumerate(names)}
    for name in names[1:]:
        categorise(Video.objects.get(pk=keys[name]), [WEB], Origin.AI)
    mark_reviewed([keys["reviewed"]], "ada")
    decide({keys["curated"]: [WAR], keys["differs"]: [WAR]}, "ada")
    propose(keys["differs"], ("Business", "Finance"))
    Video.objects.get(pk=keys["deleted"]).delete_by("ada", "")
    return keys


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, ["uncategorised", "proposed", "differs"]),
        ({"state": "differs"}, ["differs"]),
        ({"state": "uncategorised"}, ["uncategorised"]),
        ({"state": "open"}, ["uncategorised"]),
        ({"state": "proposed"}, ["proposed"]),
        ({"state": "reviewed"}, ["reviewed"]),
        ({"state": "curated"}, ["curated", "differs"]),
        ({"state": "all"}, ["uncategorised", "proposed", "reviewed", "curated", "differs"]),
        ({"state": "all", "origin": "ai"}, ["proposed", "reviewed"]),
        ({"state": "all", "q": "viewe"}, ["reviewed"]),
        ({"state": "all", "source": "web"}, []),
        ({"state": "all", "channel": "Channel 2"}, ["uncategorised"]),
        ({"state": "all", "channel": "\x00", "q": "\x00ab", "category": "x", "added": "x"}, []),
    ],
)
def test_the_list_is_narrowed_and_its_numbers_say_how_far(states, parameters, found):
    assert [video.title for video in curation_list.listed(parameters)] == found
    if set(parameters) <= {"state"}:
        counts = {choice.value: choice.videos for choice in curation_list.choices("state")}
        assert counts[parameters.get("state", "review")] == len(found)


def test_numbers_of_the_other_filters(states):
    names = dict(Category.objects.values_list("pk", "name"))
    by_category = {names[int(choice.value)]: choice.videos for choice in curation_list.choices("category")}
    assert by_category == {"Technology": 2, "World War II (WWII)": 2}
    assert {choice.value: choice.videos for choice in curation_list.choices("origin")} == {
        "imported": 0, "ai": 2, "curated": 2
    }  # fmt: skip
    assert sum(choice.videos for choice in curation_list.choices("source")) == 5
    assert sum(choice.videos for choice in curation_list.choices("channel")) == 5
    Video.objects.filter(pk=states["proposed"]).update(indexed_at=timezone.now() - timedelta(hours=1, days=10))
    assert {choice.value: choice.videos for choice in curation_list.choices("added")}["30"] == 1


def test_next_and_previous_follow_the_list_and_go_round():
    for number in range(5):
        make_video(number)
    make_video(9, indexed_at=None)
    keys = [video.pk for video in curation_list.listed({})]
    assert keys[0] == "video_00004" and keys[-1] == "video_00009"
    for key, after in zip(keys, [*keys[1:], keys[0]], strict=True):
        assert curation_list.following({}, Curation.objects.get(pk=key)) == after
    for key, before in zip(keys, [None, *keys[:-1]], strict=True):
        assert curation_list.preceding({}, Curation.objects.get(pk=key)) == before
    assert curation_list.following({"state": "curated"}, Curation.objects.get(pk=keys[0])) is None


def test_the_list_asks_as_many_questions_for_50_videos_as_for_5(curator, django_assert_max_num_queries):
    make_library(60)
    address = reverse("admin:videos_curation_changelist")
    with django_assert_max_num_queries(35):
        page = curator.get(address, {"state": "all"})
    assert page.content.decode().count('class="title"') == 50


# One video's page


def address_of(key: str, filters: str = "") -> str:
    return reverse("admin:videos_curation_change", args=[key]) + (f"?_changelist_filters={filters}" if filters else "")


def sent(key: str, *values: str, button: str = "save") -> dict[str, object]:
    return {"seen": PairsForm.of(Video.objects.get(pk=key)).seen, "pair": list(values), "button": button}


def value(category: str, below: str | None = None) -> str:
    parent = Category.objects.get(name=category)
    return f"{parent.pk}:{Subcategory.objects.get(category=parent, name=below).pk if below else ''}"


def test_saving_goes_on_with_the_next_of_the_list(curator):
    first, second = make_video(2), make_video(1)
    categorise(second, [WEB], Origin.AI)
    answer = curator.post(address_of(first.pk), sent(first.pk, value(*WEB), button="save_next"))
    assert answer.status_code == 302 and answer.url == address_of(second.pk)
    assert pairs(first.pk) == [WEB] and Review.objects.get(video=first).reviewed_by == "ada"
    assert CategorizationEvent.objects.last().pgh_context.metadata["curator"] == "ada"
    # What is decided on needs no look, and the page names no key for one.
    assert "<kbd>K</kbd>" not in curator.get(address_of(first.pk)).content.decode()
    assert "<kbd>K</kbd>" in curator.get(address_of(second.pk)).content.decode()
    answer = curator.post(address_of(second.pk), sent(second.pk, button="review_next"))
    assert answer.url == reverse("admin:videos_curation_changelist")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", 'Nothing needs review. <a href="?state=all">'),
        ("?state=differs", "No video fits these filters."),
        ("?q=5%25+%26", '<a href="?state=all&amp;q=5%25%20%26">Search in all videos</a>'),
        ("?state=all", '<span class="small quiet">1 result</span>'),
        ("?state=all&q=number", '1 result (<a href="?state=all&amp;">without the search</a>)'),
    ],
)
def test_an_empty_list_says_why_and_leads_on(curator, query, said):
    mark_reviewed([make_video().pk], "ada")
    assert said in curator.get(reverse("admin:videos_curation_changelist") + query).content.decode()


def test_a_foreign_pair_is_refused_and_nothing_changes(curator, video):
    categorise(make_video(2), [WAR], Origin.AI)
    foreign = f"{Category.objects.get(name=WEB[0]).pk}:{Subcategory.objects.get(name=WAR[1]).pk}"
    for wrong in (foreign, "1", "a:b", ":", "-1:", "9" * 30 + ":", "٣:", "1:2:3"):
        answer = curator.post(address_of(video.pk), sent(video.pk, wrong))
        assert answer.status_code == 200, wrong
        assert pairs(video.pk) == [WEB] and not Review.objects.exists()
    with pytest.raises(InvalidPairs):
        parse([f"{number}:" for number in range(60)])


def test_what_somebody_else_decided_meanwhile_is_not_overwritten_unseen(curator, video):
    old = sent(video.pk)
    decide({video.pk: [WAR]}, "eve")
    page = curator.post(address_of(video.pk), old)
    assert "have changed since you opened the page" in page.content.decode()
    assert pairs(video.pk) == [WAR]


def test_what_a_machine_proposes_meanwhile_is_not_answered_unseen(curator, video):
    decide({video.pk: [WAR]}, "ada")
    old = sent(video.pk, value(*WAR))
    propose(video.pk, ("Business", "Finance"))
    for address, button in product((address_of(video.pk), f"/curate/{video.pk}/"), ("accept", "review", "save")):
        page = curator.post(address, old | {"button": button}).content.decode()
        assert "have changed since you opened the page" in page and "Finance" in page
        assert ("You had chosen: World War II (WWII) › Aftermath &amp; Reconstruction" in page) == (button == "save")
    assert pairs(video.pk) == [WAR] and Proposal.objects.waiting().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ["admin", "site"])
def test_of_two_who_save_at_once_the_second_is_shown_what_the_first_decided(curator, address):
    """The first holds the video when the second's form comes in; it was right until then."""
    video = make_video()
    categorise(video, [WEB], Origin.AI)
    form = sent(video.pk, value(*WEB))
    answers = []

    def save() -> None:
        to = address_of(video.pk) if address == "admin" else f"/curate/{video.pk}/"
        answers.append(curator.post(to, form).content.decode())
        connection.close()

    second = threading.Thread(target=save)
    with transaction.atomic():
        decide({video.pk: [WAR]}, "eve")
        second.start()
        wait_for("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%FOR NO KEY UPDATE%%'")
    second.join()
    assert "have changed since you opened the page" in answers[0]
    assert pairs(video.pk) == [WAR] and Review.objects.get().reviewed_by == "eve"


@pytest.mark.django_db(transaction=True)
def test_what_a_machine_says_while_its_proposals_are_accepted_is_not_passed_over():
    key = make_video().pk
    decide({key: [WAR]}, "ada")
    propose(key, WEB)

    def accept_all() -> None:
        run(Curation.objects.all(), Change(Verb.ACCEPT), "ada")
        connection.close()

    thread = threading.Thread(target=accept_all)
    with transaction.atomic():
        propose(key, ("Business", "Finance"), at="2031-01-01T00:00:00Z")
        thread.start()
        wait_for("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%FOR NO KEY UPDATE%%'")
    thread.join()
    assert pairs(key) == [("Business", "Finance")]


def test_one_decision_is_undone_by_the_link_beside_it(curator, video):
    page = curator.post(address_of(video.pk), sent(video.pk, value(*WEB)), follow=True).content.decode()
    (link,) = re.findall(r'class="undo" href="([^"]+)"', page)
    assert "1 video goes" in curator.get(link).content.decode()
    address, _, query = link.partition("?")
    answer = curator.post(address, QueryDict(query).dict())
    assert answer.url == address_of(video.pk)
    assert origins(video.pk) == {Origin.AI} and not Review.objects.exists()
    # Nothing was changed, so there is nothing to undo.
    decide({video.pk: [WEB]}, "ada")
    page = curator.post(address_of(video.pk), sent(video.pk, value(*WEB)), follow=True).content.decode()
    assert 'class="undo"' not in page
    answer = curator.post(f"/curate/{video.pk}/?part=form", sent(video.pk)).json()
    assert "no category" in answer["message"] and "1 video goes" in curator.get(answer["undo"]).content.decode()


def test_a_video_that_is_gone_leads_back_to_the_list(curator, video):
    video.delete_by("eve", "")
    for key in (video.pk, "nobody", "a\x00b"):
        assert curator.get(address_of(key)).status_code == 302


def test_a_retired_category_stays_where_it_is_and_is_not_offered(curator, video):
    Category.objects.update(retired_at=timezone.now())
    page = curator.get(address_of(video.pk)).content.decode()
    assert "No longer offered" in page
    curator.post(address_of(video.pk), sent(video.pk, value(*WEB)))
    assert pairs(video.pk) == [WEB] and origins(video.pk) == {Origin.CURATED}


def test_a_bulk_action_asks_shows_and_does(curator):
    make_library(12)
    address = reverse("admin:videos_curation_changelist") + "?state=all"
    keys = [f"video_{number:05d}" for number in range(3)]
    form = {"action": "add_pair", "_selected_action": keys, "index": "0", "select_across": "0"}
    page = curator.post(address, form).content.decode()
    assert "3 videos are selected" in page
    chosen = {"pair": value("History", "Part 1"), "step": "preview"}
    page = curator.post(address, form | chosen).content.decode()
    assert "2 of 3" in page and "Change 2 videos" in page
    assert ("History", "Part 1") not in pairs(keys[0])
    # What is chosen anew beside the preview is shown before it is done.
    other = {"pair": value("Education", "Part 1"), "step": "apply", "shown": chosen["pair"]}
    assert "Change 3 videos" in curator.post(address, form | other).content.decode()
    assert not any(("Education", "Part 1") in pairs(key) for key in keys)
    chosen["shown"] = chosen["pair"]
    page = curator.post(address, form | chosen | {"step": "apply"}, follow=True).content.decode()
    assert "2 videos changed" in page
    assert ("History", "Part 1") in pairs(keys[0])
    everything = form | {"step": "apply", "select_across": "1"} | dict.fromkeys(("pair", "shown"), other["pair"])
    curator.post(address, everything)
    assert all(("Education", "Part 1") in pairs(f"video_{number:05d}") for number in range(12))


def test_videos_are_taken_out_of_what_is_retired_but_not_put_into_it(curator, video):
    categorise(make_video(2), [WAR], Origin.AI)
    Subcategory.objects.filter(name=WEB[1]).update(retired_at=timezone.now())
    address = reverse("admin:videos_curation_changelist") + "?state=all"
    form = {"action": "replace_pair", "_selected_action": [video.pk], "index": "0", "select_across": "0"}
    replaced, by = curator.post(address, form).content.decode().split('name="by_pair"')
    assert "Technology › Web Development" in replaced and "Technology › Web Development" not in by
    values = {"pair": value(*WEB), "by_pair": value(*WAR)}
    curator.post(address, form | values | {"step": "apply", "shown": [*values.values()]})
    assert pairs(video.pk) == [WAR]


def test_progress_counts_who_decided_and_where_the_machine_agrees(curator, states):
    row = {entry.name: entry for entry in curation_list.progress()}
    war, technology = row["World War II (WWII)"], row["Technology"]
    assert (war.curated, war.reviewed, war.proposed) == (2, 0, 0)
    assert (war.heard, war.said, war.agreement_percent) == (2, 0, 0)
    assert (technology.curated, technology.reviewed, technology.proposed) == (0, 1, 1)
    assert technology.overruled == 1
    page = curator.get(reverse("admin:videos_curation_progress")).content.decode()
    assert "0 % of 2" in page


# On the dashboard


def test_the_form_stands_alone_or_as_a_page_and_saves(curator, video):
    address = reverse("videos:curate", args=[video.pk])
    assert "<html" in curator.get(address).content.decode()
    assert "<html" not in curator.get(address, {"part": "form"}).content.decode()
    answer = curator.post(f"{address}?part=form", sent(video.pk))
    assert answer.status_code == 200 and "no category" in answer.json()["message"]
    assert pairs(video.pk) == [] and Review.objects.get().is_curated
    answer = curator.post(address, sent(video.pk, value(*WEB)) | {"next": "/?page=2"})
    assert (answer.status_code, answer.url) == (302, "/?page=2")
    answer = curator.post(f"{address}?part=form", sent(video.pk) | {"seen": "old"})
    assert answer.status_code == 409 and pairs(video.pk) == [WEB]


# Who may do what


def test_a_curator_decides_deletes_and_restores_and_changes_no_settings_or_tokens(curator, video):
    assert curator.get(reverse("admin:videos_curation_changelist")).status_code == 200
    for page in ("/", f"/videos/{video.pk}/"):
        assert f'href="{reverse("admin:videos_curation_changelist")}"' in curator.get(page).content.decode(), page
    assert curator.post(address_of(video.pk), sent(video.pk)).status_code == 302
    assert curator.post(f"/delete/{video.pk}/").status_code == 302
    assert Video.objects.get(pk=video.pk).deleted_by == "ada"
    assert curator.post("/deleted/restore/", {"video_id": video.pk}).status_code == 302
    for name in ("ingest_token", "auth_user", "auth_group"):
        assert curator.get(reverse(f"admin:{name}_changelist")).status_code == 403
    assert curator.post("/ingest/report", {"video_id": "x"}, content_type="application/json").status_code == 403


def test_a_viewer_looks_and_changes_nothing(viewer, video):
    assert viewer.get(reverse("admin:videos_curation_changelist")).status_code == 200
    decide({video.pk: [WAR]}, "ada")
    propose(video.pk, ("Business", "Finance"))
    assert "Business › Finance" in viewer.get(address_of(video.pk)).content.decode()
    assert "Save" not in viewer.get(address_of(video.pk)).content.decode()
    assert viewer.post(address_of(video.pk), sent(video.pk)).status_code == 403
    assert viewer.post(f"/delete/{video.pk}/").status_code == 403
    assert viewer.post("/deleted/restore/", {"video_id": video.pk}).status_code == 403
    assert viewer.get(f"/curate/{video.pk}/").status_code == 403
    assert viewer.delete(f"/api/delete/{video.pk}").status_code == 403
    page = viewer.get("/").content.decode()
    assert "Edit categories" not in page and "Delete…" not in page and "Sign in to delete" not in page
    bulk = {"action": "review", "_selected_action": [video.pk]}
    viewer.post(reverse("admin:videos_curation_changelist"), bulk)
    assert pairs(video.pk) == [WAR] and Proposal.objects.waiting().exists() and Video.objects.live().exists()


def test_strangers_are_sent_to_sign_in(client, video):
    for address in (address_of(video.pk), f"/curate/{video.pk}/"):
        assert client.get(address, headers={"Accept": "text/html"}).status_code == 302
    assert "Edit categories" not in client.get("/").content.decode()
