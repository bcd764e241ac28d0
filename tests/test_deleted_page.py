"""The page Deleted: what staff see there, what they can do, and that nobody else can."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from ingest.models import IngestLogEntry, IngestOutcome
from ingest.purge import purge_deleted
from videos.models import Video
from videos.tombstones import PAGE_SIZE

from .factories import make_video

pytestmark = pytest.mark.django_db

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = "<script>alert('x')</script> & \"quotes\""


@pytest.fixture(autouse=True)
def _quick_passwords(settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def curator() -> Client:
    client = Client(headers=HTML)
    user = get_user_model().objects.create_user("curator", password="secret", is_staff=True)
    user.groups.add(Group.objects.get(name="curator"))
    client.force_login(user)
    return client


@pytest.fixture
def stranger() -> Client:
    client = Client(headers=HTML)
    client.force_login(get_user_model().objects.create_user("stranger", password="secret"))
    return client


def deleted_video(number: int = 1, by: str = "worker", reason: str = "no longer there", **values: object) -> Video:
    video = make_video(number, **values)
    video.delete_by(by, reason)
    return video


def turn_away(video: Video, times: int, **values: object) -> None:
    sent = {"route": "/ingest/report", "token_name": "nas", "outcome": IngestOutcome.DELETED, "status": 200}
    for _ in range(times):
        IngestLogEntry.objects.create(video_id=video.pk, **sent | values)


def page(client: Client, **query: object) -> str:
    response = client.get("/deleted/", query)
    assert response.status_code == 200
    return response.content.decode()


# Who sees it


@pytest.mark.parametrize("role", ["anonymous", "stranger"])
def test_people_who_are_no_staff_are_sent_to_sign_in(role, stranger):
    client = stranger if role == "stranger" else Client(headers=HTML)
    video = deleted_video()
    response = client.get("/deleted/?q=a")
    assert (response.status_code, response["Location"]) == (302, "/admin/login/?next=/deleted/%3Fq%3Da")
    response = client.post("/deleted/restore/", {"video_id": video.pk})
    assert (response.status_code, response["Location"]) == (302, "/admin/login/?next=/deleted/")
    assert Video.objects.deleted().exists()


@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
def test_programs_are_refused(accept):
    video = deleted_video()
    for response in (
        Client(headers={"Accept": accept}).get("/deleted/"),
        Client(headers={"Accept": accept}).post("/deleted/restore/", {"video_id": video.pk}),
    ):
        assert response.status_code == 403
        assert response.json() == {"error": "forbidden", "message": "This is not allowed."}
    assert Video.objects.deleted().exists()


def test_a_restore_needs_a_form_of_ours(curator):
    video = deleted_video()
    strict = Client(enforce_csrf_checks=True, headers=HTML)
    strict.cookies = curator.cookies
    assert strict.post("/deleted/restore/", {"video_id": video.pk}).status_code == 403
    assert strict.get("/deleted/restore/").status_code == 405
    assert Video.objects.deleted().exists()


def test_the_page_is_never_kept_by_anybody(curator):
    assert "no-store" in curator.get("/deleted/")["Cache-Control"]


# What it shows


def test_who_when_and_why(curator):
    video = deleted_video(by="nas", reason="gone from YouTube", canonical_url="https://example.org/a")
    make_video(2)
    shown = page(curator)
    for text in ("Video number 1", "Channel 1", video.pk, "nas", "gone from YouTube", "1 deleted video", "Restore"):
        assert text in shown
    assert f"{video.deleted_at:%-d %B %Y, %H:%M} UTC" in shown
    assert 'href="https://example.org/a"' in shown
    assert "Video number 2" not in shown


def test_nothing_is_deleted(curator):
    make_video()
    assert "Nothing is deleted" in page(curator)


def test_how_often_an_ingest_was_turned_away_and_by_whom(curator):
    video, other = deleted_video(1), deleted_video(2)
    turn_away(video, 2, route="/api/content", token_name="old-nas")
    turn_away(video, 1)
    # The delete itself, what came before it, and what was another's.
    turn_away(video, 1, route=f"/api/delete/{video.pk}")
    turn_away(video, 1, at=timezone.now() - timedelta(days=1))
    turn_away(video, 1, outcome=IngestOutcome.REFUSED)
    turn_away(Video(pk=other.pk.upper()), 3)
    shown = page(curator, q=video.pk)
    assert "3 times since" in shown
    assert "by <bdi>nas</bdi> at <code>/ingest/report</code>" in shown
    assert "Nothing was sent for it since." in page(curator, q=other.pk)


def test_what_was_purged_is_shown_by_its_key(curator):
    video = deleted_video()
    purge_deleted(timedelta(), by="owner")
    shown = page(curator)
    assert "Content erased" in shown
    assert video.pk in shown
    assert "Untitled" not in shown


def test_hostile_texts_stay_texts(curator):
    deleted_video(by=HOSTILE, reason=HOSTILE, title=HOSTILE, channel_name=HOSTILE, canonical_url="javascript:alert(1)")
    for query in ({}, {"q": HOSTILE}):
        shown = page(curator, **query)
        assert "<script>alert" not in shown
        assert "javascript:alert" not in shown


# Finding


@pytest.mark.parametrize(
    "q",
    ["OCCUPYING japan", "a channel", "AbC-dE_f123", "yt:abc-de_f123", "a_title_AbC-dE_f123", "nas", "gone", "  gone  "],
)
def test_a_deleted_video_is_found_by_what_is_known_of_it(curator, q):
    deleted_video(
        1, by="nas", reason="gone", title="Occupying Japan", channel_name="A Channel", video_id="AbC-dE_f123",
        legacy_id="yt:abc-de_f123",
    )  # fmt: skip
    deleted_video(2, by="owner", reason="dull")
    shown = page(curator, q=q)
    assert "Occupying Japan" in shown
    assert "1 deleted video found" in shown


def test_a_deleted_video_without_an_old_id_is_found_by_the_one_it_had_in_the_old_system(curator):
    deleted_video(1, video_id="AbC-dE_f123", legacy_id="")
    deleted_video(2)
    assert "1 deleted video found" in page(curator, q="yt:abc-de_f123")


@pytest.mark.parametrize("q", ["nothing like it", "%", "_", "a\x00b", "x" * 5000, "\\"])
def test_a_search_that_finds_nothing_says_so(curator, q):
    deleted_video(1, video_id="abc", channel_name="Channel")
    assert "No deleted video matches" in page(curator, q=q)


def test_pages_of_fifty_from_the_last_delete_on(curator):
    for number in range(PAGE_SIZE + 1):
        deleted_video(number)
    first = page(curator)
    assert (first.count("<article"), "Page 1 of 2" in first) == (PAGE_SIZE, True)
    assert "Video number 50" in first
    assert 'href="/deleted/?page=2"' in first
    second = page(curator, page=2)
    assert second.count("<article") == 1
    assert "Video number 0" in second
    assert 'href="/deleted/"' in second
    for odd in ("3", "99999999999", "0", "-1", "x", "9" * 5000):
        assert page(curator, page=odd).count("<article") in (1, PAGE_SIZE)
    searched = page(curator, q="video number")
    assert 'href="/deleted/?q=video+number&amp;page=2"' in searched


def test_a_page_takes_the_same_queries_for_any_number_of_videos(curator):
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(curator)
        return len(captured)

    for number in range(10):
        turn_away(deleted_video(number), 1)
    ten = queries()
    for number in range(10, 20):
        turn_away(deleted_video(number), 2)
    assert queries() == ten <= 7


# Restoring


def test_a_video_is_restored_and_the_same_list_is_shown(curator):
    video = deleted_video()
    form = {"video_id": video.pk, "q": "a b", "page": "2"}
    response = curator.post("/deleted/restore/", form)
    assert (response.status_code, response["Location"]) == (302, "/deleted/?q=a+b&page=2")
    assert Video.objects.live().get().pk == video.pk
    assert "“Video number 1” is back in the library." in page(curator)
    assert curator.get(reverse("videos:report", args=[video.pk])).status_code == 200


def test_a_second_click_does_nothing(curator):
    video = deleted_video()
    for _ in range(2):
        curator.post("/deleted/restore/", {"video_id": video.pk})
    assert "“Video number 1” was in the library already." in page(curator)


def test_a_purged_video_says_that_its_content_is_gone(curator):
    video = deleted_video()
    purge_deleted(timedelta(), by="owner")
    curator.post("/deleted/restore/", {"video_id": video.pk})
    assert "Its content was erased" in page(curator)
    assert Video.objects.live().exists()


@pytest.mark.parametrize("key", ["", "m", "video_0000", "VIDEO_00001", "%", "a\x00", "yt:video_00001"])
def test_only_a_whole_key_is_restored(curator, key):
    deleted_video()
    assert curator.post("/deleted/restore/", {"video_id": key}).status_code == 404
    assert Video.objects.deleted().exists()


@pytest.mark.parametrize("number", ["x", "", "-1", "9" * 5000, "²"])
def test_an_odd_page_goes_to_the_first(curator, number):
    video = deleted_video()
    response = curator.post("/deleted/restore/", {"video_id": video.pk, "page": number})
    assert response["Location"] == "/deleted/"


# The admin


def test_the_admin_deletes_with_a_reason_and_restores(admin_client):
    first, second, third = (make_video(number) for number in range(3))
    changelist = reverse("admin:videos_video_changelist")
    form = {"_selected_action": [first.pk, second.pk], "action": "delete_selected_videos", "reason": "twice"}
    shown = admin_client.post(changelist, form, follow=True).content.decode()
    assert "Deleted: 2. They can be restored." in shown
    assert set(Video.objects.deleted().values_list("pk", "deleted_by", "deleted_reason")) == {
        (first.pk, "admin", "twice"), (second.pk, "admin", "twice"),
    }  # fmt: skip
    form = {"_selected_action": [first.pk, third.pk], "action": "restore_selected_videos"}
    shown = admin_client.post(changelist + "?state=all", form, follow=True).content.decode()
    assert "Restored: 1." in shown
    assert [video.pk for video in Video.objects.deleted()] == [second.pk]
