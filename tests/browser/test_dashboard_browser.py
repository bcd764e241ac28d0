"""The pages in a real browser: by mouse, by keyboard, without JavaScript, in both themes, on both screens."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from ingest.cutover.flags import set_flag
from ingest.models import FlagName
from summaries.models import Summary
from videos.deciding import deciding
from videos.models import Categorization, Category, Subcategory, Video

from .conftest import NARROW, WIDE, OpenPage

LONG_NAME = "Ünbreakable/" + "w" * 180 + " & <b>bold</b>, “quotes” 🎬"
HEBREW = "שלום עולם, זה סיפור ארוך על היסטוריה"
VARIANTS = (("comprehensive", ""), ("key-points", ""), ("audio-fr", "fr"))


def make_video(number: int, category: str, subcategory: str | None, **values: object) -> Video:
    """A video with one pair, and with everything that a card can show."""
    defaults = {
        "title": f"{category} explained, part {number}",
        "source": "youtube",
        "channel_name": f"Channel {number % 60:02}",
        "thumbnail_url": f"https://i.ytimg.com/vi/{number}/hq720.jpg",
        "canonical_url": f"https://www.youtube.com/watch?v={number:011}",
        "duration_seconds": 60 + number,
        "word_count": 300,
        "has_audio": number % 3 > 0,
        "audio_duration_seconds": 90,
        "language": "fr" if number % 5 == 0 else "en",
        "content_type": "News",
        "complexity_level": "Beginner",
        "key_topics": ["the-silk-road"],
    }
    video = Video.objects.create(video_id=f"{number:011}", **defaults | values)
    parent, _ = Category.objects.get_or_create(name=category)
    below = Subcategory.objects.get_or_create(category=parent, name=subcategory)[0] if subcategory else None
    with deciding("curator"):
        Categorization.objects.create(video=video, position=0, category=parent, subcategory=below)
    return video


@pytest.fixture
def library(transactional_db) -> None:
    """70 videos: 40 in Technology, 20 of these in Web; 30 in History. One has odd names."""
    for number in range(40):
        make_video(number, "Technology", "Web" if number % 2 else "Mobile")
    for number in range(40, 69):
        make_video(number, "History", None)
    odd = make_video(69, "History", LONG_NAME, title=LONG_NAME, channel_name=LONG_NAME, key_topics=[LONG_NAME, HEBREW])
    for variant, language in VARIANTS:
        html = f'<p>{LONG_NAME}</p><ul class="kp-list"><li>One</li></ul><pre>{"x" * 300}</pre>'
        Summary.objects.create(video=odd, variant=variant, revision=1, text=html, html=html, language=language)
    make_video(70, HEBREW, HEBREW, title=HEBREW, channel_name=HEBREW)


def found(page: Page) -> str:
    return page.locator(".found").inner_text()


def wait_for(page: Page, query: str) -> None:
    """Wait for the dashboard with exactly these parameters, in any order."""
    wanted = sorted(parse_qsl(query))
    page.wait_for_url(lambda url: urlsplit(url).path == "/" and sorted(parse_qsl(urlsplit(url).query)) == wanted)


# No errors, nothing cut off, readable


# Texts with less than 4.5:1 (WCAG AA) before the worst place of the page's gradient.
CONTRAST = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], [r2, g2, b2]) => [r * a + r2 * (1 - a), g * a + g2 * (1 - a), b * a + b2 * (1 - a)];
  const linear = (c) => c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const probe = document.body.appendChild(document.createElement("i"));
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  const pages = [1, 2, 3].map((number) => {
    sheet.replaceSync(`i { color: var(--page-${number}); }`);
    return numbers(getComputedStyle(probe).color);
  });
  probe.remove();
  const poor = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility()) continue;
    if (element.closest("script, [aria-hidden=true], .visually-hidden, .skip")) continue;
    const grounds = [];
    for (let each = element; each !== document.body; each = each.parentElement) {
      grounds.unshift(getComputedStyle(each).backgroundColor);
    }
    const colour = numbers(getComputedStyle(element).color);
    for (const page of pages) {
      const ground = grounds.reduce((below, above) => over(numbers(above), below), page);
      const [dark, bright] = [light(ground), light(over(colour, ground))].sort((one, other) => one - other);
      const ratio = (bright + 0.05) / (dark + 0.05);
      if (ratio < 4.5) poor.add(`${element.className || element.tagName} ${text.slice(0, 30)}: ${ratio.toFixed(2)}`);
    }
  }
  return [...poor];
}"""

