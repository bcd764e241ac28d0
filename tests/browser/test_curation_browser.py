"""Curation by keyboard in the admin, and in place on the dashboard."""

import re
import sys

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth import get_user_model
from playwright.sync_api import Locator, Page, expect

from ingest.merge import merge
from ingest.payloads import read_universal
from tests.factories import categorise, make_video, summarise
from videos.curation import decide
from videos.known_categories import known_categories
from videos.models import Categorization, Category, Origin, Review, Subcategory, Video

from .conftest import NARROW, WIDE, OpenPage

WEB, WAR = ("Technology", "Web Development"), ("World War II (WWII)", "Aftermath & Reconstruction")
# Without its own copies of the style sheets, which the policy refuses where one imports another.
RULES = {"resultTypes": ["violations"], "preload": False}


@pytest.fixture
def library(transactional_db) -> list[str]:
    """The known categories and 20 videos: 12 that a machine put right, 5 wrong, 3 in nothing."""
    for position, (name, below) in enumerate(known_categories().items()):
        category = Category.objects.create(name=name, position=position)
        Subcategory.objects.bulk_create(
            Subcategory(category=category, name=each, position=place) for place, each in enumerate(below)
        )
    keys = []
    for number in range(20):
        video = make_video(number, title=f"Video {number} " + ("with a long title " * 8 if number == 19 else ""))
        keys.insert(0, video.pk)
        summarise(video, f"What video {number} says.\n\n" + "A long paragraph about it. " * 40)
        if number % 20 < 17:
            categorise(video, [WEB] if number < 12 else [("Technology", "Cybersecurity")], Origin.AI)
    return keys


def sign_in(open_page: OpenPage, address: str, **options: object) -> Page:
    get_user_model().objects.get_or_create(username="owner", defaults={"is_staff": True, "is_superuser": True})
    owner = get_user_model().objects.get(username="owner")
    owner.set_password("a long password")
    owner.save()
    page = open_page(f"/admin/login/?next={address}", **options)
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Password").fill("a long password")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{address}")
    return page


def box(where: Page | Locator) -> Locator:
    return where.locator("pair-picker input[role=combobox]")


def pairs(key: str) -> list[tuple[str, str | None]]:
    return [(pair.category, pair.subcategory) for pair in Categorization.objects.pairs_of([key])[key]]


class Keyboard:
    """The keys of a page, counted."""

    def __init__(self, page: Page) -> None:
        self.page, self.presses = page, 0

    def press(self, key: str) -> None:
        self.presses += 1
        self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.presses += len(text)
        self.page.keyboard.type(text)


def test_20_videos_are_curated_by_keyboard_alone(open_page: OpenPage, library, complaints):
    """12 are right and confirmed, 5 get another category, 3 get their first; the summary is there to read."""
    page = sign_in(open_page, "/admin/videos/curation/")
    page.locator("a.title").first.focus()
    keyboard = Keyboard(page)
    keyboard.press("Enter")
    for key in library:
        video = Video.objects.get(pk=key)
        expect(page.locator("#content h1")).to_have_text(video.title.strip())
        expect(page.locator(".curate-summary")).to_contain_text(
            f"What {' '.join(video.title.split()[:2]).lower()} says"
        )
        expect(box(page)).to_be_focused()
        number = int(key[-5:])
        if 12 <= number < 17:
            keyboard.press("Backspace")
        if number >= 12:
            keyboard.type("ii aft")
            expect(page.get_by_role("option")).to_have_count(1)
            keyboard.press("Enter")
        keyboard.press("Enter")
        expect(page.locator(".messagelist")).to_contain_text("World War II" if number >= 12 else "Web Development")
    page.wait_for_url("**/admin/videos/curation/")
    for key in library:
        assert pairs(key) == [WAR if int(key[-5:]) >= 12 else WEB]
    assert Review.objects.filter(is_curated=True, reviewed_by="owner").count() == 20
    sys.stdout.write(f"20 videos: {keyboard.presses} key presses\n")
    assert keyboard.presses < 20 * 6
    assert complaints == []


