"""Hostile data on every page: nothing executes, nothing breaks, the content security policy has nothing to report."""

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Page, expect

from summaries.models import Summary
from tests.factories import categorise, make_video, summarise
from videos.models import Video

from .conftest import NARROW, WIDE, OpenPage

MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"\'><b>bold</b>&amp;{{ 7|add:7 }}'
HOSTILE = {
    "markup": MARKUP,
    "attribute": '" onmouseover="window.hacked=1" autofocus onfocus="window.hacked=1" x="',
    "htmx": '"><i hx-get="/health" hx-trigger="load" hx-on:click="window.hacked=1">x</i>',
    "right to left": "\u202eשלום\u202c عالم \u2067abc\u2069",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈" * 20,
    "long word": "w" * 500,
    "combining": "Z" + "\u0351\u0316\u0309" * 60 + "algo",
    "zero width": "a\u200b\u200d\ufeffb\u00adc",
}


@pytest.fixture
def library(transactional_db) -> None:
    """One video for each kind, with it in every text that a page shows."""
    for number, text in enumerate(HOSTILE.values()):
        video = make_video(
            number,
            title=f"{text} {number}", channel_name=text, content_type=text, complexity_level=text, language=text[:20],
            key_topics=[text], thumbnail_url="javascript:window.hacked=1" if number % 2 else "https://i.ytimg.com/x.jpg",
            canonical_url="javascript:window.hacked=1", has_audio=True, audio_duration_seconds=10**9, word_count=10**9,
        )  # fmt: skip
        categorise(video, [(text, text), ("Plain", f"{text} below")])
        summarise(video, f"{text}\n\n- {text}\n\n**{text}** findme")
        summarise(video, f"<p onclick='window.hacked=1'>{MARKUP} {text}</p><iframe src='/'></iframe>", "key-insights")
        summarise(video, text, f"odd-variant {text}"[:200])


def is_whole(page: Page, place: str) -> None:
    """Nothing ran, nothing sticks out sideways, no markup of theirs became ours."""
    assert page.evaluate("window.hacked") is None, place
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
    assert page.locator("#page img[src='x'], #page iframe, [hx-get='/health'], [onerror], [onclick]").count() == 0, (
        place
    )


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_page_runs_or_breaks(open_page: OpenPage, library, complaints, viewport):
    page = open_page(viewport=viewport)
    keys = list(Video.objects.order_by("pk").values_list("pk", flat=True))
    addresses = ["/", "/?view=grid", "/?q=findme", "/?category=Plain", *(f"/videos/{key}/" for key in keys)]
    for address in addresses:
        page.goto(address)
        is_whole(page, address)
    page.goto("/")
    for key in keys:
        page.goto(f"/#report={key}")
        page.reload()
        expect(page.locator(".reader [data-reader]")).to_be_visible()
        is_whole(page, f"reading {key}")
    for text in HOSTILE.values():
        page.goto("/")
        page.evaluate("(q) => { document.getElementById('q').value = q; }", text)
        page.evaluate("document.getElementById('filter-form').requestSubmit()")
        page.wait_for_url("**q=**")
        is_whole(page, f"search for {text}")
    # The files of sound that these videos have are nowhere.
    assert [complaint for complaint in complaints if "404" not in complaint] == []


def test_menus_dialogs_messages_and_the_player_show_it_as_text(open_page: OpenPage, library, complaints):
    get_user_model().objects.create_superuser("owner", password="a long password")
    page = open_page("/admin/login/?next=/")
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")
    # The failing files are named in a message; after three the player stops.
    page.locator("[data-listen]").first.click()
    expect(page.locator(".toast")).to_contain_text("the player has stopped")
    is_whole(page, "player")
    page.get_by_role("button", name="Dismiss").click()
    card = page.locator(".card[data-video='video_00000']")
    card.locator(".menu-button").click()
    page.locator("[data-delete]:visible").click()
    expect(page.locator("#confirm-title")).to_contain_text("<script>")
    is_whole(page, "dialog")
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(page.locator(".toast").filter(has_text="is deleted")).to_contain_text("<script>")
    is_whole(page, "deleted")
    for address in (
        "/deleted/",
        "/delete/video_00001/",
        "/admin/videos/video/",
        "/admin/videos/video/video_00001/change/",
    ):
        page.goto(address)
        assert page.evaluate("window.hacked") is None, address
    assert [complaint for complaint in complaints if "404" not in complaint] == []


def test_stored_html_is_clean(library):
    for html in Summary.objects.values_list("html", flat=True):
        assert "<script" not in html
        assert "<iframe" not in html
        assert "onerror=" not in html.replace("onerror=&quot;", "")
