"""Sessions: cached on the broker's server, kept in the database."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import PASSWORD


def _sessions_read(client: Client) -> int:
    """Return how often a request of the client reads the session from the database."""
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/").status_code == 200
    return sum('FROM "django_session"' in query["sql"] for query in queries)


@pytest.mark.slow
def test_a_session_is_read_from_the_cache(alice: User, broker: None) -> None:
    client = Client()
    assert client.login(username="alice", password=PASSWORD)
    assert _sessions_read(client) == 0


def test_without_a_cache_server_the_database_answers(alice: User, settings) -> None:  # type: ignore[no-untyped-def]
    default = settings.CACHES["default"]
    settings.CACHES = {"default": default | {"LOCATION": "unix:///nowhere/broker.sock?db=0"}}
    client = Client()
    assert client.login(username="alice", password=PASSWORD)
    assert _sessions_read(client) == 1


@pytest.mark.slow
def test_a_session_survives_a_cache_that_was_emptied(alice: User, broker: None) -> None:
    client = Client()
    assert client.login(username="alice", password=PASSWORD)
    cache.clear()
    assert _sessions_read(client) == 1
    assert _sessions_read(client) == 0


@pytest.mark.slow
def test_signing_out_ends_the_session_in_both_places(alice: User, broker: None) -> None:
    client = Client()
    assert client.login(username="alice", password=PASSWORD)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post("/sign-out/")
    assert not Session.objects.filter(session_key=cookie).exists()
    client.cookies[settings.SESSION_COOKIE_NAME] = cookie
    assert client.get("/").status_code == 302
