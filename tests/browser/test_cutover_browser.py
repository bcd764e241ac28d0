"""The pages of the cut-over in a real browser: what staff read of it at night, on a phone, too."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth import get_user_model
from playwright.sync_api import Page

from ingest.cutover.flags import set_flag
from ingest.models import CutoverStep, Delivery, FlagName, OutboxEntry, ShadowCount, ShadowRead
from tests.factories import make_library

from .conftest import NARROW, WIDE, OpenPage

RULES = {"resultTypes": ["violations"]}
LONG = "w" * 300
WIDE_ONES = """[...document.querySelectorAll("#content *")].filter(
    (element) => element.getBoundingClientRect().right > innerWidth).map(
    (element) => `${element.tagName}.${element.className}`).slice(0, 5)"""
PAGES = ("cutoverstep", "flag", "outboxentry", "delivery", "shadowread")


@pytest.fixture
def night(transactional_db, settings) -> None:
    """A library, every flag as it is not usual, and rows of each kind, with long and hostile values."""
    make_library(14)
    get_user_model().objects.create_superuser("ada", password="secret")
    for name in (FlagName.FROZEN, FlagName.DUAL_WRITE_MODE, FlagName.SHADOW_READS):
        set_flag(name, True, "ada")
    hostile = f"<script>alert(1)</script> {LONG}"
    for number in range(3):
        CutoverStep.objects.create(by="ada", verb="verify", outcome="refused", message=hostile, numbers={"videos": 9})
        OutboxEntry.objects.create(video_id=f"{number}{LONG}", sequence=number, attempts=3, last_error=hostile)
        told = [{"field": "title", "old": hostile, "new": LONG}]
        Delivery.objects.create(
            video_id=LONG, sequence=number, action="write", attempts=1, parity="different", differences=told
        )
        found = [{"path": "reports[x].title", "old": hostile, "new": LONG}]
        ShadowRead.objects.create(request=f"/api/reports?q={LONG}", differences=found)
    ShadowCount.objects.create(day="2026-01-01", compared=100, disagreed=3)


def sign_in(page: Page) -> None:
    page.goto("/admin/login/?next=/")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("secret")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/")


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_cut_off(open_page: OpenPage, night, scheme, viewport):
    page = open_page("/admin/login/", viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    sign_in(page)
    addresses = ["/", "/videos/video_00003/", *(f"/admin/ingest/{name}/" for name in PAGES)]
    for model, name in ((CutoverStep, "cutoverstep"), (Delivery, "delivery"), (ShadowRead, "shadowread")):
        addresses.append(f"/admin/ingest/{name}/{model.objects.first().pk}/change/")
    found = {}
    for address in addresses:
        page.goto(address)
        response = Axe().run(page, options=RULES).response["violations"]
        found[address] = [f"{rule['id']}: {node['html'][:120]}" for rule in response for node in rule["nodes"]]
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[address].append(f"wider than the screen: {page.evaluate(WIDE_ONES)}")
    lines = [f"{address} {line}" for address, lines in found.items() for line in lines]
    assert not lines, "\n".join(lines)
