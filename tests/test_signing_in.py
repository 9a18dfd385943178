"""Signing in: each request checks the person and the session again."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client: Client) -> User:
    user = User.objects.create_user("ann", password="a long enough one")
    assert client.login(username="ann", password="a long enough one")
    assert is_known(client)
    return user


def is_known(client: Client) -> bool:
    return client.get(reverse("home")).status_code == 200


def test_a_deactivated_person_is_out_at_once(client: Client, ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert not is_known(client)


def test_a_new_password_ends_the_sessions_of_the_old_one(client: Client, ann: User) -> None:
    ann.set_password("another long one")
    ann.save()
    assert not is_known(client)


def test_a_session_that_is_over_opens_nothing(client: Client, ann: User) -> None:
    session = client.session
    session.set_expiry(-1)
    session.save()
    assert not is_known(client)


def test_a_session_that_was_ended_opens_nothing(client: Client, ann: User) -> None:
    client.session.delete()
    assert not is_known(client)
