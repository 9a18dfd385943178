"""Statements that are written once.

Django works the SQL of a queryset out anew whenever it is read, which takes the web server several times as long as
the reading itself. What every request asks for is compiled at its first use on a connection and then asked again with
other values. The price: the shape is fixed, so a value in a filter is never none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression, Model, QuerySet
from django.db.models.sql import InsertQuery, UpdateQuery

Row = TypeVar("Row")
Value = int | float | str
_LARGEST = 2**63


class Parameter(Expression):
    """A place in a compiled statement for a value that comes later."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    @property
    def pk(self) -> Parameter:
        """Itself: it stands for a row too."""
        return self

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Parameter]]:  # type: ignore[override]
        return "%s", [self]


class Compiled(Generic[Row]):
    """A queryset as a function of the values in its filters.

    build: makes the queryset; what it is given may stand only on the right side of a comparison.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Row]]) -> None:
        self._build = build

    def __call__(self, *values: Value) -> list[Row]:
        if any(isinstance(value, int) and abs(value) >= _LARGEST for value in values):
            return []  # no row has such a number, and SQLite cannot even be asked for it
        connection = connections[DEFAULT_DB_ALIAS]
        queryset, compiler, sql, places = _kept(connection, self, lambda: self._compile(connection))
        compiler.as_sql = lambda: (sql, _filled(places, values))
        return list(queryset._iterable_class(queryset))

    def first(self, *values: Value) -> Row | None:
        """The first row; the rest is read for nothing, so the queryset is of one row at most."""
        return next(iter(self(*values)), None)

    def _compile(self, connection: BaseDatabaseWrapper) -> tuple[Any, Any, str, tuple[Any, ...]]:
        places = range(len(inspect.signature(self._build).parameters))
        queryset: Any = self._build(*map(Parameter, places))
        compiler = queryset.query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        queryset.query.get_compiler = lambda *_args, **_kwargs: compiler
        return queryset, compiler, sql, parameters


def insert(row: Model) -> None:
    """Save a new row, as its save() would; nobody is signalled."""
    connection = connections[DEFAULT_DB_ALIAS]
    sql, fields = _kept(connection, type(row), lambda: _insert_of(row, connection))
    with connection.cursor() as cursor:
        cursor.execute(sql, _prepared(row, fields, connection, is_new=True))
        row.pk = cursor.fetchone()[0]
    row._state.adding, row._state.db = False, DEFAULT_DB_ALIAS


def update(row: Model, *names: str) -> None:
    """Save these fields of a row that is there, as its save() would; nobody is signalled."""
    connection = connections[DEFAULT_DB_ALIAS]
    sql, fields = _kept(connection, (type(row), names), lambda: _update_of(row, names, connection))
    with connection.cursor() as cursor:
        cursor.execute(sql, [*_prepared(row, fields, connection, is_new=False), row.pk])


def _insert_of(row: Model, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
    fields = [field for field in row._meta.local_concrete_fields if not field.primary_key]
    query = InsertQuery(type(row))
    query.insert_values(fields, [row])
    compiler: Any = query.get_compiler(connection=connection)
    compiler.returning_fields = [row._meta.pk]
    ((sql, _values),) = compiler.as_sql()
    return sql, fields


def _update_of(row: Model, names: tuple[str, ...], connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
    fields = [row._meta.get_field(name) for name in names]
    query: Any = type(row)._base_manager.filter(pk=Parameter(len(fields))).query.chain(UpdateQuery)
    query.add_update_fields([(field, None, Parameter(place)) for place, field in enumerate(fields)])
    sql, _values = query.get_compiler(connection=connection).as_sql()
    return sql, fields


def _prepared(row: Model, fields: Iterable[Any], connection: BaseDatabaseWrapper, *, is_new: bool) -> list[Any]:
    return [field.get_db_prep_save(field.pre_save(row, is_new), connection) for field in fields]


def _kept(connection: BaseDatabaseWrapper, name: Hashable, make: Callable[[], Any]) -> Any:
    """What was made for this connection before; a connection belongs to one thread."""
    found = vars(connection).setdefault("compiled", {})
    if name not in found:
        found[name] = make()
    return found[name]


def _filled(places: Iterable[Any], values: tuple[Value, ...]) -> list[Any]:
    """The parameters of the statement, each value in its place."""
    return [values[one.place] if isinstance(one, Parameter) else one for one in places]