def test_a_proposal_is_accepted_or_kept_away_by_a_key(open_page: OpenPage, library):
    first, second = library[:2]
    decide({first: [WAR], second: [WAR]}, "owner")
    for key in (first, second):
        sent = {"video_id": key, "category": ["Gaming"], "processed_at": "2030-01-01T00:00:00Z"}
        merge(read_universal(sent, key), by="worker")
    page = sign_in(open_page, "/admin/videos/curation/?state=differs")
    expect(page.locator("#result_list .proposal").first).to_contain_text("Gaming")
    page.locator("a.title").first.click()
    expect(page.locator(".curate-proposal")).to_contain_text("Gaming")
    expect(box(page)).to_be_focused()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".messagelist")).to_contain_text("accepted")
    expect(page.locator(".curate-proposal")).to_contain_text("Gaming")
    expect(box(page)).to_be_focused()
    page.keyboard.press("Alt+k")
    page.wait_for_url("**/admin/videos/curation/?state=differs")
    assert (pairs(first), pairs(second)) == ([("Gaming", None)], [WAR])


def test_order_removal_and_the_way_through_the_list(open_page: OpenPage, library, complaints):
    page = sign_in(open_page, "/admin/videos/curation/")
    page.locator("a.title").nth(5).click()
    key = library[5]
    expect(box(page)).to_be_focused()
    page.keyboard.type("world aft")
    # The example of the two World Wars: both are found, and each says whose it is.
    expect(page.get_by_role("option")).to_have_text(
        ["World War I (WWI) › Aftermath & Interwar", "World War II (WWII) › Aftermath & Reconstruction"]
    )
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("zzzz")
    expect(page.locator(".pair-none")).to_have_text("No other category has these names.")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    # To the last chip, and one place earlier.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Alt+ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(box(page)).to_be_focused()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("World War II (WWII) › Aftermath & Reconstruction, Technology")
    assert pairs(key) == [WAR, ("Technology", "Cybersecurity")]
    # What is found below a category that the video is in comes first.
    expect(box(page)).to_be_focused()
    page.keyboard.type("world aft")
    expect(page.get_by_role("option")).to_have_text(["World War I (WWI) › Aftermath & Interwar"])
    page.keyboard.press("Escape")
    page.keyboard.type("world ho")
    expect(page.get_by_role("option").first).to_contain_text("World War II (WWII)")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Remove World War II").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text(": Technology › Cybersecurity")
    expect(box(page)).to_be_focused()
    page.keyboard.press("Alt+n")
    expect(page.locator("#content h1")).to_have_text(Video.objects.get(pk=library[6]).title)
    expect(box(page)).to_be_focused()
    page.keyboard.press("Alt+p")
    # It is reviewed now, so the list has it no more.
    expect(page.locator("#content h1")).to_have_text(Video.objects.get(pk=library[4]).title)
    assert complaints == []


def test_categories_are_edited_where_they_stand(open_page: OpenPage, library, complaints):
    page = sign_in(open_page, "/")
    page.evaluate("window.here = true")
    card = page.locator(f'.card[data-video="{library[2]}"]')
    card.locator(".menu-button").click()
    page.locator("[data-curate]:visible").click()
    expect(box(card)).to_be_focused()
    page.keyboard.type("ii aft")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(card.locator(".chips .category")).to_have_text(["World War II (WWII)"])
    expect(page.locator(".toast")).to_contain_text("World War II")
    expect(page.locator(".toast-action")).to_have_text("Undo …")
    expect(card.locator(".menu-button")).to_be_focused()
    assert page.evaluate("window.here") and pairs(library[2]) == [WAR]
    # The focus is on the card.
    page.keyboard.press("c")
    expect(box(card)).to_be_focused()
    page.keyboard.press("Escape")
    expect(card.locator(".curate-here")).to_have_count(0)
    card.locator(".card-title a").click()
    expect(page.get_by_role("link", name="Edit categories")).to_be_visible()
    page.keyboard.press("c")
    expect(box(page)).to_be_focused()
    page.keyboard.press("Backspace")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".facts .category")).to_have_count(0)
    assert pairs(library[2]) == [] and Review.objects.get(video=library[2]).is_curated
    assert complaints == []


