"""Deleting a video from the pages, without JavaScript: asked first, said afterwards, and undone by a button."""

import re
from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from videos.deleted import LONGEST_REASON
from videos.models import Video

from .factories import make_library, make_video, summarise

pytestmark = pytest.mark.django_db

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = "<script>alert('x')</script> & \"quotes\""
PAGE = "/delete/video_00001/"


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


def text_of(response) -> str:
    assert response.status_code == 200
    return unescape(response.content.decode())


def fields_of(html: str) -> dict[str, str]:
    """The hidden fields of the page's forms."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', html))


# Who may


@pytest.mark.parametrize("role", ["anonymous", "stranger"])
def test_others_are_sent_to_sign_in_and_nothing_is_deleted(role, stranger):
    make_video()
    client = stranger if role == "stranger" else Client(headers=HTML)
    for response in (client.get(f"{PAGE}?next=/%3Fq%3Da"), client.post(f"{PAGE}?next=/%3Fq%3Da")):
        assert response.status_code == 302
        assert response["Location"] == "/admin/login/?next=/delete/video_00001/%3Fnext%3D/%253Fq%253Da"
    assert Client().post(PAGE).status_code == 403
    assert Video.objects.live().exists()


def test_a_delete_needs_a_form_of_ours(curator):
    make_video()
    strict = Client(enforce_csrf_checks=True, headers=HTML)
    strict.cookies = curator.cookies
    assert strict.post(PAGE).status_code == 403
    assert Video.objects.live().exists()
    token = fields_of(strict.get(PAGE).content.decode())["csrfmiddlewaretoken"]
    assert strict.post(PAGE, {"csrfmiddlewaretoken": token}).status_code == 302
    assert not Video.objects.live().exists()


# The question


def test_the_page_asks_and_deletes_nothing(curator):
    make_video(title=HOSTILE, channel_name=HOSTILE, thumbnail_url="https://i.ytimg.com/vi/x/hq720.jpg")
    response = curator.get(PAGE)
    assert "<script>alert" not in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    shown = text_of(response)
    for part in (HOSTILE, "https://i.ytimg.com/vi/x/hq720.jpg", "hidden at once", "stays deleted", "restored under"):
        assert part in shown
    assert f'action="{PAGE}"' in shown
    assert curator.head(PAGE).status_code == 200
    assert Video.objects.live().exists()


@pytest.mark.parametrize("url", ["/delete/unknown/", "/delete/%00/"])
def test_an_unknown_video_is_404(curator, url):
    assert curator.get(url).status_code == 404
    assert curator.post(url).status_code == 404


@pytest.mark.parametrize(
    ("came_from", "back"),
    [
        ("/?category=A&page=2", "/?category=A&page=2"),
        ("/", "/"),
        ("/videos/video_00001/", "/videos/video_00001/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("///evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/admin/login/?next=/", "/"),
        ("/delete/video_00001/", "/"),
        ("", "/"),
    ],
)
def test_cancel_leads_back_to_where_one_came_from_on_this_site(curator, came_from, back):
    make_video()
    assert f'<a class="button" href="{back}">Cancel</a>' in text_of(curator.get(PAGE, {"next": came_from}))
    if came_from.startswith("/") and "evil" not in came_from:
        came_from = f"http://testserver{came_from}"
    shown = text_of(curator.get(PAGE, headers={"Referer": came_from}))
    assert f'<a class="button" href="{back}">Cancel</a>' in shown


# Deleting


def test_a_video_is_deleted_with_a_reason_and_the_list_says_so(curator):
    make_library(3)
    html = curator.get(PAGE, {"next": "/?category=History"}).content.decode()
    response = curator.post(PAGE, fields_of(html) | {"next": "/?category=History", "reason": " twice  there "})
    assert (response.status_code, response["Location"]) == (302, "/?category=History")
    video = Video.objects.deleted().get()
    assert (video.pk, video.deleted_by, video.deleted_reason) == ("video_00001", "curator", "twice there")
    shown = text_of(curator.get("/?category=History"))
    assert "“Video number 1” is deleted." in shown
    assert fields_of(shown)["video_id"] == "video_00001"
    assert fields_of(shown)["next"] == "/?category=History"


def test_a_reason_is_optional_and_cut(curator):
    for number, reason in ((1, ""), (2, "x" * 9000)):
        make_video(number)
        curator.post(f"/delete/video_0000{number}/", {"reason": reason})
        assert Video.objects.get(pk=f"video_0000{number}").deleted_reason == reason[:LONGEST_REASON]


@pytest.mark.parametrize("back", ["/videos/video_00001/", "https://evil.example/", "//evil.example", "/admin/"])
def test_after_a_delete_one_is_on_a_list_that_is_there(curator, back):
    make_video()
    assert curator.post(PAGE, {"next": back})["Location"] == "/"


def test_a_second_delete_changes_nothing_and_says_so(curator):
    make_video()
    curator.post(PAGE, {"reason": "first"})
    curator.get("/")
    for send in (lambda: curator.post(PAGE, {"reason": "second"}), lambda: curator.get(PAGE)):
        response = send()
        assert (response.status_code, response["Location"]) == (302, "/")
        assert "“Video number 1” was deleted before." in text_of(curator.get("/"))
    assert Video.objects.get().deleted_reason == "first"


# Undo


def test_undo_brings_it_back_to_the_same_list(curator):
    make_library(3)
    curator.post(PAGE, {"next": "/?view=grid"})
    strict = Client(enforce_csrf_checks=True, headers=HTML)
    strict.cookies = curator.cookies
    form = fields_of(strict.get("/?view=grid").content.decode())
    response = strict.post("/deleted/restore/", form)
    assert (response.status_code, response["Location"]) == (302, "/?view=grid")
    assert Video.objects.live().count() == 3
    shown = text_of(strict.get("/?view=grid"))
    assert "“Video number 1” is back in the library." in shown
    assert "Undo" not in shown


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_a_restore_leads_to_no_other_site(curator, back):
    make_video().delete_by("curator", "")
    response = curator.post("/deleted/restore/", {"video_id": "video_00001", "next": back})
    assert response["Location"] == "/deleted/"


def test_a_hostile_title_is_text_in_the_message(curator):
    make_video(title=HOSTILE)
    curator.post(PAGE)
    html = curator.get("/").content.decode()
    assert "<script>alert" not in html
    assert f"“{HOSTILE}” is deleted." in unescape(html)


# What is remembered


@pytest.mark.django_db(transaction=True)
def test_what_was_said_once_is_not_remembered(curator):
    make_library(3)
    other = Client(headers=HTML)
    other.force_login(get_user_model().objects.create_superuser("other"))
    curator.post(PAGE)
    response = curator.get("/")
    assert "is deleted." in text_of(response)
    assert "no-store" in response["Cache-Control"]
    for client in (curator, other, Client(headers=HTML)):
        shown = text_of(client.get("/"))
        assert "is deleted." not in shown
        assert "csrfmiddlewaretoken" not in shown
        assert "2 summaries found" in shown


def test_staff_pages_give_scripts_their_token_and_others_none(curator):
    summarise(make_video(), "Text")
    for url in ("/", "/videos/video_00001/"):
        curator.cookies.pop("csrftoken", None)
        response = curator.get(url)
        assert response.cookies["csrftoken"].value
        assert response.cookies["csrftoken"].value not in response.content.decode()
        assert "csrftoken" not in Client(headers=HTML).get(url).cookies


@pytest.mark.django_db(transaction=True)
def test_waiting_messages_cost_strangers_no_query():
    make_library(3)
    client = Client(headers=HTML)
    client.get("/")
    with CaptureQueriesContext(connection) as captured:
        client.get("/")
    assert not [query for query in captured if "session" in query["sql"] or "auth" in query["sql"]]
    assert len(captured) == 2, "the flags, and the revision of the library"
