"""Taking changes back while others write, and after any sequence of changes of several videos."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videos.changes import Reverted, Transaction, revert, stream, transactions_of
from videos.curation import accept, decide, mark_reviewed
from videos.deciding import deciding
from videos.models import Categorization, Proposal, Review, Video

from .factories import make_library, make_video
from .test_changes import PAIRS, ROME, WAR, WEB, _groups, latest, numbers, report  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)

# What a restore and the delete after it cannot keep: whose the first delete was.
PARTS = {
    Categorization: ("position", "category__name", "subcategory__name", "origin"),
    Review: ("is_curated", "reviewed_by", "reviewed_at"),
    Proposal: ("pairs", "proposed_at", "proposed_by", "settled_at", "settled_by"),
}


def state(key: str) -> list[object]:
    """All that a change may change of a video, with every time and name."""
    rows = [list(model.objects.filter(video=key).order_by("pk").values_list(*names)) for model, names in PARTS.items()]
    video = Video.objects.get(pk=key)
    return [sorted(rows[0], key=lambda row: row[0]), *rows[1:], video.title, video.deleted_at is None]


def at_once(*actions: Callable[[], object]) -> list[object]:
    """What each returned, begun together on connections of their own."""
    barrier, results = threading.Barrier(len(actions)), {}

    def run(number: int) -> None:
        try:
            barrier.wait(timeout=10)
            results[number] = actions[number]()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[number]) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return [results[number] for number in range(len(actions))]


@contextmanager
def overtaken(key: str) -> Iterator[None]:
    """A decision of "slow" whose transaction begins before this block, and that is written after it."""
    has_begun, may_write = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with deciding("slow"):
                has_begun.set()
                may_write.wait(timeout=10)
                decide({key: [ROME]}, "slow")
        finally:
            connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    assert has_begun.wait(timeout=10)
    try:
        yield
    finally:
        may_write.set()
        thread.join(timeout=30)


def test_of_two_who_take_the_same_back_at_once_one_does_and_the_other_is_told():
    make_library(20)
    keys = [f"video_{number:05d}" for number in range(20)]
    before = {key: state(key) for key in keys}
    decide({key: [WAR] for key in keys}, "ada")
    one = latest(keys[0])
    results = at_once(lambda: revert([one], "eve"), lambda: revert([one], "bob"))
    assert sorted(len(result.videos) for result in results) == [0, 20]
    (told,) = [result for result in results if result.skipped]
    assert all("changed since by person" in reason for _, reason in told.skipped) and len(told.skipped) == 20
    assert {key: state(key) for key in keys} == before


def test_of_two_who_take_a_delete_back_at_once_none_fails():
    key = make_video().pk
    Video.objects.get(pk=key).delete_by("ada", "x")
    one = latest(key)
    at_once(lambda: revert([one], "eve"), lambda: revert([one], "bob"))
    assert Video.objects.live().filter(pk=key).exists()


def test_a_decision_during_a_revert_comes_before_it_or_after_it():
    key = make_video().pk
    decide({key: [WEB]}, "ada")
    one = latest(key)
    reverted, _ = at_once(lambda: revert([one], "eve"), lambda: decide({key: [ROME]}, "bob"))
    # Bob's stays in both cases: what came before was not overwritten, what came after is the newest.
    assert [row[1:3] for row in state(key)[0]] == [ROME]
    assert isinstance(reverted, Reverted)


def test_a_change_that_another_overtook_goes_back_as_well_if_somebody_insists():
    key = make_video().pk
    decide({key: [WEB]}, "ada")
    before = state(key)
    with overtaken(key):
        decide({key: [WAR]}, "fast")
        fast = latest(key)
    assert [row[1:3] for row in state(key)[0]] == [ROME]
    assert "changed since by person slow" in revert([fast], "eve").skipped[0][1]
    assert revert([fast], "eve", force=True).videos == [key]
    assert state(key) == before


def test_from_and_to_are_right_for_a_new_order_and_for_duplicates_that_became_one():
    key = make_video().pk
    decide({key: [WEB, WAR]}, "ada")
    decide({key: [WAR, WEB, WAR]}, "eve")
    change = stream(video_id=key)[0][0].changes[0]
    assert change.lines[0] == (
        "categories",
        "Technology › Web, World War II (WWII) › Aftermath",
        "World War II (WWII) › Aftermath, Technology › Web",
    )
    revert([latest(key)], "ada")
    assert [row[1:3] for row in state(key)[0]] == [WEB, WAR]


def steps(key: str) -> dict[str, Callable[[int, object], object]]:
    """What can happen to a video, given the number of the step and a value."""
    return {
        "decide": lambda _, pairs: decide({key: pairs}, "ada"),
        "report": lambda number, pairs: report(key, *pairs, at=f"2030-01-{number + 1:02d}T00:00:00Z"),
        "accept": lambda *_: accept([key], "eve"),
        "review": lambda *_: mark_reviewed([key], "eve"),
        "title": lambda number, _: Video.objects.filter(pk=key).update(title=f"Title {number % 2}"),
        "delete": lambda *_: Video.objects.get(pk=key).delete_by("ada", "why"),
        "restore": lambda *_: Video.objects.get(pk=key).restore_by("ada"),
    }


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(sorted(steps(""))), PAIRS),
        min_size=1,
        max_size=7,
    )
)
def test_whatever_happened_to_two_videos_goes_back_step_by_step_and_forward_again(chosen):
    keys = [make_video(next(numbers), title="T").pk for _ in range(2)]
    states = [[state(key) for key in keys]]
    transactions: list[Transaction] = []
    for number, (which, name, value) in enumerate(chosen):
        before = set(transactions_of(keys))
        steps(keys[which])[name](number, value)
        if new := [one for one in transactions_of(keys) if one not in before]:
            assert len(new) == 1
            transactions += new
            states.append([state(key) for key in keys])
    for index in reversed(range(len(transactions))):
        before = set(transactions_of(keys))
        now = [state(key) for key in keys]
        # Later changes, which were taken back, are in the way of this one alone.
        result = revert([transactions[index]], "bob", force=True)
        if now != states[index]:
            assert len(result.videos) == 1 and result.skipped == []
        assert [state(key) for key in keys] == states[index]
        if new := [one for one in transactions_of(keys) if one not in before]:
            revert(new, "bob")
            assert [state(key) for key in keys] == now
            revert([transactions[index]], "bob", force=True)
            assert [state(key) for key in keys] == states[index]
