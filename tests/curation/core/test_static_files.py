"""Static files: the vendored files are those of the list, and every template and script exists."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from django.test import Client

STATIC = Path(__file__).resolve().parents[3] / "static"
ROWS = re.findall(
    r"^\| `([^`]+)` .*\(`?\[?`?([\w./-]+)`?\].*`([0-9a-f]{64})` \|$", (STATIC / "vendor/VENDORED.md").read_text(), re.M
)


def test_every_vendored_file_is_listed() -> None:
    listed = {name for name, _licence, _hash in ROWS} | {licence for _name, licence, _hash in ROWS} | {"VENDORED.md"}
    vendored = {str(path.relative_to(STATIC / "vendor")) for path in (STATIC / "vendor").rglob("*") if path.is_file()}
    assert vendored == listed


@pytest.mark.parametrize(("name", "licence", "sha256"), ROWS)
def test_a_vendored_file_is_unchanged_and_has_its_licence(name: str, licence: str, sha256: str) -> None:
    assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == sha256
    assert (STATIC / "vendor" / licence).stat().st_size > 500


def test_no_stylesheet_or_script_of_ours_calls_another_host() -> None:
    for path in [*STATIC.glob("css/*.css"), *STATIC.glob("js/**/*.js")]:
        assert not re.search(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}", path.read_text()), path


def test_static_files_are_served(client: Client) -> None:
    for name in ("css/tokens.css", "vendor/htmx.min.js", "img/favicon.svg"):
        assert client.get(f"/static/{name}").status_code == 200


def test_a_static_file_that_is_known_is_not_sent_again(client: Client) -> None:
    packed = {"Accept-Encoding": "gzip"}
    first = client.get("/static/css/base.css", headers=packed)
    assert first["Content-Encoding"] == "gzip" and first["ETag"].startswith("W/")
    again = client.get("/static/css/base.css", headers=packed | {"If-None-Match": first["ETag"]})
    assert again.status_code == 304 and not again.content
