"""Taking changes back: in order, without locks for a look, in somebody's name, and not more than was asked for."""

import threading

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos import taxonomy
from videos.changes import actors_of, revert, stream, transactions_by, transactions_of
from videos.changes_admin import chosen
from videos.curation import decide
from videos.models import Category, Video

from .factories import make_video
from .test_changes import WAR, WEB, _groups, latest, report  # noqa: F401
from .test_history import overtaken, state

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_merge_whose_name_is_a_former_one_is_not_said_to_have_gone_back():
    key = make_video().pk
    decide({key: [WEB, ("Old", None)]}, "ada")
    taxonomy.merge(Category.objects.get(name="Old"), Category.objects.get(name="Technology"), "ada")
    merged, one = state(key), latest(key)
    reverted = revert([one], "ada")
    assert reverted.videos == [] and "former name" in reverted.skipped[0][1]
    assert state(key) == merged and latest(key) == one


def test_a_preview_waits_for_nobody_who_writes():
    key = make_video().pk
    decide({key: [WEB]}, "ada")
    one = latest(key)
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Video.objects.select_for_update().get(pk=key)
            is_held.set()
            may_go.wait(timeout=10)
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    assert is_held.wait(timeout=10)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
            assert revert([one], "ada", is_dry_run=True).videos == [key]
    finally:
        may_go.set()
        other.join(timeout=30)


def test_what_was_written_last_goes_back_alone_though_it_began_first():
    key = make_video().pk
    decide({key: [WEB]}, "ada")
    with overtaken(key):
        decide({key: [WAR]}, "fast")
        before = state(key)
    (slow,) = [one for one in transactions_of([key]) if actors_of([one])[one].name == "slow"]
    assert revert([slow], "ada").videos == [key]
    assert state(key) == before


def test_a_delete_that_a_revert_brings_back_is_in_the_name_of_who_reverted():
    key = make_video().pk
    Video.objects.get(pk=key).delete_by("ada", "x")
    Video.objects.get(pk=key).restore_by("eve")
    revert([latest(key)], "bob")
    assert Video.objects.deleted().filter(pk=key).exists()
    assert str(stream(video_id=key)[0][0].actor) == "person bob"


def test_a_person_and_a_token_with_one_name_are_two():
    ours, theirs = make_video(1).pk, make_video(2).pk
    start = timezone.now()
    decide({ours: [WAR]}, "worker")
    report(theirs, WEB)
    now = timezone.now()
    assert transactions_by("worker", start, now, "worker") == [latest(theirs)]
    assert transactions_by("worker", start, now, "person") == [latest(ours)]


def test_a_damaged_time_in_a_link_does_not_mean_the_whole_action():
    key = make_video().pk
    decide({key: [WEB]}, "ada")
    found, problem = chosen({"at": "yesterday", "context": str(latest(key).context)})
    assert found == [] and "damaged" in problem


def test_looking_for_somebody_takes_no_more_queries_if_others_did_more():
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert stream(who="nobody")[0] == []
        return len(captured)

    decide({make_video(0).pk: [WEB]}, "ada")
    few = queries()
    for number in range(1, 20):
        decide({make_video(number).pk: [WEB]}, "ada")
    assert queries() == few
