"""Reading on the dashboard: from page to page without a reload, a report in its card, the ⋯ menu, the keys."""

import re

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Page, expect

from tests.factories import categorise, make_video, summarise
from videos.models import Video

from .conftest import NARROW, WIDE, OpenPage

MARK = "window.samePage = true"
IS_SAME_PAGE = "window.samePage === true"


@pytest.fixture
def library(transactional_db) -> None:
    """30 videos, newest first 29 to 0; the even ones are Technology, the others History; three variants of each."""
    for number in range(30):
        video = make_video(number, channel_name=f"Channel {number % 3}", word_count=300, has_audio=False)
        categorise(video, [("Technology" if number % 2 == 0 else "History", "Part")])
        summarise(video, "\n\n".join(f"Paragraph {part} of summary {number}." for part in range(30)))
        summarise(video, f"- First insight of {number}\n- Second insight", "key-insights")
        summarise(video, f"Ce que l'on écoute, numéro {number}.", "audio-fr")


@pytest.fixture
def staff_page(open_page: OpenPage, library) -> Page:
    """The dashboard, signed in as the owner."""
    get_user_model().objects.create_superuser("owner", password="a long password")
    page = open_page("/admin/login/?next=/")
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")
    return page


def card(page: Page, number: int):
    return page.locator(f'.card[data-video="video_{number:05d}"]')


# From page to page


def test_links_filters_and_pages_change_the_page_without_loading_it_anew(open_page: OpenPage, library, complaints):
    page = open_page()
    page.evaluate(MARK)
    page.get_by_role("checkbox", name=re.compile("^Technology")).check()
    expect(page.locator(".found")).to_contain_text("15 summaries")
    page.get_by_role("link", name="Page 2").click()
    expect(page.locator(".found")).to_contain_text("Page 2 of 2")
    expect(page).to_have_title(re.compile("Page 2"))
    card(page, 2).locator(".card-title a").click()
    expect(page.locator("#main h1")).to_have_text("Video number 2")
    expect(page.locator("#main")).to_be_focused()
    assert page.evaluate(IS_SAME_PAGE)
    assert complaints == []


def test_back_and_forward_restore_the_list_and_where_it_stood(open_page: OpenPage, library):
    page = open_page("/?category=Technology")
    page.evaluate(MARK)
    card(page, 12).scroll_into_view_if_needed()
    card(page, 12).locator(".card-title a").click()
    expect(page.locator("#main h1")).to_have_text("Video number 12")
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(card(page, 12)).to_be_in_viewport()
    assert page.evaluate("scrollY") > 0
    page.go_forward()
    expect(page.locator("#main h1")).to_have_text("Video number 12")
    page.get_by_role("link", name="Dashboard").click()
    expect(card(page, 12)).to_be_in_viewport()
    assert page.url.endswith("/?category=Technology")
    assert page.evaluate(IS_SAME_PAGE)


def test_a_reload_stays_where_one_was(open_page: OpenPage, library):
    page = open_page()
    card(page, 19).scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    page.reload()
    assert abs(page.evaluate("scrollY") - before) < 2


def test_of_two_pages_asked_for_at_once_the_second_is_shown(open_page: OpenPage, library, complaints):
    page = open_page()
    page.evaluate("""async () => {
      const { navigate } = await import("/static/js/navigation.js");
      await Promise.all([navigate("/?page=2"), navigate("/?page=3")]);
    }""")
    expect(page.locator(".found")).to_contain_text("Page 3 of 3")
    assert page.url.endswith("/?page=3")
    assert [complaint for complaint in complaints if "Abort" not in complaint and "afterRequest" not in complaint] == []


def test_an_address_that_is_none_shows_the_page_for_that(open_page: OpenPage, library):
    page = open_page()
    page.evaluate("document.querySelector('.card-title a').href = '/videos/nobody/'; htmx.process(document.body)")
    page.locator(".card-title a").first.click()
    expect(page.locator("h1")).to_have_text("There is nothing at this address")
    page.go_back()
    expect(page.locator(".card")).to_have_count(12)


def test_a_page_that_cannot_be_fetched_says_so_and_can_be_tried_again(open_page: OpenPage, library):
    page = open_page()
    page.context.set_offline(True)
    page.get_by_role("link", name="Page 2").click()
    expect(page.locator(".toast").filter(has_text="could not be loaded")).to_be_visible()
    expect(page.locator(".card")).to_have_count(12)
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".found")).to_contain_text("Page 2 of 3")


# Reading in the list


