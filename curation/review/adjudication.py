"""Adjudication: a reviewer resolves what annotators disagree on, sends work back, or reopens a settled query."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from curation.core import audit_log, labels
from curation.core.errors import CurationError
from curation.engine.statistics import agreement
from curation.models import Assignment, Query, Review, SettledGrade
from curation.review import consensus

State = Query.State


class AlreadyDecided(CurationError):
    """Another reviewer has resolved the review or sent it back in the meantime."""


class NotSettled(CurationError):
    """Only a settled query can be reopened."""


class NotReturnable(CurationError):
    """The assignment is not submitted, or belongs to another query."""


@transaction.atomic
def resolve(
    review: Review,
    reviewer: AbstractBaseUser,
    grades: Mapping[int, float],
    answer: str = "",
    *,
    is_unanswerable: bool = False,
    comment: str = "",
    key: str = "",
) -> Review:
    """Settle the query with the reviewer's grades and answer.

    grades: passage id → grade, 0–3. A passage without one keeps the grade of `earlier_decisions`, else the consensus.
    A repeated key returns the review as it is. Raises AlreadyDecided unless the review waits.
    """
    query, review = _lock_query(review.query_id), Review.objects.select_related("query__project").get(pk=review.pk)
    if audit_log.has_happened(reviewer.pk, key):
        return review
    _check_waiting(review)
    if any(not 0 <= grade <= agreement.MAX_GRADE for grade in grades.values()):
        raise ValueError("a settled grade lies between 0 and 3")
    review.answer, review.is_unanswerable, review.comment = answer, is_unanswerable, comment
    _close(review, Review.State.SETTLED, reviewer)
    _save_grades(review, query, earlier_decisions(review) | dict(grades))
    query.state, query.settled_at, query.propagated_at = State.SETTLED, review.decided_at, None
    query.save(update_fields=["state", "settled_at", "propagated_at"])
    data = {"review": review.pk, "grades": {str(pk): grade for pk, grade in grades.items()}, "comment": comment}
    audit_log.record("settled", project=query.project_id, actor=reviewer, query=query, data=data, key=key)
    return review


def earlier_decisions(review: Review) -> dict[int, float]:
    """Return passage id → grade of the reviewer before, where the query was settled and reopened since."""
    before = Review.objects.filter(query=review.query_id, pk__lt=review.pk).order_by("-pk").first()
    if before is None or before.state != Review.State.REOPENED:
        return {}
    by_reviewer = before.grades.filter(method=SettledGrade.Method.REVIEWER)
    return dict(by_reviewer.values_list("passage_id", "grade"))


@transaction.atomic
def send_back(
    review: Review, reviewer: AbstractBaseUser, assignment: Assignment, comment: str, *, key: str = ""
) -> Review:
    """Send one annotator's work back with a comment. Their next submit computes the consensus again.

    Raises AlreadyDecided unless the review waits, NotReturnable for work that does not fill a slot of the query.
    """
    query = _lock_query(review.query_id)
    review = Review.objects.select_related("query__project").get(pk=review.pk)
    if audit_log.has_happened(reviewer.pk, key):
        return review
    _check_waiting(review)
    _reclaim(assignment, query, comment)
    review.comment = comment
    _close(review, Review.State.RETURNED, reviewer)
    query.state = State.OPEN
    query.save(update_fields=["state"])
    data = {"review": review.pk, "to": assignment.curator_id, "comment": comment}
    audit_log.record(
        "returned", project=query.project_id, actor=reviewer, query=query, assignment=assignment, data=data, key=key
    )
    return review


@transaction.atomic
def reopen(
    query: Query,
    reviewer: AbstractBaseUser,
    comment: str = "",
    *,
    reason: labels.Reason | None = None,
    key: str = "",
) -> Review:
    """Send a settled query to review again. Its settled grades stay readable. Raises NotSettled.

    comment: the reviewer's words. reason: given where a measurement reopens the query, not a person.
    """
    query = _lock_query(query.pk)
    waiting = Review.objects.waiting().filter(query=query).first()
    if waiting is not None and audit_log.has_happened(reviewer.pk, key):
        return waiting
    settled = Review.objects.current().filter(query=query).first()
    if query.state != State.SETTLED or settled is None:
        raise NotSettled(_("This query is not resolved."))
    review = send_to_review(query, settled, [reason or _reopen_reason(comment)])
    data = {"review": settled.pk, "comment": comment} | ({"reasons": [reason]} if reason else {})
    audit_log.record("reopened", project=query.project_id, actor=reviewer, query=query, data=data, key=key)
    return review


def _reopen_reason(comment: str) -> labels.Reason:
    return labels.make_reason("opened_again_for", comment=comment) if comment else labels.make_reason("opened_again")


def send_to_review(query: Query, settled: Review, reasons: list[labels.Reason]) -> Review:
    """Create a waiting review of a settled query, with the settled answer. The caller holds the query's lock."""
    settled.state = Review.State.REOPENED
    settled.save(update_fields=["state"])
    review = Review.objects.create(
        query=query, reasons=reasons, answer=settled.answer, is_unanswerable=settled.is_unanswerable
    )
    query.state, query.settled_at = State.IN_REVIEW, None
    query.save(update_fields=["state", "settled_at"])
    return review


def _save_grades(review: Review, query: Query, decided: Mapping[int, float]) -> None:
    """Save the settled grades: decided by a reviewer, by the consensus elsewhere."""
    by_consensus = consensus.query_consensus(query).grades
    rows = [_reviewer_grade(review, pk, grade, by_consensus.get(pk)) for pk, grade in decided.items()]
    rows += [consensus.settled_grade(review, pk, one) for pk, one in by_consensus.items() if pk not in decided]
    SettledGrade.objects.bulk_create(rows)


def _reviewer_grade(review: Review, passage_id: int, grade: float, before: agreement.Consensus | None) -> SettledGrade:
    judges = before.judges if before else 0
    method = SettledGrade.Method.REVIEWER
    return SettledGrade(review=review, passage_id=passage_id, grade=grade, judges=judges + 1, method=method)


def _reclaim(assignment: Assignment, query: Query, comment: str) -> None:
    """Give a submitted assignment back to its annotator, without a lease: it waits however long they take."""
    submitted = Assignment.objects.submitted().filter(pk=assignment.pk, query=query, is_extra=False)
    is_changed = submitted.update(
        state=Assignment.State.CLAIMED,
        submitted_at=None,
        lease_until=None,
        is_flagged=False,
        comment=comment,
        claimed_at=timezone.now(),
    )
    if not is_changed:
        raise NotReturnable(_("This work cannot be sent back: it is not a submitted assignment of this query."))


def _lock_query(pk: int) -> Query:
    return Query.objects.select_for_update(no_key=True).get(pk=pk)


def _check_waiting(review: Review) -> None:
    if review.state != Review.State.WAITING:
        raise AlreadyDecided(_("This review has been decided already."))


def _close(review: Review, state: str, reviewer: AbstractBaseUser) -> None:
    review.state, review.decided_at = state, timezone.now()
    review.reviewer_id = reviewer.pk
    review.save(update_fields=["state", "decided_at", "reviewer", "answer", "is_unanswerable", "comment"])