ADDRESSES = (
    "/",
    "/?view=grid&size=50&sort=title_az",
    "/?category=Technology&channel=Channel+01&q=part&find_channel=1",
    "/?page=99",
    "/?q=zzzz",
    "/videos/00000000069/",
    "/videos/00000000001/",
    "/nowhere/",
)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_free_of_errors_fits_and_is_readable(open_page: OpenPage, library, complaints, scheme, viewport):
    page = open_page(viewport=viewport, color_scheme=scheme)
    for address in ADDRESSES:
        page.goto(address)
        widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths[0] <= widths[1], f"{address} scrolls sideways: {widths}"
        assert page.evaluate(CONTRAST) == [], address
    # The one complaint there has to be: the browser's own note that a page was not found.
    assert [complaint for complaint in complaints if "404" not in complaint] == []


def test_overlay_fits_and_is_readable(open_page: OpenPage, library, complaints):
    for scheme in ("light", "dark"):
        page = open_page("/?channel=Channel+01", viewport=NARROW, color_scheme=scheme)
        page.get_by_role("button", name="Filters (1 active)").click()
        for summary in page.locator("#filters summary").all():
            if summary.is_visible():
                summary.click()
        assert page.locator("#filters").evaluate("e => e.scrollWidth <= e.clientWidth")
        assert page.evaluate(CONTRAST) == []
    assert complaints == []


def test_empty_library_is_free_of_errors(open_page: OpenPage, complaints):
    page = open_page()
    expect(page.get_by_role("heading", name="Your library is empty")).to_be_visible()
    assert complaints == []


def test_thumbnail_that_fails_leaves_the_drawing(open_page: OpenPage, library):
    page = open_page()
    page.context.unroute_all()
    page.context.route(re.compile("ytimg"), lambda route: route.abort())
    page.reload()
    picture = page.locator(".thumbnail img").first
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("e => getComputedStyle(e, '::after').backgroundImage").count("placeholder") == 1


# By mouse


def test_tick_filters_at_once_and_back_restores(open_page: OpenPage, library):
    page = open_page()
    assert found(page).startswith("71 summaries found")
    page.get_by_label("Technology 40").check()
    wait_for(page, "category=Technology")
    assert found(page).startswith("40 summaries found")
    page.get_by_role("checkbox", name="French").check()
    wait_for(page, "category=Technology&language=fr")
    assert found(page).startswith("8 summaries found")
    page.go_back()
    wait_for(page, "category=Technology")
    expect(page.locator(".found")).to_contain_text("40 summaries found")
    expect(page.get_by_role("checkbox", name="French")).not_to_be_checked()
    expect(page.get_by_label("Technology 40")).to_be_checked()
    page.go_back()
    expect(page.get_by_label("Technology 40")).not_to_be_checked()
    page.go_forward()
    expect(page.get_by_label("Technology 40")).to_be_checked()
    page.reload()
    expect(page.get_by_label("Technology 40")).to_be_checked()


def test_subcategory_takes_the_place_of_its_category(open_page: OpenPage, library):
    page = open_page("/?category=Technology")
    page.get_by_label("Subcategories of Technology").click()
    page.get_by_label("Web 20").check()
    wait_for(page, "subcategory=Web&parentCategory=Technology")
    assert found(page).startswith("20 summaries found")
    expect(page.get_by_label("Web 20")).to_be_visible()
    assert page.get_by_label("Technology 40").evaluate("box => box.indeterminate")
    page.get_by_label("Technology 40").check()
    wait_for(page, "category=Technology")
    assert found(page).startswith("40 summaries found")


