"""No violation that axe-core finds, on any page, in both themes, on both screens; narrow, zoomed and still."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.factories import categorise, make_video, summarise

from .conftest import NARROW, WIDE, OpenPage

# What only a person can judge is not asked of the machine; everything else that it knows is.
RULES = {"resultTypes": ["violations"]}


@pytest.fixture
def library(transactional_db) -> None:
    """14 videos with everything that a page can show."""
    for number in range(14):
        video = make_video(
            number, has_audio=True, audio_duration_seconds=90, word_count=500, key_topics=["silk-road"],
            thumbnail_url="https://i.ytimg.com/vi/x/hq720.jpg", canonical_url="https://www.youtube.com/watch?v=x",
        )  # fmt: skip
        categorise(video, [("Technology", "Web"), ("World War II (WWII)", "Aftermath")])
        summarise(video, "A heading\n\nSome text with **strong** words.\n\n- one\n- two")
        summarise(video, "- insight", "key-insights")


def violations(page: Page) -> list[str]:
    """What axe-core finds, one line each."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['html'][:120]}" for rule in found for node in rule["nodes"]]


ADDRESSES = (
    "/",
    "/?view=grid&category=Technology",
    "/?q=text",
    "/?q=zzzz",
    "/?page=99",
    "/videos/video_00003/",
    "/nowhere/",
    "/admin/login/",
)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(open_page: OpenPage, library, scheme, viewport):
    page = open_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    found = {}
    for address in ADDRESSES:
        page.goto(address)
        found[address] = violations(page)
    assert {address: lines for address, lines in found.items() if lines} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens(open_page: OpenPage, library, scheme):
    page = open_page("/#report=video_00012", color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator(".reader")).to_contain_text("Some text")
    assert violations(page) == []
    page.locator(".menu-button").first.click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Settings").click()
    assert violations(page) == []
    narrow = open_page("/", viewport=NARROW, color_scheme=scheme, reduced_motion="reduce")
    narrow.get_by_role("button", name="Filters").click()
    assert violations(narrow) == []


@pytest.mark.parametrize("address", ["/", "/?view=grid", "/#report=video_00012", "/videos/video_00003/", "/nowhere/"])
def test_nothing_is_cut_off_at_320_pixels_or_200_percent(open_page: OpenPage, library, address):
    """200 % zoom of a window 1280 wide is 640 CSS pixels (WCAG 1.4.4); 400 % is 320 (1.4.10)."""
    for width in (320, 640):
        page = open_page(address, viewport={"width": width, "height": 600})
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


def test_who_wants_no_motion_gets_none(open_page: OpenPage, library):
    page = open_page(reduced_motion="reduce")
    moving = page.evaluate(
        """[...document.querySelectorAll("*")].filter((element) => {
            const { animationName, transitionDuration, scrollBehavior } = getComputedStyle(element);
            return animationName !== "none" || transitionDuration.split(", ").some((time) => parseFloat(time) > 0)
                || scrollBehavior === "smooth";
        }).map((element) => element.outerHTML.slice(0, 100))"""
    )
    assert moving == []
