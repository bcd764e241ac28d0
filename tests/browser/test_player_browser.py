"""Listening, with real sound files: on while pages change, through the list and beyond its page, after a reload."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from playwright.sync_api import Locator, Page, expect

from ingest.files import AUDIO, store_upload
from ingest.models import AudioFile
from tests.factories import categorise, make_video
from videos.models import Video

from .conftest import NARROW, WIDE, OpenPage

LENGTH = 60
MARK = "window.samePage = true"
SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      const moved = sources.map(({ node, previousRect, currentRect }) =>
        [node?.outerHTML ?? node?.data ?? node, JSON.stringify(previousRect), JSON.stringify(currentRect)].join(" "));
      window.shifts.push(`${value} ${hadRecentInput} ${moved}`);
    }
  }).observe({ type: "layout-shift" });
}"""
HANDLERS = """
  window.handlers = {};
  const set = MediaSession.prototype.setActionHandler;
  MediaSession.prototype.setActionHandler = function (action, handler) {
    window.handlers[action] = handler;
    set.call(this, action, handler);
  };
"""
NO_STORAGE = """
  for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(window, name, { get() { throw new DOMException("forbidden", "SecurityError"); } });
  }
"""


def silence(seconds: float, kilobits: int = 32) -> bytes:
    """An MP3 without a sound: frames of MPEG 1, layer III, 44,100 Hz, mono, whose content is all zero."""
    bitrates = {32: 0x10, 128: 0x90}
    size = 144_000 * kilobits // 44_100
    return bytes([0xFF, 0xFB, bitrates[kilobits], 0xC4]).ljust(size, b"\0") * round(seconds * 44_100 / 1152)


