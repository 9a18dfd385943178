"""Statements that are compiled once do what Django's own would."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.compiled import Compiled, insert, update
from curation.models import Event, Preferences

pytestmark = pytest.mark.django_db


def test_a_compiled_read_answers_for_each_value() -> None:
    ann, ben = (User.objects.create_user(name) for name in ("ann", "ben"))
    by_name = Compiled(lambda name: User.objects.filter(username=name))
    assert [by_name.first(name) for name in ("ann", "ben", "nobody")] == [ann, ben, None]


def test_it_is_compiled_once_and_asks_once_each_time() -> None:
    made: list[Any] = []

    def build(pk: Any) -> Any:
        made.append(pk)
        return User.objects.filter(pk=pk).values_list("username", flat=True)

    name_of = Compiled[str](build)
    pks = [User.objects.create_user(name).pk for name in ("ann", "ben")]
    with CaptureQueriesContext(connection) as asked:
        assert [name_of.first(pk) for pk in pks] == ["ann", "ben"]
    assert len(asked) == 2 and len(made) == 1


def test_what_belongs_to_a_row_comes_with_it() -> None:
    ann = User.objects.create_user("ann")
    Preferences.objects.create(user=ann, keys={"undo": "z"})
    of = Compiled(lambda user: Preferences.objects.select_related("user").filter(user=user))
    with CaptureQueriesContext(connection) as asked:
        found = of.first(ann.pk)
        assert found is not None and (found.user.username, found.keys) == ("ann", {"undo": "z"})
    assert len(asked) == 1


def test_a_number_that_no_row_can_have_finds_nothing() -> None:
    assert Compiled(lambda pk: User.objects.filter(pk=pk)).first(10**30) is None


def test_a_row_is_inserted_as_save_would() -> None:
    rows = [Event(verb="judged", data={"grade": 3}), Event(verb="skipped")]
    for row in rows:
        insert(row)
    assert list(Event.objects.order_by("pk").values_list("pk", "verb", "data")) == [
        (rows[0].pk, "judged", {"grade": 3}),
        (rows[1].pk, "skipped", {}),
    ]
    assert all(row.at is not None and not row._state.adding for row in rows)


def test_only_the_named_fields_are_updated() -> None:
    ann = User.objects.create_user("ann")
    row = Preferences.objects.create(user=ann)
    row.keys, row.mark_words = {"undo": "z"}, False
    update(row, "keys")
    row.refresh_from_db()
    assert (row.keys, row.mark_words) == ({"undo": "z"}, True)
