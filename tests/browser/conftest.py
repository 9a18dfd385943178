"""One headless Chromium for all browser tests, and a fresh context for each; an error in the console fails a test."""

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
    """Return a function that opens a context on the test's server, with settings of Playwright."""
    contexts: list[BrowserContext] = []

    def make(**settings: object) -> BrowserContext:
        settings = {"viewport": {"width": 1280, "height": 860}, "locale": "en-GB"} | settings
        context = browser.new_context(base_url=live_server.url, **settings)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    _wait_for_requests()


def _wait_for_requests() -> None:
    """Wait for the server's threads: the tables are emptied after the test, and no request may run then."""
    deadline = time.monotonic() + 10
    while any("process_request_thread" in thread.name for thread in threading.enumerate()):
        if time.monotonic() > deadline:
            pytest.fail("a request was still running 10 s after its page was closed")
        time.sleep(0.02)


@pytest.fixture
def console_errors() -> list[str]:
    """Errors in the consoles of the pages; a test that expects some clears the list."""
    return []


@pytest.fixture
def page(new_context: NewContext, console_errors: list[str]) -> Iterator[Page]:
    """A page of a fresh context. Script errors and violations of the content security policy fail the test."""
    page = new_context().new_page()

    def record(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            console_errors.append(message.text)

    page.on("console", record)
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    yield page
    assert not console_errors, console_errors


@pytest.fixture
def sign_in(live_server: LiveServer) -> SignIn:
    """Return a function that signs a person in with a session cookie, which is faster than the sign-in page."""

    def with_cookie(page: Page, user: User) -> None:
        client, name = Client(), settings.SESSION_COOKIE_NAME
        client.force_login(user)
        page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])

    return with_cookie


@pytest.fixture
def sign_in_by_hand() -> SignIn:
    """Return a function that signs a person in through the sign-in page."""
    from tests.conftest import PASSWORD

    def through(page: Page, user: User) -> None:
        page.goto("/sign-in/")
        page.get_by_label("Username").fill(user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.locator("main").get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/")

    return through


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with the page as it is. Only violations are read from the browser."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    rules = page.evaluate("axe.run({resultTypes: ['violations']}).then((all) => all.violations)")
    return [f"{rule['id']}: {node['html'][:160]}" for rule in rules for node in rule["nodes"][:3]]
