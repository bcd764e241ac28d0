"""The history of categories, titles and deletes: everything is in it, from and to, and can be taken back."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.merge import merge
from ingest.payloads import read_universal
from videos.bulk import Change, Verb, run
from videos.changes import (
    Transaction,
    revert,
    stream,
    transactions_by,
    transactions_of,
    transactions_of_context,
)  # fmt: skip
from videos.curation import accept, decide, mark_reviewed
from videos.curation_list import listed
from videos.deciding import deciding
from videos.models import Categorization, Origin, Proposal, Review, Video

from .factories import make_library, make_video

WEB, WAR, ROME = ("Technology", "Web"), ("World War II (WWII)", "Aftermath"), ("History", None)
# Each write is a transaction of its own, with a time of its own, as it is outside of tests.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _groups(transactional_db) -> None:
    call_command("migrate", verbosity=0)


def report(key: str, *sent: tuple[str, str | None], at: str = "2030-01-01T00:00:00Z") -> None:
    categories = [{"category": category, "subcategories": [below] if below else []} for category, below in sent]
    payload = {"video_id": key, "title": "T", "analysis": {"categories": categories}, "processed_at": at}
    merge(read_universal(payload, key), by="worker")


def state(key: str) -> tuple[object, ...]:
    rows = Categorization.objects.filter(video=key).order_by("position")
    video = Video.objects.get(pk=key)
    return (
        list(rows.values_list("category__name", "subcategory__name", "origin")),
        list(Review.objects.filter(video=key).values_list("is_curated", "reviewed_by", "reviewed_at")),
        list(Proposal.objects.filter(video=key).values_list("pairs", "proposed_by", "settled_by")),
        (video.title, video.deleted_at is None),
    )


def latest(key: str) -> Transaction:
    return transactions_of([key])[0]


def said(key: str) -> list[list[tuple[str, str, str]]]:
    return [change.lines for entry in stream(video_id=key)[0] for change in entry.changes]


# What is in it


def test_every_kind_of_change_is_in_it_with_who_from_and_to():
    key = make_video(title="Old").pk
    report(key, WEB)
    decide({key: [WAR, WEB]}, "ada")
    report(key, ROME, at="2030-01-02T00:00:00Z")
    mark_reviewed([key], "eve")
    Video.objects.filter(pk=key).update(title="New")
    Video.objects.get(pk=key).delete_by("ada", "no good")
    Video.objects.get(pk=key).restore_by("ada")
    entries, _ = stream(video_id=key)
    assert [str(entry.actor) for entry in entries] == [
        "person ada", "raw SQL or a shell", "raw SQL or a shell", "person eve", "worker worker", "person ada",
        "worker worker",
    ]  # fmt: skip
    lines = said(key)
    assert lines[0] == [("deleted", "by ada: no good", "–")]
    assert lines[2] == [("title", "T", "New")]
    assert lines[3] == [("proposal", "History (waits)", "History (answered)")]
    assert ("categories", "Technology › Web (a machine)", "World War II (WWII) › Aftermath, Technology › Web") in lines[
        5
    ]
    assert ("title", "Old", "T") in lines[6]


def test_raw_sql_and_bulk_updates_are_in_it():
    make_library(5)
    with deciding("ada"):
        Categorization.objects.filter(category__name="General").delete()
    entries, _ = stream(limit=1)
    assert (entries[0].videos, str(entries[0].actor)) == (5, "person ada")
    assert [line[0] for change in entries[0].changes for line in change.lines] == ["categories"] * 5
    with connection.cursor() as cursor:
        cursor.execute("UPDATE videos_video SET title = title || '!'")
    assert next(change.lines[0][2] for change in stream(limit=1)[0][0].changes) == "Video number 0!"


def test_a_large_transaction_is_one_line_and_the_stream_goes_on_page_by_page():
    make_library(30)
    for number in range(7):
        decide({f"video_{number:05d}": [WAR]}, "ada")
    first, older = stream(limit=5)
    assert [entry.videos for entry in first] == [1] * 5
    second, end = stream(limit=5, before=older)
    assert [entry.videos for entry in second][:3] == [1, 1, 30] and second[2].changes == ()
    assert end is None
    assert [str(entry.actor) for entry in stream(who="ADA", limit=50)[0]] == ["person ada"] * 7


def test_what_was_purged_shows_nothing(db):
    key = make_video(title="Secret").pk
    decide({key: [WAR]}, "ada")
    Video.objects.get(pk=key).delete_by("ada", "")
    Video.objects.deleted().purge(timedelta(0), "ada")
    assert stream(video_id=key)[0] == []


# Taking back


def test_a_decision_goes_back_to_the_machine_and_a_delete_and_a_title_too():
    key = make_video(title="Old").pk
    report(key, WEB, ROME)
    states, transactions = [state(key)], []
    for change in (
        lambda: decide({key: [WAR]}, "ada"),
        lambda: report(key, ROME, at="2030-02-01T00:00:00Z"),
        lambda: accept([key], "eve"),
        lambda: Video.objects.filter(pk=key).update(title="New"),
        lambda: Video.objects.get(pk=key).delete_by("ada", "x"),
    ):
        change()
        transactions.append(latest(key))
        states.append(state(key))
    # All at once, back to what the machine said.
    assert revert(transactions, "ada").videos == [key]
    assert state(key) == states[0]


def test_a_later_change_is_not_overwritten_and_named_unless_somebody_insists():
    key = make_video().pk
    decide({key: [WEB]}, "ada")
    first = latest(key)
    decide({key: [WAR]}, "eve")
    now = state(key)
    reverted = revert([first], "ada")
    assert reverted.videos == [] and "changed since by person eve" in reverted.skipped[0][1]
    assert state(key) == now
    assert revert([first], "ada", force=True).videos == [key]
    assert state(key)[0] == [] and not Review.objects.exists()


def test_a_dry_run_changes_nothing():
    key = make_video().pk
    decide({key: [WEB]}, "ada")
    now = state(key)
    assert revert([latest(key)], "ada", is_dry_run=True).videos == [key]
    assert state(key) == now


def test_a_change_of_1200_videos_is_undone_as_one_and_that_again():
    make_library(1200)
    before = {key: state(key) for key in ("video_00000", "video_00700", "video_01199")}
    done = run(listed({"state": "all"}), Change(Verb.ADD, WAR), "ada")
    assert len(done.decided.changed) == 1200 and isinstance(done.context, UUID)
    transactions = transactions_of_context(done.context)
    assert len(transactions) == 3
    entries, _ = stream(limit=3)
    assert {entry.action for entry in entries} == {"Add a pair: World War II (WWII) › Aftermath"}
    decide({"video_00005": [ROME]}, "eve")
    reverted = revert(transactions, "ada")
    assert len(reverted.videos) == 1199 and [key for key, _ in reverted.skipped] == ["video_00005"]
    assert {key: state(key) for key in before} == before
    back = revert([latest("video_00000")], "ada")
    assert len(back.videos) == 1199
    assert ("World War II (WWII)", "Aftermath", "curated") in state("video_01199")[0]


def test_what_one_token_did_in_a_period_goes_back():
    keys = [make_video(number).pk for number in range(3)]
    for key in keys:
        report(key, WEB)
    start = timezone.now()
    for key in keys[:2]:
        report(key, WAR, at="2031-01-01T00:00:00Z")
    end = timezone.now()
    report(keys[2], ROME, at="2031-01-01T00:00:00Z")
    decide({keys[1]: [ROME]}, "ada")
    found = transactions_by("worker", start, end)
    assert len(found) == 2
    reverted = revert(found, "ada")
    assert reverted.videos == [keys[0]] and reverted.skipped[0][0] == keys[1]
    assert state(keys[0])[0] == [("Technology", "Web", "ai")]
    assert state(keys[2])[0] == [("History", None, "ai")]


PAIRS = st.lists(st.sampled_from([WEB, WAR, ROME, ("History", "Rome")]), max_size=3, unique=True)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), PAIRS),
        st.tuples(st.just("report"), PAIRS),
        st.tuples(st.just("accept"), st.none()),
        st.tuples(st.just("review"), st.none()),
        st.tuples(st.just("title"), st.sampled_from(["A", "B"])),
        st.tuples(st.just("delete"), st.none()),
        st.tuples(st.just("restore"), st.none()),
    ),
    min_size=1,
    max_size=7,
)
numbers = iter(range(100_000))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_going_back_step_by_step_brings_every_earlier_state_back(steps):
    key = make_video(next(numbers), title="T").pk
    states, transactions = [state(key)], []
    for number, (name, value) in enumerate(steps):
        before = transactions_of([key])
        match name:
            case "decide":
                decide({key: value}, "ada")
            case "report":
                report(key, *value, at=f"2030-01-{number + 1:02d}T00:00:00Z")
            case "accept":
                accept([key], "ada")
            case "review":
                mark_reviewed([key], "ada")
            case "title":
                Video.objects.live().filter(pk=key).update(title=value)
            case "delete":
                Video.objects.get(pk=key).delete_by("ada", "")
            case "restore":
                Video.objects.get(pk=key).restore_by("ada")
        new = [one for one in transactions_of([key]) if one not in before]
        assert len(new) <= 1
        if new:
            states.append(state(key))
            transactions.append(new[0])
    for index in range(len(transactions) - 1, -1, -1):
        reverted = revert([transactions[index]], "eve", force=True)
        if reverted.skipped:
            # Of a deleted video only the delete can be taken back.
            assert "deleted" in reverted.skipped[0][1]
            return
        assert state(key) == states[index]


# In the admin


@pytest.fixture
def curator(client):
    user = get_user_model().objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name="curator"))
    client.force_login(user)
    return client


ADDRESS = "admin:videos_categorizationevent_changelist"


def test_the_page_shows_hostile_text_as_text_and_filters(curator):
    key = make_video(title="<script>alert(1)</script>").pk
    decide({key: [("<b>x</b>", "<i>y</i>")]}, "<u>ada</u>")
    other = make_video(2).pk
    decide({other: [WEB]}, "eve")
    page = curator.get(reverse(ADDRESS)).content.decode()
    assert "<script>alert" not in page and "<b>x</b>" not in page and "<u>ada" not in page
    assert "&lt;b&gt;x" in page
    assert "Technology" not in curator.get(reverse(ADDRESS), {"video": key}).content.decode()
    for odd in ({"before": "x"}, {"video": "\x00"}, {"who": "\x00"}, {"since": "99"}, {"before": "0001-01-01"}):
        assert curator.get(reverse(ADDRESS), odd).status_code == 200


def test_one_change_is_previewed_and_taken_back(curator):
    key = make_video().pk
    decide({key: [WEB]}, "eve")
    one = latest(key)
    address = reverse("admin:videos_categorizationevent_revert")
    choice = {"at": one.at.isoformat(), "context": str(one.context), "video": key}
    page = curator.get(address, choice).content.decode()
    assert "Take back" in page and state(key)[0]
    assert curator.post(address, choice).status_code == 302
    assert state(key)[0] == []
    assert str(stream(video_id=key)[0][0].actor) == "person ada"


def test_all_of_somebody_in_a_period_is_previewed_and_taken_back(curator):
    keys = [make_video(number).pk for number in range(3)]
    for key in keys:
        report(key, WEB)
    address = reverse("admin:videos_categorizationevent_revert")
    day = timezone.now().date().isoformat()
    choice = {"who": "worker", "since": f"{day}T00:00", "until": f"{day}T23:59:59"}
    assert "3 videos" in curator.get(address, choice).content.decode()
    curator.post(address, choice)
    assert not Categorization.objects.exists()


def test_an_undo_link_follows_a_bulk_action(curator):
    make_library(4)
    change = {
        "action": "accept_proposals", "_selected_action": ["video_00001"], "step": "apply", "index": "0",
    }  # fmt: skip
    report("video_00001", WAR, at="2031-01-01T00:00:00Z")
    before = state("video_00001")
    page = curator.post(
        f"{reverse('admin:videos_curation_changelist')}?state=all", change, follow=True
    ).content.decode()
    assert state("video_00001") != before
    link = page.split('class="undo" href="')[1].split('"')[0].replace("&amp;", "&")
    history = curator.get(reverse(ADDRESS)).content.decode()
    assert f'href="{link}">Take the whole action back …</a>' in history and "Accept what a machine proposes" in history
    assert "1 video" in curator.get(link).content.decode()
    address, _, query = link.partition("?")
    curator.post(address, dict(part.split("=") for part in query.split("&")))
    assert state("video_00001") == before


def test_a_viewer_sees_and_takes_nothing_back(client):
    user = get_user_model().objects.create_user("eve", is_staff=True)
    user.groups.add(Group.objects.get(name="viewer"))
    client.force_login(user)
    key = make_video().pk
    decide({key: [WEB]}, "ada")
    one = latest(key)
    assert client.get(reverse(ADDRESS)).status_code == 200
    choice = {"at": one.at.isoformat(), "context": str(one.context), "video": key}
    assert client.post(reverse("admin:videos_categorizationevent_revert"), choice).status_code == 403
    assert state(key)[0] == [("Technology", "Web", Origin.CURATED)]
