"""The rooms: what may be imported where, how large a folder, a file and a function may be, and how files are named.

import-linter holds the rules between rooms (pyproject.toml); here is what it cannot see.
"""

import ast
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ["common", "retrieval", "curation", "tuning", "config"]
HEAVY = ["torch", "faiss", "transformers", "sentence_transformers", "bm25s", "peft", "numba", "scipy", "sklearn"]
MAX_MODULES, MAX_LINES, MAX_FUNCTION_P90 = 14, 450, 20
# Files in -ing whose name is the field's own word.
FIELD_WORDS_IN_ING = {"chunking", "lead_pooling", "sampling", "sequence_packing", "whitening"}


def _modules(folder: str, pattern: str = "**/*.py") -> list[Path]:
    """Return the product modules of a top folder, migrations left out; never an empty list."""
    paths = sorted(path for path in (ROOT / folder).glob(pattern) if "migrations" not in path.parts)
    assert paths, f"{folder}/{pattern} matches no file: the check is wrong"
    return paths


ALL = [path for folder in PRODUCT for path in _modules(folder)]
ENGINE = [path for app in ("retrieval", "curation", "tuning") for path in _modules(app, "engine/**/*.py")]


def _loaded_after(code: str) -> set[str]:
    """Return the names of sys.modules after running the code in a fresh interpreter."""
    script = f"{code}\nimport sys; print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_import_linter_finds_no_broken_rule() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "Contracts: 6 kept, 0 broken." in result.stdout


def test_the_engines_load_without_django() -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ENGINE]
    code = "\n".join(f"import {name}" for name in names if not name.endswith("__init__"))
    assert "django" not in _loaded_after(code)


def test_the_pages_and_the_check_load_no_heavy_library() -> None:
    code = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'\n"
        "import django; django.setup()\n"
        "from django.core.management import call_command; call_command('check')\n"
        "import config.urls, retrieval.tasks, curation.tasks, tuning.tasks"
    )
    assert not _loaded_after(code) & set(HEAVY)


@pytest.mark.parametrize(
    "module",
    [
        "config.wsgi",
        "tuning.engine.retriever.train_retriever",
        "tuning.engine.generator.train_generator",
        "tuning.engine.reranker.train_reranker",
    ],
)
def test_a_process_lets_idle_threads_sleep_before_torch_can_load(module: str) -> None:
    code = (
        f"import {module}, os, sys\n"
        "assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE' and 'torch' not in sys.modules, os.environ"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode()


def test_no_folder_holds_more_than_fourteen_modules() -> None:
    # A management command is named by its file: that folder is Django's list of commands, not a room.
    folders = {path.parent for path in ALL if path.parent.name != "commands"}
    counts = {folder: sum(path.name != "__init__.py" for path in folder.glob("*.py")) for folder in folders}
    assert {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > MAX_MODULES} == {}


def test_a_file_in_ing_is_named_by_the_fields_own_word() -> None:
    named = {path.stem for path in ALL if path.stem.endswith("ing")}
    assert named == FIELD_WORDS_IN_ING


def test_files_and_functions_are_short() -> None:
    long_files = {str(path.relative_to(ROOT)) for path in ALL if len(path.read_text().splitlines()) > MAX_LINES}
    assert long_files == set()
    sizes = [
        node.end_lineno - node.lineno + 1
        for path in ALL
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    ]
    assert statistics.quantiles(sizes, n=10)[-1] < MAX_FUNCTION_P90