def test_only_all_and_clear(open_page: OpenPage, library):
    page = open_page("/?category=Technology&language=en&page=2")
    page.get_by_role("button", name="Only History").click()
    wait_for(page, "category=History&language=en")
    page.get_by_role("link", name="Clear: Categories").click()
    wait_for(page, "language=en")
    page.get_by_role("link", name="Tick all: Language").click()
    wait_for(page, "language=en&language=fr")
    page.get_by_role("link", name="Clear all").click()
    wait_for(page, "")


def test_chips_and_active_filters_are_links(open_page: OpenPage, library):
    page = open_page("/?language=en")
    page.get_by_role("link", name="Web", exact=True).first.click()
    wait_for(page, "language=en&subcategory=Web&parentCategory=Technology")
    page.get_by_role("link", name="Remove Language English").click()
    wait_for(page, "subcategory=Web&parentCategory=Technology")


def test_what_was_opened_stays_open_from_page_to_page(open_page: OpenPage, library):
    page = open_page()
    page.get_by_text("Show 45 more").click()
    page.get_by_label("Channel 44 1").check()
    wait_for(page, "channel=Channel+44")
    expect(page.get_by_label("Channel 45 1")).to_be_visible()


def test_search_follows_the_typing(open_page: OpenPage, library):
    page = open_page("/?page=2")
    page.get_by_label("Search summaries").press_sequentially("hist", delay=20)
    wait_for(page, "q=hist")
    assert found(page).startswith("29 summaries found")
    box = page.get_by_label("Search summaries")
    expect(box).to_be_focused()
    box.press_sequentially("ory", delay=20)
    wait_for(page, "q=history")
    page.go_back()
    wait_for(page, "page=2")


def test_view_sort_size_and_pages(open_page: OpenPage, library):
    page = open_page()
    page.get_by_role("link", name="Grid").click()
    wait_for(page, "view=grid")
    page.get_by_role("group", name="Sort by").get_by_text("Show more").click()
    page.get_by_label("Title Z→A").check()
    wait_for(page, "sort=title_za&view=grid")
    page.get_by_role("link", name="24 per page").click()
    wait_for(page, "sort=title_za&view=grid&size=24")
    page.get_by_role("link", name="Next page").click()
    wait_for(page, "sort=title_za&view=grid&size=24&page=2")
    assert "Page 2 of 3" in found(page)


def test_report_leads_back_to_the_list_as_it_was(open_page: OpenPage, library):
    page = open_page("/?category=History&page=2")
    page.locator(".card-title a").first.click()
    page.get_by_role("link", name="Dashboard").click()
    wait_for(page, "category=History&page=2")


def test_copy_link_copies_the_canonical_address(open_page: OpenPage, library, live_server):
    page = open_page("/some_title_00000000069.json?v=2", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".toast")).to_contain_text("Link copied")
    assert page.evaluate("navigator.clipboard.readText()") == f"{live_server.url}/videos/00000000069/"


def test_theme_is_chosen_and_kept(open_page: OpenPage, library):
    page = open_page(color_scheme="light")
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_label("System")).to_be_checked()
    page.get_by_text("Dark", exact=True).click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto("/videos/00000000069/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    # On paper it is dark on white, over the whole width.
    page.goto("/")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(15, 23, 42)"
    assert page.locator("main").bounding_box()["width"] > 1000
    page.emulate_media(media="screen")
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("System", exact=True).click()
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


# By keyboard


def test_keyboard_reaches_the_list_and_the_filters(open_page: OpenPage, library):
    page = open_page()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(page.locator(".card-title a").first).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    page.get_by_label("Technology 40").focus()
    page.keyboard.press("Space")
    wait_for(page, "category=Technology")
    expect(page.get_by_label("Technology 40")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Only Technology")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Web 20")).to_be_visible()


