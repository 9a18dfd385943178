"""Paths under DATA_DIR, as database rows store them."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings


def stored_path(path: Path) -> str:
    """Return the path relative to DATA_DIR when it lies inside, so that DATA_DIR can be moved; else the whole path."""
    path = path.resolve()
    return str(path.relative_to(settings.DATA_DIR)) if path.is_relative_to(settings.DATA_DIR) else str(path)
