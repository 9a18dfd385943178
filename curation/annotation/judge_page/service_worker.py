"""The service worker that lets the judge page be reloaded without a connection."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from curation.annotation.judge_page.script_messages import MODULES

WORKER = "js/offline/service_worker.js"
FILES = [
    *("css/tokens.css", "css/base.css", "css/components.css", "css/annotation.css"),
    *("js/theme.js", "js/boot.js", "js/annotation/main.js", *MODULES),
    *("img/favicon.svg", "vendor/fonts/source-sans-3-latin-wght-normal.woff2"),
    "vendor/fonts/source-serif-4-latin-wght-normal.woff2",
]


@require_safe
@never_cache
def service_worker(request: HttpRequest) -> HttpResponse:
    """Return the worker's script with the files it caches, and a version that changes with any of them."""
    return HttpResponse(_script(), content_type="text/javascript; charset=utf-8")


@lru_cache(maxsize=1)
def _script() -> str:
    source = _read_static(WORKER).decode()
    version = hashlib.sha256(source.encode())
    for name in FILES:
        version.update(_read_static(name))
    constants = {"VERSION": version.hexdigest()[:12], "FILES": [static(name) for name in FILES]}
    lines = [f"const {name} = {json.dumps(value)};\n" for name, value in constants.items()]
    return "".join(lines) + source


def _read_static(name: str) -> bytes:
    path = finders.find(name)
    if not isinstance(path, str):
        raise RuntimeError(f"the judge page's file {name} is missing")
    return Path(path).read_bytes()
