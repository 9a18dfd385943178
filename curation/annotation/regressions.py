"""Queries that a release answers worse than the one before it, turned into work.

What is settled goes before a reviewer again; what is open moves up in the queue. The evaluation sample is left
alone: looking again only at what a challenger lost would tilt the next measurement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from curation.annotation import assignments
from curation.core.labels import because
from curation.models import Query, Release
from curation.review import consensus

VALUE = 1.0  # as much as a query can be worth


@dataclass(frozen=True)
class Requeued:
    """How many queries went to a reviewer, moved up in the queue, and were left as they are."""

    reopened: int
    preferred: int
    left: int


@transaction.atomic
def requeue(release: Release, queries: Iterable[Query], actor: AbstractBaseUser) -> Requeued:
    """Each query once, whatever its state; asked twice, the second time finds nothing settled to reopen."""
    why = because("worse", release=release.number)
    reopened = preferred = left = 0
    for query in queries:
        if query.is_evaluation:
            left += 1
        elif query.state == Query.State.SETTLED:
            consensus.reopen(query, actor, because=why)
            reopened += 1
        elif query.state == Query.State.OPEN and assignments.prefer(query, VALUE, [why]):
            preferred += 1
        else:
            left += 1
    return Requeued(reopened, preferred, left)
