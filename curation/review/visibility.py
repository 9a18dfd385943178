"""What of the judgements of a query one may see: nobody's opinion before one's own is in."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from curation.core.permissions import reaches
from curation.models import Assignment, Judgement, Membership, Project, Query


@dataclass(frozen=True)
class Revealed:
    """judgements: those to be shown, one's own among them. has_others: whether other people's are there,
    has_names: with their names."""

    judgements: QuerySet[Judgement]
    has_others: bool
    has_names: bool


def to(membership: Membership, query: Query) -> Revealed:
    """The standing judgements of the query that this member may see.

    One's own always. Others' submitted ones: never while one holds the query oneself; an engineer at any other
    time, with names; a reviewer once it is settled, with names; anyone after their own submit, without names,
    where the project reveals.
    """
    standing = Judgement.objects.standing().filter(query=query)
    own = standing.filter(curator_id=membership.user_id)
    mine = Assignment.objects.filter(query=query, curator_id=membership.user_id)
    if mine.filter(state=Assignment.State.CLAIMED).exists():
        return Revealed(own, has_others=False, has_names=False)
    submitted = standing.submitted() | own
    if reaches(membership, Membership.Role.ENGINEER):
        return Revealed(submitted, has_others=True, has_names=True)
    if reaches(membership, Membership.Role.REVIEWER) and query.state == Query.State.SETTLED:
        return Revealed(submitted, has_others=True, has_names=True)
    reveals = query.project.visibility == Project.Visibility.AFTER_SUBMIT
    if reveals and mine.submitted().exists():
        return Revealed(submitted, has_others=True, has_names=False)
    return Revealed(own, has_others=False, has_names=False)
