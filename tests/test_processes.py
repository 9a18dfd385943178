"""The set of processes that `make demo` starts: real ones, on a database and a port of their own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from config import processes
from config.processes import Program

ROOT = Path(__file__).resolve().parent.parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """For processes on a folder of their own, with a database in it that is ready."""
    found = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL"}}
    found["DATA_DIR"] = str(tmp_path_factory.mktemp("processes") / "data")
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=ROOT, env=found, check=True)
    return found


@pytest.fixture
def running(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "config.processes"],
        cwd=ROOT,
        env=environment | {"PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield process, port
    if process.poll() is None:
        process.terminate()
        process.wait(30)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as answer:
            return bool(answer.read() == b"ok\n")
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.slow
def test_an_interrupt_ends_every_process_it_started(
    running: tuple[subprocess.Popen[str], int], until: Callable[..., None]
) -> None:
    process, port = running
    until(lambda: _answers(port), 60, "the web server's answer")
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 6  # supervisord, broker, web, two workers, beat

    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    gone, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    assert not _answers(port)


@pytest.mark.slow
def test_a_killed_worker_is_started_again(
    running: tuple[subprocess.Popen[str], int], until: Callable[..., None]
) -> None:
    process, port = running
    until(lambda: _answers(port), 60, "the web server's answer")

    def workers() -> list[psutil.Process]:
        started = psutil.Process(process.pid).children()[0].children()
        alive = [child for child in started if child.status() != psutil.STATUS_ZOMBIE]
        return [child for child in alive if "compute" in child.cmdline() and "celery" in child.cmdline()]

    until(lambda: workers(), 30, "the compute worker")
    first = workers()[0]
    first.kill()
    until(lambda: any(worker.pid != first.pid for worker in workers()), 30, "a new compute worker")
    assert len(workers()) == 1 and not first.is_running()
    assert _answers(port)  # the others did not notice


@pytest.mark.slow
def test_no_process_outlives_a_killed_start(
    running: tuple[subprocess.Popen[str], int], until: Callable[..., None]
) -> None:
    process, port = running
    until(lambda: _answers(port), 60, "the web server's answer")
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    _gone, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


@pytest.mark.slow
def test_no_process_outlives_a_killed_supervisor(
    running: tuple[subprocess.Popen[str], int], until: Callable[..., None]
) -> None:
    process, port = running
    until(lambda: _answers(port), 60, "the web server's answer")
    children = psutil.Process(process.pid).children(recursive=True)
    psutil.Process(process.pid).children()[0].kill()
    assert process.wait(30) == 1
    _gone, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


@pytest.mark.slow
def test_a_process_that_dies_at_each_start_ends_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MAX_QUICK_EXITS", 2)
    path = tmp_path / "supervisord.conf"
    broken = Program("broken", [sys.executable, "-c", "raise SystemExit(3)"])
    processes.write_configuration(path, [broken, Program("fine", ["sleep", "600"])])
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert "tandem: broken ends at each start; giving up" in result.stderr


def test_a_wrong_setting_stops_the_start_with_one_line(tmp_path: Path) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=os.environ | {"COMPUTE_THREADS": "many", "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "tandem: COMPUTE_THREADS must be a whole number; it is 'many'\n"
    assert time.monotonic() - started < 30
