"""The record of who did what: one added row per act, and the keys that make an act happen once."""

from __future__ import annotations

from collections.abc import Sequence
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


def _pk(thing: Any) -> int | None:
    return thing if thing is None or isinstance(thing, int) else thing.pk