def test_from_page_to_page_the_keyboard_stays_where_it_was(open_page: OpenPage, library):
    page = open_page("/?language=en&category=Technology&category=History")

    def enter(locator: Locator, query: str) -> None:
        locator.focus()
        page.keyboard.press("Enter")
        wait_for(page, query)

    remove = page.get_by_role("link", name="Remove")
    enter(remove.nth(1), "language=en&category=Technology")
    expect(remove.nth(1)).to_be_focused()
    enter(page.get_by_role("link", name="Clear: Categories"), "language=en")
    expect(page.get_by_label(re.compile(r"^Technology \d+$"))).to_be_focused()
    enter(page.get_by_role("link", name="Grid"), "language=en&view=grid")
    expect(page.get_by_role("link", name="Grid")).to_be_focused()
    enter(page.get_by_role("link", name="Next page"), "language=en&view=grid&page=2")
    expect(page.locator("main")).to_be_focused()
    title = page.locator(".card-title a").nth(2)
    name = title.text_content()
    title.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator("main")).to_be_focused()
    page.go_back()
    expect(title).to_be_focused()


def test_overlay_by_keyboard(open_page: OpenPage, library):
    page = open_page(viewport=NARROW)
    button = page.get_by_role("button", name="Filters", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Close filters")).to_be_focused()
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#filters') !== null")
    page.keyboard.press("Escape")
    expect(page.locator("#filters")).to_be_hidden()
    expect(button).to_be_focused()


def test_overlay_applies_all_ticks_at_once(open_page: OpenPage, library):
    page = open_page(viewport=NARROW)
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_label("Technology 40").check()
    page.get_by_label("History 30").check()
    page.get_by_role("button", name="Apply").click()
    wait_for(page, "category=Technology&category=History")
    expect(page.locator("#filters")).to_be_hidden()
    assert found(page).startswith("70 summaries found")


# Without JavaScript


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_everything_works_without_javascript(open_page: OpenPage, library, viewport):
    page = open_page(viewport=viewport, java_script_enabled=False)

    def show_filters() -> None:
        if viewport == NARROW:
            page.get_by_role("button", name=re.compile("^Filters")).click()

    show_filters()
    page.get_by_label("Technology 40").check()
    page.get_by_label("Subcategories of Technology").click()
    page.get_by_label("Web 20").check()
    page.get_by_label("Video Newest").check()
    page.get_by_role("button", name="Apply").click()
    wait_for(page, "subcategory=Web&parentCategory=Technology&sort=video_newest")
    assert found(page).startswith("20 summaries found")
    show_filters()
    page.get_by_role("button", name="Only History").click()
    wait_for(page, "category=History&sort=video_newest")
    show_filters()
    page.get_by_label("Search summaries").fill("explained")
    page.get_by_label("Search summaries").press("Enter")
    wait_for(page, "q=explained&category=History&sort=video_newest")
    page.get_by_role("link", name="Next page").click()
    wait_for(page, "q=explained&category=History&sort=video_newest&page=2")
    page.get_by_role("button", name="Settings").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Dark", exact=True)).to_be_hidden()
    page.goto("/videos/00000000069/")
    expect(page.get_by_role("button", name="Copy link")).to_be_hidden()
    page.get_by_role("link", name="Audio, French").click()
    expect(page.get_by_role("heading", name="Audio, French")).to_be_in_viewport()
    page.goto("/")
    page.get_by_role("link", name=re.compile("^Listen")).first.click()
    expect(page.locator("#audio audio[controls]")).to_be_visible()
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    expect(page.get_by_role("region", name="Audio player")).to_have_count(0)
    page.go_back()
    page.get_by_role("link", name=re.compile("^Read")).first.click()
    expect(page.locator(".summary").first).to_be_visible()


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("address", ["/", "/?view=grid", "/videos/00000000001/"])
def test_what_is_said_above_all_else_covers_nothing(viewport, address, open_page: OpenPage, library, complaints):
    set_flag(FlagName.FROZEN, True, "ada")
    page = open_page(address, viewport=viewport)
    said = page.locator(".banner").bounding_box()
    assert said["width"] > 300 and said["height"] < 120
    others = page.locator("#player, .bar, .sidebar, .heading, h1").all()
    for box in (one.bounding_box() for one in others if one.is_visible()):
        is_beside = box["x"] >= said["x"] + said["width"] - 1 or box["x"] + box["width"] <= said["x"] + 1
        assert is_beside or box["y"] >= said["y"] + said["height"] - 1 or box["y"] + box["height"] <= said["y"] + 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert complaints == []