@pytest.fixture(autouse=True)
def media(settings, tmp_path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def audible(number: int, content: bytes, **values: object) -> Video:
    """A video with a sound file, as the worker sends it."""
    video = make_video(number, has_audio=True, audio_duration_seconds=LENGTH, **values)
    categorise(video, [("Odd" if number % 2 else "Even", None)])
    store_upload(SimpleUploadedFile(f"{video.pk}.mp3", content), AUDIO, video.pk, "worker")
    return video


@pytest.fixture
def library(transactional_db) -> None:
    """Videos 1 to 15 of a minute, the newest first: 15 to 4 are on page 1. Number 8 has no audio."""
    sound = silence(LENGTH)
    for number in range(1, 16):
        if number == 8:
            make_video(number, has_audio=False)
        else:
            audible(number, sound, thumbnail_url=f"https://i.ytimg.com/vi/{number}/hq720.jpg")


def card(page: Page, number: int) -> Locator:
    return page.locator(f'.card[data-video="video_{number:05d}"]')


def listen(page: Page, number: int, is_expected: bool = True) -> None:
    card(page, number).locator("[data-listen]").click()
    if is_expected:
        expect_playing(page, number)


def player(page: Page) -> Locator:
    return page.get_by_role("region", name="Audio player")


def button(page: Page, name: str) -> Locator:
    return player(page).get_by_role("button", name=name, exact=True)


# Keeps every text that the elapsed time ever has.
WATCH_ELAPSED = """() => {
  const box = document.querySelector(".player-elapsed");
  window.shown = [box.textContent];
  const everything = { childList: true, characterData: true, subtree: true };
  new MutationObserver(() => window.shown.push(box.textContent)).observe(box, everything);
}"""


def expect_playing(page: Page, number: int) -> None:
    expect(page.locator("#player")).to_have_attribute("data-state", "playing")
    expect(page.locator(".player-title")).to_have_text(f"Video number {number}")


def elapsed(page: Page) -> int:
    minutes, seconds = page.locator(".player-elapsed").text_content().split(":")
    return 60 * int(minutes) + int(seconds)


def wait_until(page: Page, comparison: str, seconds: int) -> None:
    """Wait for a place in the file."""
    text = "document.querySelector('.player-elapsed').textContent"
    page.wait_for_function(f"() => {text} {comparison} '{seconds // 60}:{seconds % 60:02}'")


def expect_sound_goes_on(page: Page) -> None:
    """Time goes by in the file that is open."""
    before = elapsed(page)
    page.wait_for_function(
        "(before) => document.querySelector('.player-elapsed').textContent !== before",
        arg=f"{before // 60}:{before % 60:02}",
    )
    assert elapsed(page) > before


# It never stops


def test_it_plays_on_while_the_list_is_filtered_a_report_opens_and_one_goes_back(open_page, library, complaints):
    page = open_page()
    page.evaluate(MARK)
    requests = []
    page.on("request", lambda request: requests.append(request.url) if "/exports/" in request.url else None)
    listen(page, 15)
    expect_sound_goes_on(page)
    page.get_by_role("checkbox", name=re.compile("^Even")).check()
    expect(page.locator(".found")).to_contain_text("6 summaries")
    expect_sound_goes_on(page)
    card(page, 14).locator(".card-title a").click()
    expect(page.locator("#main h1")).to_have_text("Video number 14")
    expect_sound_goes_on(page)
    page.go_back()
    expect(page.locator(".found")).to_contain_text("6 summaries")
    page.go_back()
    expect(card(page, 15)).to_have_class(re.compile("playing"))
    expect_sound_goes_on(page)
    expect_playing(page, 15)
    assert page.evaluate("window.samePage")
    assert len(requests) == 1, "the file was opened once"
    assert complaints == []


def test_the_list_that_plays_stays_the_one_it_was_started_from(open_page: OpenPage, library):
    page = open_page("/?category=Odd")
    listen(page, 15)
    page.get_by_role("link", name="Clear all").click()
    expect(page.locator(".found")).to_contain_text("15 summaries")
    button(page, "Next").click()
    expect_playing(page, 13)


# The playlist


def test_next_goes_beyond_the_page_and_previous_back(open_page: OpenPage, library, complaints):
    page = open_page()
    listen(page, 4)
    button(page, "Next").click()
    expect_playing(page, 3)
    expect(page.locator(".card.playing")).to_have_count(0)
    button(page, "Previous").click()
    expect_playing(page, 4)
    # What has no audio is passed over.
    listen(page, 9)
    page.keyboard.press("k")
    expect_playing(page, 7)
    assert complaints == []


def test_the_end_of_a_track_starts_the_next_and_the_end_of_the_list_is_the_end(open_page: OpenPage, transactional_db):
    for number in (1, 2, 3):
        audible(number, silence(LENGTH if number == 3 else 1))
    page = open_page()
    listen(page, 3)
    button(page, "Next").click()
    expect_playing(page, 2)
    expect_playing(page, 1)
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    expect(page.get_by_text("This is the last one of the list.")).to_be_visible()
    expect(button(page, "Next")).to_have_attribute("aria-disabled", "true")
    button(page, "Play").click()
    expect_playing(page, 1)


def test_play_with_nothing_chosen_starts_the_first_of_the_list(open_page: OpenPage, library):
    page = open_page("/?sort=title_az&page=2")
    expect(page.locator(".player-title")).to_have_text("Nothing playing")
    button(page, "Play").click()
    expect_playing(page, 1)
    button(page, "Next").click()
    expect_playing(page, 10)


def test_play_on_a_list_without_audio_says_so(open_page: OpenPage, library):
    page = open_page("/?has_audio=false")
    button(page, "Play").click()
    expect(page.get_by_text("Nothing in this list can be listened to.")).to_be_visible()


# Seeking, speed, sound


def test_seeking_by_keyboard_asks_for_that_part_of_the_file(open_page: OpenPage, transactional_db):
    audible(1, silence(600, 128))
    page = open_page()
    answers = []
    page.on("response", lambda response: answers.append((response.status, response.headers.get("content-range", ""))))
    listen(page, 1)
    slider = player(page).get_by_role("slider", name="Position")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^0:0\d of 9:58$"))
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    wait_until(page, ">=", 10)
    for _ in range(8):
        page.keyboard.press("PageUp")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^8:[01]\d of 9:58$"))
    expect_sound_goes_on(page)
    # The browser may have read on from an earlier step far enough for the last one.
    starts = [int(re.match(r"bytes (\d+)-", said)[1]) for status, said in answers if status == 206]
    assert max(starts) > 1_000_000


def test_seeking_by_click_and_in_steps(open_page: OpenPage, library):
    page = open_page()
    listen(page, 15)
    button(page, "Pause").click()
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    slider = page.locator(".player-seek")
    box = slider.bounding_box()
    slider.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    middle = elapsed(page)
    assert 28 <= middle <= 31
    button(page, "Back 15 seconds").click()
    assert elapsed(page) == middle - 15
    button(page, "Forward 15 seconds").click()
    assert elapsed(page) == middle
    for _ in range(3):
        button(page, "Back 15 seconds").click()
    assert elapsed(page) == 0


def test_speed_and_mute_hold_for_the_next_track_and_after_a_reload(open_page: OpenPage, library):
    page = open_page()
    speed = player(page).get_by_label("Speed")
    assert speed.locator("option").all_text_contents() == ["0.75×", "1×", "1.25×", "1.5×", "1.75×", "2×", "2.5×", "3×"]
    listen(page, 15)
    speed.select_option("3")
    button(page, "Next").click()
    expect_playing(page, 14)
    wait_until(page, ">=", 1)
    state = page.evaluate("import('/static/js/playback.js').then((playback) => playback.status())")
    assert (state["speed"], state["isMuted"]) == (3, False)
    page.locator("body").press("m")
    expect(button(page, "Mute")).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(speed).to_have_value("3")
    expect(button(page, "Mute")).to_have_attribute("aria-pressed", "true")


# Remembered


def test_a_reload_finds_the_track_paused_where_it_was(open_page: OpenPage, library, complaints):
    page = open_page("/?category=Odd")
    listen(page, 13)
    button(page, "Forward 15 seconds").click()
    wait_until(page, ">=", 15)
    requests = []
    page.on("request", lambda request: requests.append(request.url) if "/exports/" in request.url else None)
    page.goto("/")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    expect(page.locator(".player-title")).to_have_text("Video number 13")
    expect(card(page, 13).locator("[data-listen]")).to_have_text(re.compile("^Play"))
    assert 15 <= elapsed(page) < 50
    assert requests == [], "nothing is loaded before it is played"
    page.evaluate(WATCH_ELAPSED)
    page.locator("body").press("Space")
    expect_playing(page, 13)
    expect_sound_goes_on(page)
    assert 15 <= elapsed(page) < 55
    assert "0:00" not in page.evaluate("window.shown"), "the place in the file does not jump while it loads"
    button(page, "Next").click()
    expect_playing(page, 11)
    assert elapsed(page) < 15
    button(page, "Previous").click()
    expect_playing(page, 13)
    wait_until(page, ">=", 15)
    assert complaints == []


def test_a_place_is_shown_and_kept_where_no_length_is_stated(open_page: OpenPage, transactional_db):
    for number in (1, 2):
        audible(number, silence(LENGTH))
    Video.objects.update(audio_duration_seconds=0)
    page = open_page()
    page.evaluate("import('/static/js/player-memory.js').then((memory) => memory.rememberPosition('video_00001', 40))")
    listen(page, 2)
    button(page, "Forward 15 seconds").click()
    wait_until(page, ">=", 15)
    page.goto("/videos/video_00001/")
    expect(page.locator(".audio-times")).to_have_text("0:40 / –:––")
    assert 15 <= elapsed(page) < 50
    expect(page.locator(".player-duration")).to_have_text("1:00")
    expect(page.locator(".player-seek")).to_have_attribute("max", "60")


def test_fifty_positions_are_remembered_and_none_of_what_is_heard_to_the_end(open_page: OpenPage, library):
    page = open_page()
    kept = page.evaluate("""async () => {
      const { memory, positionOf, rememberPosition } = await import("/static/js/player-memory.js");
      for (let number = 0; number < 60; number += 1) rememberPosition(`video ${number}`, 10 + number, 100);
      rememberPosition("video 58", 99, 100);
      rememberPosition("video 57", 1, 100);
      return [memory().positions.length, ...[9, 10, 56, 57, 58].map((number) => positionOf(`video ${number}`))];
    }""")
    assert kept == [48, 0, 20, 66, 0, 0]


def test_it_works_where_storage_is_forbidden(open_page: OpenPage, library):
    page = open_page()
    page.add_init_script(NO_STORAGE)
    page.reload()
    listen(page, 15)
    player(page).get_by_label("Speed").select_option("2")
    button(page, "Mute").click()
    button(page, "Next").click()
    expect_playing(page, 14)
    expect_sound_goes_on(page)


# What goes wrong


def test_files_that_fail_are_said_and_passed_over(open_page: OpenPage, library):
    AudioFile.objects.filter(video="video_00014").delete()
    Path(default_storage.path(AudioFile.objects.get(video="video_00013").name)).write_bytes(bytes(len(silence(LENGTH))))
    page = open_page()
    listen(page, 15)
    button(page, "Next").click()
    # In one message, which covers less than one for each.
    missing = "“Video number 14” cannot be played: the file is missing."
    expect(page.locator(".toast")).to_contain_text(f"{missing} “Video number 13” cannot be played: the file is damaged")
    expect_playing(page, 12)
    expect_sound_goes_on(page)


def test_a_file_that_the_network_does_not_bring_is_passed_over(open_page: OpenPage, library):
    page = open_page()
    page.context.route("**/exports/by_video/video_00014", lambda route: route.abort())
    listen(page, 14, is_expected=False)
    expect(page.get_by_text("“Video number 14” cannot be played: the server was not reached.")).to_be_visible()
    expect_playing(page, 13)


def test_offline_it_stops_where_it_is_and_goes_on_when_asked(open_page: OpenPage, library):
    page = open_page()
    page.context.set_offline(True)
    listen(page, 15, is_expected=False)
    expect(page.get_by_text("“Video number 15” cannot be played: you are offline.")).to_be_visible()
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect_playing(page, 15)
    expect_sound_goes_on(page)


def test_after_three_failures_in_a_row_it_stops_and_says_so(open_page: OpenPage, library):
    AudioFile.objects.filter(video__in=["video_00014", "video_00013", "video_00012"]).delete()
    page = open_page()
    listen(page, 15)
    button(page, "Next").click()
    names = "“Video number 14”, “Video number 13”, and “Video number 12”"
    expect(page.locator(".toast")).to_contain_text(f"{names} cannot be played: the file is missing.")
    expect(page.locator(".toast")).to_contain_text("These were 3 in a row, so the player has stopped.")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    expect(page.locator(".player-title")).to_have_text("Video number 12")
    button(page, "Next").click()
    expect_playing(page, 11)


# What shows it


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong_with_it(open_page: OpenPage, library, scheme):
    def violations() -> str:
        found = Axe().run(page)
        return found.generate_report() if found.violations_count else ""

    for viewport in (WIDE, NARROW):
        # Colours are measured when they are there, not on the way.
        page = open_page(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        assert violations() == ""
        listen(page, 15)
        assert violations() == ""
        if viewport == NARROW:
            button(page, "Open the player").click()
            page.wait_for_timeout(300)
            assert violations() == ""
            button(page, "Close the player").click()
        card(page, 14).locator(".card-title a").click()
        expect(page.locator("#audio")).to_be_visible()
        assert violations() == ""


@pytest.mark.parametrize("address", ["/", "/?view=grid"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_card_that_plays_shows_it_and_its_strip_seeks(open_page: OpenPage, library, viewport, address):
    page = open_page(address, viewport=viewport)
    link = card(page, 15).locator("[data-listen]")
    before = link.bounding_box()
    text = link.inner_text()
    page.evaluate(SHIFTS)
    link.click()
    expect_playing(page, 15)
    expect(link).to_have_text(re.compile("^Pause"))
    expect(card(page, 15)).to_have_class(re.compile("playing"))
    assert link.bounding_box() == before
    # Paused, so that places are exact.
    link.click()
    expect(link).to_have_text(re.compile("^Play"))
    assert link.bounding_box() == before
    strip = card(page, 15).locator(".strip")
    box = strip.bounding_box()
    strip.click(position={"x": box["width"] * 0.8, "y": box["height"] - 3})
    assert 46 <= elapsed(page) <= 49
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] - 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] - 30, steps=4)
    page.mouse.up()
    assert 22 <= elapsed(page) <= 25
    assert page.evaluate("location.pathname") == "/"
    listen(page, 14)
    expect(card(page, 15)).not_to_have_class(re.compile("playing"))
    assert link.inner_text() == text
    assert page.evaluate("window.shifts") == []


def test_the_strip_under_the_mouse_grows_without_moving_anything(open_page: OpenPage, library):
    # Without the transition it grows in one frame.
    page = open_page(viewport=WIDE, reduced_motion="reduce")
    listen(page, 15)
    strip = card(page, 15).locator(".strip")
    page.mouse.move(0, 0)
    height = page.evaluate("() => getComputedStyle(document.querySelector('.strip'), '::before').transform")
    page.evaluate(SHIFTS)
    strip.hover()
    assert page.evaluate("() => getComputedStyle(document.querySelector('.strip'), '::before').transform") != height
    # Shifts are told after a frame.
    page.wait_for_timeout(300)
    assert page.evaluate("window.shifts") == []


def test_the_lock_screen_knows_and_controls_it(open_page: OpenPage, library):
    page = open_page()
    page.add_init_script(HANDLERS)
    page.reload()
    listen(page, 15)
    metadata = "(({ title, artist, artwork }) => [title, artist, artwork[0]?.src])(navigator.mediaSession.metadata)"
    assert page.evaluate(metadata) == ["Video number 15", "Channel 1", "https://i.ytimg.com/vi/15/hq720.jpg"]
    assert page.evaluate("navigator.mediaSession.playbackState") == "playing"

    def handle(action: str, details: str = "{}") -> None:
        page.evaluate(f"void handlers.{action}({details})")

    handle("nexttrack")
    expect_playing(page, 14)
    handle("previoustrack")
    expect_playing(page, 15)
    handle("pause")
    expect(page.locator("#player")).to_have_attribute("data-state", "paused")
    assert page.evaluate("navigator.mediaSession.playbackState") == "paused"
    handle("seekto", "{ seekTime: 20 }")
    assert elapsed(page) == 20
    handle("seekbackward", "{ seekOffset: 10 }")
    assert elapsed(page) == 10
    handle("seekforward")
    assert elapsed(page) == 25
    handle("play")
    expect_playing(page, 15)


def test_the_card_of_a_report_controls_the_same_player(open_page: OpenPage, library, complaints):
    page = open_page()
    listen(page, 15)
    card(page, 14).locator(".card-title a").click()
    audio = page.locator("#audio")
    audio.get_by_role("slider").focus()
    # What is not played yet begins where it is put.
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    expect(audio.locator(".audio-times")).to_have_text("0:10 / 1:00")
    expect_playing(page, 15)
    audio.get_by_role("button", name="Play").click()
    expect_playing(page, 14)
    wait_until(page, ">=", 10)
    expect(audio.get_by_role("button", name="Pause")).to_be_visible()
    audio.get_by_label("Speed").select_option("1.5")
    expect(player(page).get_by_label("Speed")).to_have_value("1.5")
    with page.expect_download() as download:
        audio.get_by_role("link", name="Download the audio").click()
    assert Path(download.value.path()).read_bytes() == silence(LENGTH)
    button(page, "Next").click()
    expect_playing(page, 13)
    expect(audio.get_by_role("button", name="Play")).to_be_visible()
    assert complaints == []


def test_without_script_the_browsers_own_control_plays(open_page: OpenPage, library):
    page = open_page(java_script_enabled=False)
    expect(page.locator("#player")).to_be_hidden()
    card(page, 15).locator("[data-listen]").click()
    page.wait_for_url("**/videos/video_00015/#audio")
    expect(page.locator("#audio audio")).to_be_visible()
    expect(page.locator("#audio").get_by_role("button", name="Play")).to_be_hidden()
    expect(page.get_by_role("link", name="Download the audio")).to_be_visible()
    answer = page.request.get(page.locator("#audio audio").get_attribute("src"))
    assert answer.body() == silence(LENGTH)


# The phone


def test_the_bar_opens_to_a_sheet(open_page: OpenPage, library, complaints):
    page = open_page(viewport=NARROW, has_touch=True)
    expect(player(page)).to_be_hidden()
    listen(page, 15)
    expect(button(page, "Pause")).to_be_visible()
    expect(button(page, "Previous")).to_be_hidden()
    # Nothing is behind the bar at the end of the page.
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    bottom = page.locator(".pages").evaluate("element => element.getBoundingClientRect().bottom")
    assert bottom <= page.locator("#player").bounding_box()["y"]

    opener = button(page, "Open the player")
    opener.focus()
    page.keyboard.press("Enter")
    closer = button(page, "Close the player")
    expect(closer).to_be_focused()
    expect(closer).to_have_attribute("aria-expanded", "true")
    for name in ("Previous", "Back 15 seconds", "Pause", "Forward 15 seconds", "Next", "Mute", "Close the player"):
        box = button(page, name).bounding_box()
        assert min(box["width"], box["height"]) >= 44, name
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || document.activeElement.closest('#player')")
    button(page, "Next").click()
    expect_playing(page, 14)
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    expect(button(page, "Previous")).to_be_hidden()
    # A tap on the title opens it too, one beside it closes it.
    page.locator(".player-text").click(force=True)
    expect(closer).to_be_visible()
    page.mouse.click(195, 20)
    expect(opener).to_be_visible()
    opener.click()
    page.locator(".player-title a").click()
    expect(page.locator("#main h1")).to_have_text("Video number 14")
    expect(opener).to_have_attribute("aria-expanded", "false")
    expect_playing(page, 14)
    assert page.evaluate("document.getElementById('page').inert") is False
    assert complaints == []
