"""An open dashboard says when there are new videos, and nothing on it moves."""

from datetime import UTC, datetime

from playwright.sync_api import expect

from tests.factories import make_library, make_video

from .conftest import OpenPage


def test_a_new_video_is_announced_without_a_jump_and_shown_on_a_click(open_page: OpenPage, complaints):
    make_library(3)
    page = open_page("/")
    page.wait_for_load_state("networkidle")
    card = page.locator("article").first
    before = card.bounding_box()
    make_video(900, title="Brand new", indexed_at=datetime(2035, 1, 1, tzinfo=UTC))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    link = page.get_by_role("link", name="1 new video")
    expect(link).to_be_visible()
    assert card.bounding_box() == before
    link.click()
    expect(page.get_by_text("Brand new")).to_be_visible()
    assert complaints == []
