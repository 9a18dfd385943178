"""Pytest plugin, loaded before Django's settings: a data folder for the session, one thread a process, no network."""

import os
import shutil
import tempfile

import pytest

# The tests run several torch processes at once, and these are far slower with two threads each than with one.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("COMPUTE_THREADS", "1")  # also for the trainings that a test starts
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Otherwise ranx compiles for a minute to evaluate fifty queries. It must be set before numba is imported.
os.environ["NUMBA_DISABLE_JIT"] = "1"
# No test downloads from a hub.
os.environ["HF_HUB_OFFLINE"] = "1"
# Playwright's event loop runs in the thread that also queries the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

# Each worker of pytest-xdist has its own Redis database; otherwise one would take the tasks of another.
_worker_number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
if _worker_number and os.environ.get("REDIS_URL"):
    _server, _, _database = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{_server}/{int(_database or 0) + _worker_number}"

_folder = tempfile.mkdtemp(prefix="tandem-tests-")
os.environ["DATA_DIR"] = _folder

# Unpacking the small generator takes half a minute of one core. All processes of a session share it, and all sessions
# with the same TESTS_GENERATORS.
_generators = os.environ.setdefault("TESTS_GENERATORS", f"{_folder}/generators")
os.makedirs(_generators, exist_ok=True)
if not os.path.exists(f"{_folder}/generators"):
    os.symlink(_generators, f"{_folder}/generators")


# Fixtures of tests whose result can depend on DATABASE_URL and REDIS_URL.
STORE_FIXTURES = {"db", "transactional_db", "live_server", "broker"}


def pytest_addoption(parser: pytest.Parser) -> None:
    help_text = "run only tests with a database or a broker; the other tests do not depend on which one"
    parser.addoption("--stored", action="store_true", help=help_text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    if config.getoption("stored"):
        selected = [
            item for item in items if STORE_FIXTURES & set(item.fixturenames) or item.get_closest_marker("django_db")
        ]
        config.hook.pytest_deselected(items=[item for item in items if item not in selected])
        items[:] = selected


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_folder, ignore_errors=True)
