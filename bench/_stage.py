"""A stage for the judging benchmarks: a database of its own, the project's web server on it, and people signed in.

Each part plays in a process of its own, because Django reads its database once. Whatever happens in it, the server
ends and the database goes.
"""

from __future__ import annotations

import http.client
import importlib
import os
import secrets
import signal
import socket
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
    """One who has signed in."""

    pk: int
    session: str


def play(module: str, database: str, *arguments: Any) -> dict[str, Any]:
    """What the module's `play` returns, played in a process of its own whose Django sees this database."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        place = (database or f"sqlite:///{folder}/bench.sqlite3", folder)
        with ProcessPoolExecutor(1, get_context("spawn"), _open, place) as pool:
            try:
                found: dict[str, Any] = pool.submit(_play, module, arguments).result()
            except KeyboardInterrupt:
                for child in active_children():
                    child.terminate()
                raise
            return found


@contextmanager
def postgresql(server: str) -> Iterator[str]:
    """The address of a new database on the server whose address is given; dropped at the end."""
    import psycopg
    from psycopg import sql

    name = f"tandem_bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlsplit(server)._replace(path=f"/{name}", query="").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def web() -> Iterator[int]:
    """The port of the project's own web server, started as `make demo` does with one process for each core."""
    from config import running

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    child = running.web(port)
    child.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if time.monotonic() > deadline or child.has_died():
                raise RuntimeError("the web server did not start")
            time.sleep(0.1)
        yield port
    finally:
        running.end([child])


def people(project: Project, count: int) -> list[Person]:
    """So many annotators of the project, each with a session."""
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client

    from curation.models import Membership

    users = User.objects.bulk_create(User(username=f"{project.slug}-{number}") for number in range(count))
    Membership.objects.bulk_create(Membership(project=project, user=user) for user in users)
    found = []
    for user in users:
        client = Client()
        client.force_login(user)
        found.append(Person(user.pk, client.cookies[settings.SESSION_COOKIE_NAME].value))
    return found


def passages(project: Project, texts: Sequence[str]) -> list[int]:
    """One passage in the project's corpus for each text; their ids."""
    from retrieval.models import Document, Passage

    corpus = project.corpus
    document = Document.objects.create(corpus=corpus, external_id="d", title="Document", content_hash="d")
    rows = Passage.objects.bulk_create(
        Passage(corpus=corpus, document=document, external_id=f"d#{n}", position=n, text=text, content_hash=f"{n}")
        for n, text in enumerate(texts)
    )
    return [row.pk for row in rows]


def _open(database: str, folder: str) -> None:
    import django
    from django.core.management import call_command

    signal.signal(signal.SIGTERM, interrupt)
    os.environ |= {"DATABASE_URL": database, "DATA_DIR": folder, "WEB_WORKERS": str(WEB_WORKERS)}
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    call_command("migrate", verbosity=0)


def interrupt(number: int, frame: object) -> None:
    """End as Ctrl-C does: the server stops and the database goes."""
    raise KeyboardInterrupt


def _play(module: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
    found: dict[str, Any] = importlib.import_module(module).play(*arguments)
    return found


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
