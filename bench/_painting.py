"""The judge page in Chromium: from Enter to the next question painted, what comes over the wire, and what jumps."""

from __future__ import annotations

import statistics
import time
from typing import Any

from bench._stage import Person

QUESTIONS = 20
PATIENCE_SECONDS = 30
WATCH = """
window.shifts = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((e) => [e.value, e.hadRecentInput])))
    .observe({type: 'layout-shift', buffered: true});
"""


def paint(chromium: str, port: int, slug: str, person: Person) -> dict[str, Any]:
    """Questions judged with the keyboard, one after the other, each when the next has been fetched ahead."""
    from playwright.sync_api import sync_playwright

    from tests.browser.chromium import ARGUMENTS

    address = f"http://127.0.0.1:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB")
        context.add_cookies([{"name": "sessionid", "value": person.session, "url": address}])
        page = context.new_page()
        page.add_init_script(WATCH)
        sizes: list[float] = []
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        page.goto(f"{address}/p/{slug}/judge/", wait_until="networkidle")
        first_load = sum(sizes)
        milliseconds = [_next(page) for _question in range(QUESTIONS)]
        page.wait_for_timeout(500)
        shifts = page.evaluate("window.shifts")
        version = browser.version
        browser.close()
    return {
        "version": version,
        "questions": QUESTIONS,
        "next_ms_p50": statistics.median(milliseconds),
        "next_ms_p95": statistics.quantiles(milliseconds, n=20, method="inclusive")[18],
        "next_ms": milliseconds,
        "wire_kb_first": first_load / 1000,
        "wire_kb_per_question": (sum(sizes) - first_load) / 1000 / QUESTIONS,
        "layout_shift": sum(value for value, is_answer in shifts if not is_answer),
        "layout_shift_after_keys": sum(value for value, is_answer in shifts if is_answer),
    }


def _next(page: Any) -> float:
    """Judge what is shown; milliseconds from Enter to the next painted."""
    _until(page, "document.getElementById('judge').desk?.next.url !== undefined")
    page.wait_for_timeout(300)  # nobody grades ten passages in no time
    for _passage in range(page.locator(".judged").count()):
        page.keyboard.press("2")
    _until(page, "document.getElementById('save-state').dataset.state === 'saved'")
    page.evaluate("performance.clearMeasures('tandem:next')")
    page.keyboard.press("Enter")
    entries = "performance.getEntriesByName('tandem:next')"
    _until(page, f"{entries}.length === 1")
    return float(page.evaluate(f"{entries}[0].duration"))


def _until(page: Any, condition: str) -> None:
    """The page forbids eval, which Playwright's own waiting needs."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            raise RuntimeError(f"it did not come true in the browser: {condition}")
        page.wait_for_timeout(50)
