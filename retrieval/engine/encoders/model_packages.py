"""Model packages: find the files of an installed Python package, without importing its code."""

from __future__ import annotations

import importlib.util
import re
from importlib import metadata
from pathlib import Path


def package_folders(name: str) -> list[Path]:
    """Return the folders of a package, by its distribution or module name; [] when it is not installed.

    Among several modules, the one with the distribution's name comes first.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        return []
    module_name = name.replace("-", "_")
    try:
        files = metadata.files(name) or []
    except metadata.PackageNotFoundError:
        files = []
    modules = {file.parts[0] for file in files if len(file.parts) > 1 and file.parts[0].isidentifier()}
    ordered = sorted(modules or {module_name}, key=lambda module: (module != module_name, module))
    specs = [importlib.util.find_spec(module) for module in ordered if module.isidentifier()]
    return [Path(folder) for spec in specs if spec for folder in spec.submodule_search_locations or []]