def test_what_was_decided_meanwhile_is_shown_and_not_overwritten(open_page: OpenPage, library):
    page = sign_in(open_page, "/")
    card = page.locator(f'.card[data-video="{library[4]}"]')
    card.locator(".menu-button").click()
    page.locator("[data-curate]:visible").click()
    expect(box(card)).to_be_focused()
    decide({library[4]: [WAR]}, "somebody else")
    page.keyboard.press("Enter")
    expect(card.get_by_role("alert")).to_contain_text("have changed since you opened the page")
    expect(card.locator(".pair-chips")).to_contain_text("World War II")
    assert pairs(library[4]) == [WAR]


def test_without_scripts_lists_take_the_place_of_the_picker(open_page: OpenPage, library):
    page = sign_in(open_page, "/", java_script_enabled=False)
    page.goto(f"/curate/{library[0]}/")
    page.get_by_label("One more category").select_option(label=" › ".join(WAR))
    page.get_by_role("button", name="Save").click()
    assert pairs(library[0]) == [WAR]
    page.goto(f"/admin/videos/curation/{library[5]}/change/")
    page.get_by_label("Category 1").select_option(label="Remove")
    page.get_by_label("One more category").select_option(label=" › ".join(WAR))
    page.get_by_role("button", name="Save and next").click()
    assert pairs(library[5]) == [WAR]


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_the_policy_holds(open_page: OpenPage, library, complaints, scheme, viewport):
    decide({library[0]: [WAR]}, "owner")
    sent = {"video_id": library[0], "category": ["Gaming"], "processed_at": "2030-01-01T00:00:00Z"}
    merge(read_universal(sent, library[0]), by="worker")
    page = sign_in(
        open_page, "/admin/videos/curation/", viewport=viewport, color_scheme=scheme, reduced_motion="reduce"
    )
    found = {}

    def look(name: str) -> None:
        response = Axe().run(page, options=RULES).response["violations"]
        lines = [f"{rule['id']}: {node['target']} {node['html'][:120]}" for rule in response for node in rule["nodes"]]
        if lines:
            found[name] = lines
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > viewport["width"]:
            found[f"{name}, wider than the screen"] = [str(width)]

    look("list")
    page.goto(f"/admin/videos/curation/{library[0]}/change/")
    look("video")
    box(page).fill("tech")
    expect(page.get_by_role("option").first).to_be_visible()
    look("picker")
    page.goto("/admin/videos/curation/progress/")
    look("progress")
    page.goto("/admin/videos/curation/?state=all")
    page.locator("[name=_selected_action]").first.check()
    page.locator("[name=action]").first.select_option("replace_pair")
    page.get_by_role("button", name=re.compile("^(Run|Go)")).first.click()
    page.get_by_label("Replace").select_option(label=" › ".join(WAR))
    page.get_by_label("by", exact=True).select_option(label=" › ".join(WEB))
    page.get_by_role("button", name="Show what changes").click()
    expect(page.locator(".bulk-numbers")).to_contain_text("1 of 1")
    look("bulk")
    page.goto(f"/curate/{library[0]}/")
    look("form")
    for name, address in {
        "history": "/admin/videos/categorizationevent/",
        "history of one": f"/admin/videos/categorizationevent/?video={library[0]}",
        "taking back": "/admin/videos/categorizationevent/revert/",
        "taxonomy": "/admin/videos/category/",
        "flat names": "/admin/videos/category/flat-names/",
        "rename": f"/admin/videos/category/rename/?row=category:{Category.objects.first().pk}&name=Other",
        "a new category": "/admin/videos/category/add/",
        "a video's form": f"/admin/videos/video/{library[0]}/change/",
        "videos": "/admin/videos/video/",
        "an empty list": "/admin/videos/curation/?state=reviewed",
    }.items():
        page.goto(address)
        assert page.locator("#content").count() == 1, name
        look(name)
    page.goto("/admin/videos/categorizationevent/")
    page.locator(".history-revert").first.click()
    expect(page.locator("#content")).to_contain_text("back to what")
    look("one change")
    assert found == {}
    assert complaints == []
