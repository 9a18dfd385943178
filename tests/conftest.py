"""Fixtures that every test shares: people, a project, a corpus, an encoder, a worker.

Alice is an annotator, Bob a reviewer, Erin an engineer, Mona a manager; Carol is no member. The corpus has twelve
passages about a small zoo. The encoder is a real sentence-transformers folder that counts keywords, so that expected
ranks can be worked out by hand.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import TransactionTestCase
from pytest_django.fixtures import Settings

from curation.models import Membership, Project
from retrieval.models import Corpus, Encoder, IndexBuild, Passage
from tests.table_cleanup import delete_all_rows

PASSWORD = "correct horse battery"

ZOO = {
    "lion": "The lion sleeps most of the day and hunts at night.",
    "tiger": "A tiger swims well and hunts alone at night.",
    "zebra": "Every zebra has stripes of its own.",
    "panda": "The panda eats bamboo for twelve hours a day.",
    "otter": "An otter holds hands while it sleeps on water.",
    "eagle": "The eagle sees a hare from two miles away.",
    "crow": "A crow remembers faces and uses tools.",
    "shark": "The shark never stops swimming.",
    "whale": "A whale sings songs that travel for miles.",
    "snail": "The snail can sleep for three years.",
    "ticket": "A ticket costs twelve euros, children pay half.",
    "hours": "The zoo opens at nine and closes at six.",
}
KEYWORDS = sorted({word.strip(".,").lower() for text in ZOO.values() for word in text.split()} | set(ZOO))


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    """Use a fast hasher: a real one takes half a second per person."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session", autouse=True)
def _quick_table_cleanup() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", delete_all_rows)
        yield


def _person(name: str, project: Project | None, role: str | None) -> User:
    user = User.objects.create_user(name, password=PASSWORD)
    if project and role:
        Membership.objects.create(project=project, user=user, role=role)
    return user


@pytest.fixture
def corpus(db: None) -> Corpus:
    from retrieval.documents import ingest

    zoo = Corpus.objects.create(slug="zoo", name="Zoo")
    sources = [ingest.SourceDocument(name, name.title(), text, {}) for name, text in ZOO.items()]
    ingest.ingest(zoo, sources, whole=True)
    return zoo


@pytest.fixture
def passages(corpus: Corpus) -> dict[str, Passage]:
    return {passage.external_id: passage for passage in corpus.passages.active()}


@pytest.fixture
def project(corpus: Corpus) -> Project:
    return Project.objects.create(slug="zoo", name="Zoo guide", corpus=corpus)


@pytest.fixture
def alice(project: Project) -> User:
    return _person("alice", project, Membership.Role.ANNOTATOR)


@pytest.fixture
def bob(project: Project) -> User:
    return _person("bob", project, Membership.Role.REVIEWER)


@pytest.fixture
def erin(project: Project) -> User:
    return _person("erin", project, Membership.Role.ENGINEER)


@pytest.fixture
def mona(project: Project) -> User:
    return _person("mona", project, Membership.Role.MANAGER)


@pytest.fixture
def carol(db: None) -> User:
    return _person("carol", None, None)


@pytest.fixture(scope="session")
def keyword_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sentence-transformers folder that counts the keywords of a text."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules

    folder = tmp_path_factory.mktemp("keywords")
    SentenceTransformer(modules=[modules.BoW(KEYWORDS), modules.Normalize()], device="cpu").save(str(folder))
    return folder


@pytest.fixture
def keyword_encoder(db: None, keyword_folder: Path) -> Encoder:
    from retrieval.index import encoders

    return encoders.get_or_create(str(keyword_folder))


@pytest.fixture
def build(corpus: Corpus, keyword_encoder: Encoder) -> IndexBuild:
    from retrieval.index import index_builds

    return index_builds.build(index_builds.request(corpus, keyword_encoder), worker="test")


@pytest.fixture
def release(project: Project, build: IndexBuild):  # type: ignore[no-untyped-def]
    from curation.releases import lifecycle

    return lifecycle.create_base_release(project, build)


def process_environment() -> dict[str, str]:
    """Return the environment of a process that uses the test's database, broker and files."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        login = f"{database['USER']}:{database['PASSWORD']}" if database["PASSWORD"] else database["USER"]
        url = f"postgres://{login}@{database['HOST']}:{database['PORT'] or 5432}/{database['NAME']}"
    return os.environ | {"DATABASE_URL": url, "DATA_DIR": str(settings.DATA_DIR), "REDIS_URL": settings.REDIS_URL}


@pytest.fixture(scope="session")
def broker() -> Iterator[None]:
    """Provide a real broker: REDIS_URL's, or the embedded one that `make demo` starts."""
    from config import health, processes

    child = None
    if not settings.REDIS_URL:
        command = processes.broker_command(settings.EMBEDDED_BROKER_SOCKET, settings.DATA_DIR)
        child = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 10
    while True:
        try:
            health.ping_broker()
            break
        except health.NotReady:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    yield
    if child:
        _end_group(child)


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start_worker(transactional_db: None, broker: None) -> Iterator[Start]:
    """Return a function that starts a Celery worker process on the test's database; all end with the test."""
    from config.celery import app

    app.control.purge()
    started: list[subprocess.Popen[bytes]] = []

    def start(queues: str = "default,compute", **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "config", "worker", "--queues", queues, "--concurrency", "1"]
        command += ["--hostname", f"test{len(started)}-{os.getpid()}@%h", "--without-gossip", "--without-mingle"]
        process = subprocess.Popen(command, env=process_environment() | environment, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    import signal

    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@pytest.fixture
def until() -> Callable[..., None]:
    """Return a function that waits until a condition holds; the test fails after `seconds`."""

    def wait(condition: Callable[[], object], seconds: float = 60, what: str = "the condition") -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"{what} did not come true within {seconds:.0f} s")
            time.sleep(0.1)

    return wait
