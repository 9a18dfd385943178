"""A hand-written statement is what the ORM would send, and what it finds is the same."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from common.raw_query import RawQuery

pytestmark = pytest.mark.django_db

by_name = RawQuery(
    User,
    'SELECT {columns} FROM "auth_user" WHERE "auth_user"."username" = %s{lock}',
    lambda name: User.objects.select_for_update(no_key=True, of=("self",)).filter(username=name),
)
by_id = RawQuery(
    User, 'SELECT {columns} FROM "auth_user" WHERE "auth_user"."id" = %s', lambda pk: User.objects.filter(pk=pk)
)


def sent(read: Any) -> list[str]:
    """Return the statements that a call sends."""
    with CaptureQueriesContext(connection) as queries:
        read()
    return [query["sql"] for query in queries]


def test_it_answers_for_each_value_with_one_statement() -> None:
    ann, ben = (User.objects.create_user(name) for name in ("ann", "ben"))
    with transaction.atomic():
        assert [by_name.first(name) for name in ("ann", "ben", "nobody")] == [ann, ben, None]
        assert len(sent(lambda: by_name.first("ann"))) == 1


def test_the_statement_is_the_orm_s_own() -> None:
    with transaction.atomic():
        assert sent(lambda: by_name.all("ann")) == sent(lambda: list(by_name.queryset("ann")))
    assert sent(lambda: by_id.all(7)) == sent(lambda: list(by_id.queryset(7)))


def test_a_number_that_no_column_can_hold_finds_nothing() -> None:
    assert by_id.first(10**30) is None
