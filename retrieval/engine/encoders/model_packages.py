"""Where the files of an installed package are."""

from __future__ import annotations

import importlib.util
import re
from importlib import metadata
from pathlib import Path


def roots(name: str) -> list[Path]:
    """The folders of the package called `name`, by its distribution or its module; none where it is not installed.

    Of several modules the one that is called like the distribution comes first.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        return []
    guess = name.replace("-", "_")
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        files = []
    tops = {file.parts[0] for file in files if len(file.parts) > 1 and file.parts[0].isidentifier()} or {guess}
    specs = [
        importlib.util.find_spec(top) for top in sorted(tops, key=lambda top: (top != guess, top)) if top.isidentifier()
    ]
    return [Path(root) for spec in specs if spec for root in spec.submodule_search_locations or []]
