"""The record of who did what: one added row per act, and the keys that make an act happen once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from config.compiled import Compiled, insert
from curation.models import Assignment, Event, Project, Query

_by_key = Compiled(lambda actor, key: Event.objects.filter(actor_id=actor, idempotency_key=key).values_list("pk"))


def note(
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
    """Add one line to the record. A key that the actor has used before raises IntegrityError."""
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
    insert(event)
    return event


def note_many(verb: str, assignments: Sequence[Assignment]) -> None:
    """One line for each assignment, by nobody in particular, in one statement."""
    Event.objects.bulk_create(
        Event(verb=verb, project_id=row.project_id, query_id=row.query_id, assignment=row) for row in assignments
    )


def happened(actor_id: int | None, key: str) -> bool:
    """Whether the actor has done the act of this key before; never, without a key."""
    return bool(key) and actor_id is not None and bool(_by_key(actor_id, key))


def gathered(events: Iterable[Event]) -> list[tuple[Event, int]]:
    """The events, newest first; a person's grades of one query in a row are one line, with how many they were."""
    lines: list[tuple[Event, int]] = []
    for event in events:
        last = lines[-1] if lines else None
        if last and event.verb == "graded" and _same(last[0], event):
            lines[-1] = last[0], last[1] + 1
        else:
            lines.append((event, 1))
    return lines


def _same(one: Event, other: Event) -> bool:
    return (one.verb, one.actor_id, one.query_id) == (other.verb, other.actor_id, other.query_id)


def _pk(thing: Any) -> int | None:
    return thing if thing is None or isinstance(thing, int) else thing.pk
