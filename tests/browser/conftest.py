"""One headless Chromium for all browser tests, a fresh context for each; a page that breaks its own rules fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.browser.chromium import ARGUMENTS, NoChromium, find

SignIn = Callable[[Page, User], None]
NewContext = Callable[..., BrowserContext]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder is slow."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    try:
        path = find()
    except NoChromium as error:
        pytest.fail(str(error))
    browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def new_context(browser: Browser, live_server: LiveServer) -> Iterator[NewContext]:
    """A function that makes a context on the test's server; its settings are Playwright's own."""
    made: list[BrowserContext] = []

    def make(**settings: object) -> BrowserContext:
        settings = {"viewport": {"width": 1280, "height": 860}, "locale": "en-GB"} | settings
        context = browser.new_context(base_url=live_server.url, **settings)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()
    _let_requests_end()


def _let_requests_end() -> None:
    """Wait for the server's threads: a request still at work would meet the emptying of the tables."""
    deadline = time.monotonic() + 10
    while any("process_request_thread" in thread.name for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            pytest.fail("a request was still at work 10 s after its page was closed")
        time.sleep(0.02)


@pytest.fixture
def complaints() -> list[str]:
    """What the pages' consoles complained of; a test that expects complaints clears it."""
    return []


@pytest.fixture
def page(new_context: NewContext, complaints: list[str]) -> Iterator[Page]:
    """A page of a fresh context. Broken scripts and breaches of the content security policy fail the test."""
    page = new_context().new_page()

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert not complaints, complaints


@pytest.fixture
def sign_in(live_server: LiveServer) -> SignIn:
    """A function that signs somebody of the cast in, with a session of theirs: its own page is two loads more."""

    def with_cookie(page: Page, user: User) -> None:
        client, name = Client(), settings.SESSION_COOKIE_NAME
        client.force_login(user)
        page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])

    return with_cookie


@pytest.fixture
def sign_in_by_hand() -> SignIn:
    """A function that signs somebody of the cast in through the page."""
    from tests.conftest import PASSWORD

    def through(page: Page, user: User) -> None:
        page.goto("/sign-in/")
        page.get_by_label("Username").fill(user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.locator("main").get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")

    return through


def violations(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is. The page keeps the script; what passed stays in the browser."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("axe.run({resultTypes: ['violations']}).then((all) => all.violations)")
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"][:3]]
