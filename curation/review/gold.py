"""Gold questions: queries with known grades, mixed into the work of annotators to measure their accuracy."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _

from curation.core import audit_log
from curation.engine.statistics.relevance import nearest_grade
from curation.models import Assignment, Judgement, Query, Review
from curation.review.adjudication import NotSettled


def mark(query: Query, actor: AbstractBaseUser | None = None) -> Query:
    """Make a settled query a gold question. Its known grades are the settled ones, rounded. Raises NotSettled."""
    settled = Review.objects.current().filter(query=query).first()
    if settled is None:
        raise NotSettled(_("Only a resolved query can become a gold question."))
    grades = settled.grades.values_list("passage_id", "grade")
    query.gold = {str(pk): nearest_grade(grade) for pk, grade in grades}
    query.save(update_fields=["gold"])
    audit_log.record("made_gold", project=query.project_id, actor=actor, query=query, data={"gold": query.gold})
    return query


def unmark(query: Query, actor: AbstractBaseUser | None = None) -> Query:
    """Stop using the query as a gold question. Results of earlier submits stay in the audit log."""
    if query.gold is not None:
        query.gold = None
        query.save(update_fields=["gold"])
        audit_log.record("unmade_gold", project=query.project_id, actor=actor, query=query)
    return query


def accuracy(assignment: Assignment, query: Query) -> dict[str, int]:
    """Count a person's correct grades of a gold question.

    known: passages with a known grade. right: graded exactly as known. near: within one grade, the right ones too.
    "Can't tell" and an unjudged passage are wrong.
    """
    known = {int(pk): int(grade) for pk, grade in (query.gold or {}).items()}
    judgements = Judgement.objects.not_withdrawn().filter(assignment=assignment, passage_id__in=known)
    gaps = [abs(j.grade - known[j.passage_id]) for j in judgements if j.grade is not None]
    return {"known": len(known), "right": gaps.count(0), "near": sum(gap <= 1 for gap in gaps)}
