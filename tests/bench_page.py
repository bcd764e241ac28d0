"""`make bench-page N=10000`: how fast the dashboard shows up in a browser on a slow machine.

gunicorn as in production over a made-up library of N videos; Debian's Chromium, its CPU slowed down, its cache empty.
Printed for a desktop and a phone, without thumbnails (which come from elsewhere): first contentful and largest
contentful paint, layout shift, tasks longer than 50 ms, requests, and bytes as they go over the line. Then the same for
a page that comes into the open dashboard by a click. Nothing here passes or fails: machines differ.
"""

import argparse
import os
import shutil
import statistics
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from .bench import environment, prepare, server
from .browser.conftest import NAMES, NARROW, WIDE

RUNS = 5
OBSERVE = """
    window.seen = { largest: 0, shift: 0, long: 0, longest: 0 };
    const observe = (type, add) => new PerformanceObserver((list) => list.getEntries().forEach(add))
        .observe({ type, buffered: true });
    observe("largest-contentful-paint", (entry) => (seen.largest = entry.startTime));
    observe("layout-shift", (entry) => entry.hadRecentInput || (seen.shift += entry.value));
    observe("longtask", (entry) => { seen.long += 1; seen.longest = Math.max(seen.longest, entry.duration); });
"""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def first_visit(browser: Browser, address: str, viewport: dict[str, int], slowdown: float) -> dict[str, float]:
    """What one visit with an empty cache takes; times in milliseconds, sizes in bytes."""
    context = browser.new_context(viewport=viewport)
    page, sizes = slowed_page(context.new_page(), address, slowdown)
    page.goto(address, wait_until="networkidle")
    page.wait_for_timeout(500)
    measured = {"first paint": page.evaluate(FIRST_PAINT), "largest paint": page.evaluate("seen.largest")}
    measured |= seen_of(page) | {"requests": len(sizes), "bytes": sum(sizes)}
    before = len(sizes), sum(sizes)
    page.evaluate("Object.assign(seen, { largest: 0, shift: 0, long: 0, longest: 0 })")
    started = page.evaluate("performance.now()")
    page.get_by_role("link", name="Page 2").click()
    page.wait_for_url("**page=2")
    shown = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
    measured["page 2 shown"] = page.evaluate(shown) - started
    page.wait_for_load_state("networkidle")
    measured |= {f"page 2 {name}": value for name, value in seen_of(page).items()}
    measured |= {"page 2 requests": len(sizes) - before[0], "page 2 bytes": sum(sizes) - before[1]}
    context.close()
    return measured


def slowed_page(page: Page, address: str, slowdown: float) -> tuple[Page, list[int]]:
    """The page with its CPU slowed down, and a list that gets the bytes of each answer, headers and all."""
    sizes: list[int] = []
    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith(address) else route.abort())
    page.add_init_script(OBSERVE)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    session.on("Network.loadingFinished", lambda answer: sizes.append(int(answer["encodedDataLength"])))
    return page, sizes


def seen_of(page: Page) -> dict[str, float]:
    seen: dict[str, Any] = page.evaluate("seen")
    return {"layout shift": seen["shift"], "long tasks": seen["long"], "longest task": seen["longest"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--slowdown", type=float, default=4, help="how many times slower the CPU is (default: 4)")
    options = parser.parse_args()
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        raise SystemExit(f"No browser is here: none of {', '.join(NAMES)}. On Debian and Ubuntu: apt install chromium")
    values = environment(options.videos)
    prepare(values, options.videos)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with server(values) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        address = f"http://127.0.0.1:{port}/"
        columns = []
        for viewport in (WIDE, NARROW):
            visits = [first_visit(browser, address, viewport, options.slowdown) for _ in range(RUNS)]
            columns.append({name: statistics.median(visit[name] for visit in visits) for name in visits[0]})
        browser.close()
    print(f"\n{options.videos:,} videos, CPU slowed {options.slowdown:g} times, medians of {RUNS}; times in ms.\n")
    print(f"{'':<24}{'desktop':>10}{'phone':>10}")
    for name in columns[0]:
        digits = 4 if "shift" in name else 0
        print(f"{name:<24}" + "".join(f"{column[name]:>10,.{digits}f}" for column in columns))


if __name__ == "__main__":
    main()