@pytest.mark.parametrize("view", ["list", "grid"])
def test_a_report_opens_in_its_card_and_closes_in_three_ways(open_page: OpenPage, library, complaints, view):
    page = open_page("/?view=grid" if view == "grid" else "/")
    before = page.url

    def read(number: int) -> None:
        card(page, number).get_by_role("link", name=re.compile("^Read")).click()
        expect(page.locator(".reader")).to_contain_text(f"Paragraph 0 of summary {number}.")
        assert page.url == f"{before}#report=video_{number:05d}"
        expect(card(page, number).locator("[data-read]")).to_have_attribute("aria-expanded", "true")

    def is_closed() -> None:
        expect(page.locator(".reader")).to_have_count(0)
        expect(page).to_have_url(before)

    read(28)
    page.keyboard.press("Escape")
    is_closed()
    read(28)
    page.go_back()
    is_closed()
    read(28)
    page.locator(".reader [data-collapse]").first.click()
    is_closed()
    read(28)
    card(page, 28).get_by_role("link", name=re.compile("^Read")).click()
    is_closed()
    assert complaints == []


def test_one_report_is_open_at_a_time_and_the_card_that_was_pressed_stays_in_place(open_page: OpenPage, library):
    page = open_page()
    card(page, 29).get_by_role("link", name=re.compile("^Read")).click()
    expect(page.locator(".reader")).to_contain_text("summary 29.")
    link = card(page, 27).get_by_role("link", name=re.compile("^Read"))
    link.scroll_into_view_if_needed()
    top = link.bounding_box()["y"]
    link.click()
    expect(page.locator(".reader")).to_contain_text("summary 27.")
    expect(page.locator(".reader")).to_have_count(1)
    assert abs(link.bounding_box()["y"] - top) < 2
    page.go_back()
    expect(page.locator(".reader")).to_have_count(0)


def test_a_link_to_a_report_opens_it_whether_its_card_is_on_the_page_or_not(open_page: OpenPage, library):
    # Far down the page, by its key, its old id, a stem.
    for name in ("video_00021", "yt:video_00021", "a_title_video_00021"):
        page = open_page(f"/#report={name}")
        expect(card(page, 21).locator(".reader")).to_contain_text("summary 21.")
        assert 0 <= card(page, 21).bounding_box()["y"] < 200
    assert page.url.endswith("/#report=video_00021")
    card(page, 21).locator("[data-read]").click()
    expect(page.locator(".reader")).to_have_count(0)
    page.goto("about:blank")
    page.goto("/#report=video_00003")
    expect(page.locator(".reader")).to_contain_text("summary 3.")
    expect(page.locator(".reader")).to_contain_text("Video number 3")
    expect(page.locator(".reader")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator(".reader")).to_have_count(0)
    page.goto("about:blank")
    page.goto("/#report=nobody")
    expect(page.locator(".reader")).not_to_be_empty()
    expect(page.locator(".reader")).not_to_contain_text("Loading")


def test_variants_are_tabs_by_mouse_and_keyboard_and_the_address_says_which(open_page: OpenPage, library):
    page = open_page("/#report=video_00029")
    tabs = page.locator(".reader").get_by_role("tab")
    expect(tabs).to_have_count(3)
    expect(tabs.nth(0)).to_have_attribute("aria-selected", "true")
    tabs.nth(1).click()
    expect(page.locator(".reader")).to_contain_text("First insight of 29")
    expect(page.get_by_text("Paragraph 0 of summary 29.")).to_be_hidden()
    assert page.url.endswith("#report=video_00029&variant=key-insights")
    page.keyboard.press("ArrowRight")
    expect(tabs.nth(2)).to_be_focused()
    expect(page.get_by_text("numéro 29")).to_be_visible()
    page.reload()
    expect(page.get_by_text("numéro 29")).to_be_visible()
    page.goto("/videos/video_00029/")
    page.get_by_role("tab").nth(1).click()
    expect(page.get_by_text("Second insight")).to_be_visible()
    expect(page.get_by_text("Paragraph 0 of summary 29.")).to_be_hidden()


def test_an_open_report_survives_no_filter_but_the_way_back(open_page: OpenPage, library):
    page = open_page("/#report=video_00029")
    expect(page.locator(".reader")).to_contain_text("summary 29.")
    card(page, 29).locator(".card-title a").click()
    expect(page.locator("#main h1")).to_have_text("Video number 29")
    page.go_back()
    expect(card(page, 29).locator(".reader")).to_contain_text("summary 29.")


