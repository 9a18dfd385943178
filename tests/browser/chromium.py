"""Find a Chromium for the browser tests, or install one where that is possible, and print its path.

`python -m tests.browser.chromium` does so before the suite; the tests themselves only find it.
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


def _find_playwright_chromium() -> str | None:
    """Return the browser that Playwright has downloaded; None where it has not."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def find() -> str:
    """Return the path of a Chromium: $CHROMIUM, one on PATH, or Playwright's own. Raises NoChromium."""
    configured = os.environ.get("CHROMIUM", "")
    if configured:
        if os.path.exists(configured):
            return configured
        raise NoChromium
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    downloaded = _find_playwright_chromium()
    if downloaded:
        return downloaded
    raise NoChromium


def _install() -> None:
    """Run the installations that need no answer from a person; find() reports where all of them fail."""
    commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        commands.insert(0, ["apt-get", "install", "--yes", "--quiet", "chromium"])
        subprocess.run(["apt-get", "update", "--quiet"], check=False)
    for command in commands:
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
