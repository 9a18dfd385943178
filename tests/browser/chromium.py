"""Find a Chromium for the browser tests, or install one where that is possible, and say which.

`python -m tests.browser.chromium` does so before the suite; the tests themselves only look.
"""

import os
import shutil
import subprocess
import sys

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
INSTALL = "apt-get install chromium   (or set CHROMIUM=/path/to/chrome, or: python -m playwright install chromium)"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class NoChromium(Exception):
    """No browser was found; the message holds the install command."""

    def __init__(self) -> None:
        super().__init__(f"no Chromium was found; install one: {INSTALL}")


def _playwrights_own() -> str | None:
    """The browser Playwright has downloaded, if it has."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def find() -> str:
    """Path of a Chromium: $CHROMIUM, one on PATH, or Playwright's own. Raises NoChromium."""
    given = os.environ.get("CHROMIUM", "")
    if given:
        if os.path.exists(given):
            return given
        raise NoChromium
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    own = _playwrights_own()
    if own:
        return own
    raise NoChromium


def _install() -> None:
    """Try the ways that need no question answered; what fails leaves find() to say so."""
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        ways.insert(0, ["apt-get", "install", "--yes", "--quiet", "chromium"])
        subprocess.run(["apt-get", "update", "--quiet"], check=False)
    for command in ways:
        print("· installing a Chromium:", " ".join(command), flush=True)
        if subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == 0:
            return


def main() -> int:
    try:
        path = find()
    except NoChromium:
        _install()
        try:
            path = find()
        except NoChromium as error:
            print(f"tandem: {error}", file=sys.stderr)
            return 1
    print(f"· browser tests use {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
