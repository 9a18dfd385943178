"""The judge page in Chromium: time from Enter to the next query painted, bytes over the network, and layout shift."""

from __future__ import annotations

import statistics
import time
from typing import Any

from bench._environment import Person

QUERIES = 20
TIMEOUT_SECONDS = 30
OBSERVE_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((e) => [e.value, e.hadRecentInput])))
    .observe({type: 'layout-shift', buffered: true});
"""


def measure(chromium: str, port: int, slug: str, person: Person) -> dict[str, Any]:
    """Judge QUERIES queries with the keyboard, each after the next one was prefetched."""
    from playwright.sync_api import sync_playwright

    from tests.browser.chromium import ARGUMENTS

    site = f"http://127.0.0.1:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": 1280, "height": 860}, locale="en-GB")
        context.add_cookies([{"name": "sessionid", "value": person.session, "url": site}])
        page = context.new_page()
        page.add_init_script(OBSERVE_SHIFTS)
        sizes: list[float] = []
        devtools = context.new_cdp_session(page)
        devtools.send("Network.enable")
        devtools.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
        page.goto(f"{site}/p/{slug}/judge/", wait_until="networkidle")
        first_load = sum(sizes)
        milliseconds = [_judge_and_wait(page) for _query in range(QUERIES)]
        page.wait_for_timeout(500)
        shifts = page.evaluate("window.shifts")
        version = browser.version
        browser.close()
    return {
        "version": version,
        "queries": QUERIES,
        "next_ms_p50": statistics.median(milliseconds),
        "next_ms_p95": statistics.quantiles(milliseconds, n=20, method="inclusive")[18],
        "next_ms": milliseconds,
        "wire_kb_first": first_load / 1000,
        "wire_kb_per_query": (sum(sizes) - first_load) / 1000 / QUERIES,
        "layout_shift": sum(value for value, is_after_key in shifts if not is_after_key),
        "layout_shift_after_keys": sum(value for value, is_after_key in shifts if is_after_key),
    }


def _judge_and_wait(page: Any) -> float:
    """Judge the shown query and return the milliseconds from Enter to the next query painted."""
    _wait_until(page, "document.getElementById('judge').page?.next.url !== undefined")
    page.wait_for_timeout(300)  # a pause, because no person grades ten passages at once
    for _passage in range(page.locator(".passage-card").count()):
        page.keyboard.press("2")
    _wait_until(page, "document.getElementById('save-state').dataset.state === 'saved'")
    page.evaluate("performance.clearMeasures('tandem:next')")
    page.keyboard.press("Enter")
    entries = "performance.getEntriesByName('tandem:next')"
    _wait_until(page, f"{entries}.length === 1")
    return float(page.evaluate(f"{entries}[0].duration"))


def _wait_until(page: Any, condition: str) -> None:
    """Wait until the JavaScript condition holds. The page's CSP forbids eval, which Playwright's own waiting needs."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            raise RuntimeError(f"timeout in the browser: {condition}")
        page.wait_for_timeout(50)
