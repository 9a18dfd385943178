"""Visibility rules: nobody sees others' judgements before submitting their own."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from curation.core.permissions import is_at_least
from curation.models import Assignment, Judgement, Membership, Project, Query


@dataclass(frozen=True)
class VisibleJudgements:
    """The judgements of a query that one member may see.

    judgements: their own among them. has_others: other people's may be shown. has_names: with their names.
    """

    judgements: QuerySet[Judgement]
    has_others: bool
    has_names: bool


def visible_judgements(membership: Membership, query: Query) -> VisibleJudgements:
    """Return the standing judgements of the query that this member may see.

    One's own: always. Submitted ones of others: never while one holds a claim of the query. Otherwise an engineer sees
    them with names, a reviewer with names once the query is settled, and everybody without names after their own
    submit, where the project's visibility setting allows it.
    """
    standing = Judgement.objects.not_withdrawn().filter(query=query)
    own = standing.filter(curator_id=membership.user_id)
    own_assignments = Assignment.objects.filter(query=query, curator_id=membership.user_id)
    if own_assignments.filter(state=Assignment.State.CLAIMED).exists():
        return VisibleJudgements(own, has_others=False, has_names=False)
    submitted = standing.submitted() | own
    if is_at_least(membership, Membership.Role.ENGINEER):
        return VisibleJudgements(submitted, has_others=True, has_names=True)
    if is_at_least(membership, Membership.Role.REVIEWER) and query.state == Query.State.SETTLED:
        return VisibleJudgements(submitted, has_others=True, has_names=True)
    after_submit = query.project.visibility == Project.Visibility.AFTER_SUBMIT
    if after_submit and own_assignments.submitted().exists():
        return VisibleJudgements(submitted, has_others=True, has_names=False)
    return VisibleJudgements(own, has_others=False, has_names=False)
