"""Regressions: queries that a release answers worse than the release before it, sent back to people.

A settled query goes to a reviewer again; an open one moves to the front of the queue. Queries of the evaluation sample
are left out: to re-annotate only what a candidate lost would bias the next evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from curation.annotation import assignments
from curation.annotation.priority import MAX_PRIORITY
from curation.core.labels import make_reason
from curation.models import Query, Release
from curation.review import adjudication


@dataclass(frozen=True)
class Requeued:
    """Numbers of queries. prioritized: moved to the front of the queue. unchanged: left as they are."""

    reopened: int
    prioritized: int
    unchanged: int


@transaction.atomic
def requeue(release: Release, queries: Iterable[Query], actor: AbstractBaseUser) -> Requeued:
    """Reopen the settled queries and prioritize the open ones. Repeated, it reopens nothing more."""
    reason = make_reason("worse", release=release.number)
    reopened = prioritized = unchanged = 0
    for query in queries:
        if query.is_evaluation:
            unchanged += 1
        elif query.state == Query.State.SETTLED:
            adjudication.reopen(query, actor, reason=reason)
            reopened += 1
        elif query.state == Query.State.OPEN and assignments.set_priority(query, MAX_PRIORITY, [reason]):
            prioritized += 1
        else:
            unchanged += 1
    return Requeued(reopened, prioritized, unchanged)
