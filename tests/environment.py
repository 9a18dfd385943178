"""Loaded before Django's settings: the suite keeps its files in a folder of its own and leaves two cores alone."""

import os
import shutil
import tempfile

import pytest

# Two torch processes with two threads each are far slower than with one each; tests run several.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("COMPUTE_THREADS", "1")  # the trainings that a test starts as well
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# ranx would compile for a minute what fifty queries need; to be said before anything loads numba.
os.environ["NUMBA_DISABLE_JIT"] = "1"
# A test never asks a hub for anything.
os.environ["HF_HUB_OFFLINE"] = "1"
# Playwright's event loop lives in the thread that also queries the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

# Workers of pytest-xdist side by side: each has a Redis database of its own, or one would take the other's tasks.
_side = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
if _side and os.environ.get("REDIS_URL"):
    _server, _, _number = os.environ["REDIS_URL"].rpartition("/")
    os.environ["REDIS_URL"] = f"{_server}/{int(_number or 0) + _side}"

_folder = tempfile.mkdtemp(prefix="tandem-tests-")
os.environ["DATA_DIR"] = _folder

# Unpacking the small generator takes a processor half a minute: once for all of a session's processes, and for all
# sessions that are given the same folder.
_unpacked = os.environ.setdefault("TESTS_GENERATORS", f"{_folder}/generators")
os.makedirs(_unpacked, exist_ok=True)
if not os.path.exists(f"{_folder}/generators"):
    os.symlink(_unpacked, f"{_folder}/generators")


# Who asks for one of these reads or writes what DATABASE_URL and REDIS_URL can change.
STORES = {"db", "transactional_db", "live_server", "broker"}


def pytest_addoption(parser: pytest.Parser) -> None:
    told = "only the tests with a database or a broker: the others come out alike on any"
    parser.addoption("--stored", action="store_true", help=told)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    if config.getoption("stored"):
        kept = [item for item in items if STORES & set(item.fixturenames) or item.get_closest_marker("django_db")]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(_folder, ignore_errors=True)
