"""Environment of the judging benchmarks: an own database, the web server on it, and signed-in people.

Each part runs in its own process, because Django reads DATABASE_URL once. The server is stopped and the database is
dropped at the end, after an error too.
"""

from __future__ import annotations

import http.client
import importlib
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from curation.models import Project

WEB_WORKERS = 2
START_SECONDS = 60


@dataclass(frozen=True)
class Person:
    """A signed-in person."""

    pk: int
    session: str


def run_in_process(module: str, database_url: str, *arguments: Any) -> dict[str, Any]:
    """Return the result of the module's `run`, in its own process with this database. "": a new SQLite database."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        initargs = (database_url or f"sqlite:///{folder}/bench.sqlite3", folder)
        with ProcessPoolExecutor(1, get_context("spawn"), _set_up_django, initargs) as pool:
            try:
                result: dict[str, Any] = pool.submit(_run, module, arguments).result()
            except KeyboardInterrupt:
                for child in active_children():
                    child.terminate()
                raise
            return result


@contextmanager
def postgresql_database(server_url: str) -> Iterator[str]:
    """Create a database on the server, yield its URL, and drop it at the end."""
    import psycopg
    from psycopg import sql

    name = f"tandem_bench_{secrets.token_hex(4)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}", query="").geturl()
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def web_server() -> Iterator[int]:
    """Start the web server with the command of `make demo` and WEB_WORKERS processes, and yield its port."""
    from config import processes

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(processes.web_command(port), env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _is_alive(port):
            if time.monotonic() > deadline or child.poll() is not None:
                raise RuntimeError("the web server did not start")
            time.sleep(0.1)
        yield port
    finally:
        child.terminate()  # gunicorn ends its workers
        child.wait(30)


def sign_in_people(project: Project, count: int) -> list[Person]:
    """Create `count` annotators of the project, each with a session."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    from curation.models import Membership

    users = User.objects.bulk_create(User(username=f"{project.slug}-{number}") for number in range(count))
    Membership.objects.bulk_create(Membership(project=project, user=user) for user in users)
    people = []
    for user in users:
        client = Client()
        client.force_login(user)
        people.append(Person(user.pk, client.cookies[settings.SESSION_COOKIE_NAME].value))
    return people


def create_passages(project: Project, texts: Sequence[str]) -> list[int]:
    """Create one passage for each text in the project's corpus, and return their ids."""
    from retrieval.models import Document, Passage

    corpus = project.corpus
    document = Document.objects.create(corpus=corpus, external_id="d", title="Document", content_hash="d")
    rows = Passage.objects.bulk_create(
        Passage(corpus=corpus, document=document, external_id=f"d#{n}", position=n, text=text, content_hash=f"{n}")
        for n, text in enumerate(texts)
    )
    return [row.pk for row in rows]


def _set_up_django(database_url: str, folder: str) -> None:
    import django
    from django.core.management import call_command

    signal.signal(signal.SIGTERM, interrupt)
    os.environ |= {"DATABASE_URL": database_url, "DATA_DIR": folder, "WEB_WORKERS": str(WEB_WORKERS)}
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    call_command("migrate", verbosity=0)


def interrupt(number: int, frame: object) -> None:
    """Handle SIGTERM like Ctrl-C, so that the server is stopped and the database is dropped."""
    raise KeyboardInterrupt


def _run(module: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
    result: dict[str, Any] = importlib.import_module(module).run(*arguments)
    return result


def _is_alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