def test_back_and_a_reload_lead_into_an_open_report_to_where_one_was(open_page: OpenPage, library):
    # Without the report the page is too short for it.
    page = open_page(viewport=NARROW, reduced_motion="reduce")
    card(page, 18).locator("[data-read]").click()
    link = page.get_by_role("link", name="Open the full report")
    link.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    link.click()
    expect(page.locator("#main h1")).to_have_text("Video number 18")
    page.go_back()
    expect(link).to_be_in_viewport()
    assert page.evaluate("scrollY") == before
    page.reload()
    expect(link).to_be_in_viewport()
    assert page.evaluate("scrollY") == before


# The ⋯ menu


def test_a_video_is_deleted_and_brought_back(staff_page: Page, complaints):
    page = staff_page
    page.evaluate(MARK)
    card(page, 28).locator(".menu-button").click()
    page.locator("[data-delete]:visible").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete “Video number 28”?")
    page.keyboard.press("Escape")
    expect(card(page, 28).locator(".menu-button")).to_be_focused()
    card(page, 28).locator(".menu-button").click()
    page.locator("[data-delete]:visible").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator(".found")).to_contain_text("29 summaries")
    expect(card(page, 28)).to_have_count(0)
    # The keyboard is on what is in its place, and on what comes back.
    expect(card(page, 27).locator(".card-title a")).to_be_focused()
    assert Video.objects.get(pk="video_00028").deleted_by == "owner"
    page.get_by_role("button", name="Undo").click()
    expect(card(page, 28).locator(".card-title a")).to_be_focused()
    assert Video.objects.live().filter(pk="video_00028").exists()
    assert page.evaluate(IS_SAME_PAGE)
    assert complaints == []


def test_a_delete_on_the_report_leads_back_to_where_the_list_was(staff_page: Page):
    page = staff_page
    card(page, 20).scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    assert before > 0
    card(page, 20).locator(".card-title a").click()
    page.locator("#page.report-page [data-delete]").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".found")).to_contain_text("29 summaries")
    page.wait_for_function("(before) => scrollY === before", arg=before)


def test_who_is_not_signed_in_is_asked_to(open_page: OpenPage, library):
    page = open_page("/?category=History")
    card(page, 29).locator(".menu-button").click()
    page.get_by_role("link", name=re.compile("Sign in to delete")).locator("visible=true").click()
    page.wait_for_url("**/admin/login/**")
    assert "category" in page.url


def test_a_link_is_copied(open_page: OpenPage, library, live_server):
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card(page, 29).locator(".menu-button").click()
    page.get_by_role("button", name=re.compile("Copy link")).locator("visible=true").click()
    expect(page.locator(".toast")).to_contain_text("Link copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{live_server.url}/videos/video_00029/"


# Keys


def test_keys_of_the_list_and_of_a_card(staff_page: Page):
    page = staff_page
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("r?l")
    expect(page.locator("#q")).to_have_value("r?l")
    page.locator("#q").fill("")
    card(page, 28).locator(".card-title a").focus()
    page.keyboard.press("r")
    expect(page.locator(".reader")).to_contain_text("summary 28.")
    page.keyboard.press("r")
    expect(page.locator(".reader")).to_have_count(0)
    # The mouse moved last, and then the focus.
    card(page, 27).hover()
    page.keyboard.press("r")
    expect(page.locator(".reader")).to_contain_text("summary 27.")
    card(page, 28).locator(".card-title a").focus()
    page.keyboard.press("d")
    expect(page.get_by_role("dialog")).to_contain_text("Video number 28")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    keys = page.get_by_role("dialog").locator("dt").all_inner_texts()
    assert any("/" in key for key in keys)
    assert any("L" in key for key in keys)
    page.keyboard.press("Escape")
    card(page, 28).locator(".card-title a").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#main h1")).to_have_text("Video number 28")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog").locator("dt").all_inner_texts()
    assert not any("/" in key or "L" in key for key in keys)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_view_is_remembered_for_the_bare_address(open_page: OpenPage, library, viewport):
    page = open_page(viewport=viewport)
    page.get_by_role("link", name="Grid").click()
    expect(page.locator(".cards.grid")).to_be_visible()
    page.goto("/")
    expect(page.locator(".cards.grid")).to_be_visible()
    page.get_by_role("link", name="List").click()
    expect(page.locator(".cards.list")).to_be_visible()
    page.goto("/")
    expect(page.locator(".cards.list")).to_be_visible()
