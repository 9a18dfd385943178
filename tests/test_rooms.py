"""The rooms keep their doors: what imports what."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ["retrieval", "curation", "tuning"]  # each may import the ones before it
HEAVY = ["torch", "faiss", "transformers", "sentence_transformers", "bm25s", "peft", "numba", "scipy"]


def _imports(path: Path) -> set[str]:
    """Every module a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def _loaded_after(code: str) -> set[str]:
    """The names of sys.modules after running the code in a fresh interpreter."""
    script = f"{code}\nimport sys; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("app", APPS)
def test_an_app_imports_only_the_apps_before_it(app: str) -> None:
    later = APPS[APPS.index(app) + 1 :]
    for path in (ROOT / app).rglob("*.py"):
        for name in _imports(path):
            assert name.split(".")[0] not in later, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/engine/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_an_engine_file_imports_no_django(path: Path) -> None:
    for name in _imports(path):
        assert name.split(".")[0] not in {"django", "celery", "rest_framework"}, name
        assert not {"models", "settings"} & set(name.split(".")[1:]), name


def test_the_engines_load_without_django() -> None:
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(ROOT.glob("*/engine/*.py"))]
    code = "\n".join(f"import {name}" for name in modules if not name.endswith("__init__"))
    assert "django" not in _loaded_after(code)


def test_the_pages_and_the_check_load_no_heavy_library() -> None:
    code = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'\n"
        "import django; django.setup()\n"
        "from django.core.management import call_command; call_command('check')\n"
        "import config.urls, retrieval.tasks, curation.tasks, tuning.tasks"
    )
    loaded = _loaded_after(code)
    assert not loaded & set(HEAVY)


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
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
