"""Audit log: one added row per act, and the idempotency keys that make an act happen once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from common.raw_query import RawQuery
from curation.models import Assignment, Event, Project, Query

# user id, idempotency key → the event
event_by_key = RawQuery(
    Event,
    'SELECT {columns} FROM "curation_event" '
    'WHERE ("curation_event"."actor_id" = %s AND "curation_event"."idempotency_key" = %s)',
    lambda actor_id, key: Event.objects.filter(actor_id=actor_id, idempotency_key=key),
)


def record(
    verb: str,
    *,
    project: Project | int,
    actor: AbstractBaseUser | int | None = None,
    query: Query | int | None = None,
    assignment: Assignment | int | None = None,
    passage_id: int | None = None,
    data: dict[str, Any] | None = None,
    key: str = "",
) -> Event:
    """Add one event. Raises IntegrityError for an idempotency key that the actor has used before."""
    event = Event(
        verb=verb,
        project_id=_pk(project),
        actor_id=_pk(actor),
        query_id=_pk(query),
        assignment_id=_pk(assignment),
        passage_id=passage_id,
        data=data or {},
        idempotency_key=key,
    )
    event.save(force_insert=True)
    return event


def record_many(verb: str, assignments: Sequence[Assignment]) -> None:
    """Add one event without an actor for each assignment, in one statement."""
    Event.objects.bulk_create(
        Event(verb=verb, project_id=row.project_id, query_id=row.query_id, assignment=row) for row in assignments
    )


def has_happened(actor_id: int | None, key: str) -> bool:
    """Whether the actor has already done the act of this idempotency key. False for an empty key."""
    if not key or actor_id is None:
        return False
    return event_by_key.first(actor_id, key) is not None


def merge_grades(events: Iterable[Event]) -> list[tuple[Event, int]]:
    """Return (event, count) in the given order. Successive grades of one query by one person become one line."""
    lines: list[tuple[Event, int]] = []
    for event in events:
        last = lines[-1] if lines else None
        if last and event.verb == "graded" and _is_same_act(last[0], event):
            lines[-1] = last[0], last[1] + 1
        else:
            lines.append((event, 1))
    return lines


def _is_same_act(one: Event, other: Event) -> bool:
    return (one.verb, one.actor_id, one.query_id) == (other.verb, other.actor_id, other.query_id)


def _pk(row: Any) -> int | None:
    return row if row is None or isinstance(row, int) else row.pk
