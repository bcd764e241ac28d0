"""A browser for the tests of this folder: Debian's Chromium, driven by Playwright."""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright
from playwright.sync_api import Error as PlaywrightError

# Playwright's synchronous interface runs an event loop in the thread of the test, where Django refuses the database.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

NAMES = ("chromium", "chromium-browser", "google-chrome")
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d4944415478da63606060f80f00010401005fe5c34b0000000049454e44ae426082"
)

OpenPage = Callable[..., Page]
SCREENSHOTS = Path(__file__).resolve().parents[2] / "screenshots"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test that fails leaves a screenshot of each of its pages (ignored by Git)."""
    report = yield
    if report.when == "call" and report.failed:
        for number, page in enumerate(item.funcargs.get("open_pages", ())):
            SCREENSHOTS.mkdir(exist_ok=True)
            name = re.sub(r"[^\w.-]+", "-", item.name)
            with contextlib.suppress(PlaywrightError):
                page.screenshot(path=SCREENSHOTS / f"{name}-{number}.png")
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)} is installed")
    # Chromium's sandbox refuses to run for root, as in most containers.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser found wrong: script errors, refusals by the content security policy, missing files."""
    return []


@pytest.fixture
def open_pages() -> list[Page]:
    """The pages that the test has opened."""
    return []


@pytest.fixture
def open_page(browser: Browser, live_server, complaints: list[str], open_pages: list[Page]) -> Iterator[OpenPage]:
    """Open an address of the site in a fresh browser; nothing outside of it is loaded."""
    contexts = []

    def answer(route: Route) -> None:
        if route.request.url.startswith(live_server.url):
            route.continue_()
        else:
            route.fulfill(body=PICTURE, content_type="image/png")

    def open_page(address: str = "/", *, viewport: dict[str, int] = WIDE, **options: object) -> Page:
        context = browser.new_context(base_url=live_server.url, viewport=viewport, **options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        context.route("**/*", answer)
        page = context.new_page()
        open_pages.append(page)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
