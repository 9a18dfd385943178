"""Settle: consensus, adjudicate, return.

After the last slot of a query its judgements become one opinion: the consensus settles what people agree on, and
a reviewer gets the rest with a line that says why. Everything is done for many queries at a time, so that an
import of thousands takes seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from config.compiled import Compiled
from curation.core import audit_log, labels
from curation.core.errors import CurationError
from curation.engine.statistics import agreement
from curation.engine.statistics.relevance import nearest_grade
from curation.models import Answer, Assignment, Event, Judgement, Project, Query, Review, SettledGrade

# Below it, the consensus of three and more is too unsure to stand without a reviewer.
LEAST_RELIABILITY = 0.6
# Answers less alike than this (Dice of character pairs) are two opinions, not two wordings.
MIN_SIMILARITY = 0.3
# Grades from which the judges of three and more are known, and the settled queries they are looked for in: so few
# that a submit takes no longer with a million assignments than with a thousand.
CONTEXT = 1500
CONTEXT_QUERIES = 50
PIECE = 900  # SQLite takes 999 parameters a statement where it was built long ago

State = Query.State
T = TypeVar("T")

_counted = Compiled(
    lambda query: (
        Assignment.objects.submitted()
        .filter(query=query, is_extra=False, is_re_annotation=False)
        .values_list("pk", flat=True)
    )
)


class AlreadyDecided(CurationError):
    """The review was settled or returned by somebody else meanwhile."""


class NotSettled(CurationError):
    """Only a settled query can be opened again."""


class NotReturnable(CurationError):
    """The assignment is not a submitted one of this query."""


@dataclass(frozen=True)
class Opinion:
    """What the submitted work on one query amounts to, and why a reviewer should see it; no reason: settled."""

    grades: dict[int, agreement.Consensus]
    answer: str
    is_unanswerable: bool
    reasons: list[labels.Reason]


def consider(query: Query) -> Review | None:
    """Settle the query, or put it before a reviewer; None while slots are open. The caller holds its lock."""
    if len(_counted(query.pk)) < _slots(query, query.project):
        return None  # as after most submits
    found = consider_many(query.project, [query])
    return found[0] if found else None


@transaction.atomic(savepoint=False)
def consider_many(project: Project, queries: Sequence[Query]) -> list[Review]:
    """A review for each query whose slots are all submitted: settled where people agree, waiting elsewhere.

    Extras and gold questions are not counted. Queries that are not open are left alone. The number of
    statements grows by the thousand queries only.
    """
    work = _submitted_work(queries)
    ready = [query for query in queries if query.state == State.OPEN and len(work[query.pk]) >= _slots(query, project)]
    if not ready:
        return []
    opinions = _opinions(project, ready, work)
    now = timezone.now()
    reviews = Review.objects.bulk_create(_review(query, opinions[query.pk], now) for query in ready)
    _write_grades(reviews, opinions)
    for query, review in zip(ready, reviews, strict=True):
        is_settled = review.state == Review.State.SETTLED
        query.state, query.settled_at = (State.SETTLED, now) if is_settled else (State.IN_REVIEW, None)
    _save_states(ready, now)
    Event.objects.bulk_create(_consensus_event(project, review) for review in reviews)
    return reviews


@transaction.atomic
def settle(
    review: Review,
    reviewer: AbstractBaseUser,
    grades: Mapping[int, float],
    answer: str = "",
    *,
    is_unanswerable: bool = False,
    comment: str = "",
    key: str = "",
) -> Review:
    """The reviewer's decision: these grades and this answer; passages left out keep what a reviewer had decided
    before it was opened again, else the consensus.

    grades: passage → 0–3. Raises AlreadyDecided unless the review waits; a repeated key returns it as it is.
    """
    query = _lock_query(review.query_id)
    review = Review.objects.select_related("query__project").get(pk=review.pk)
    if audit_log.happened(reviewer.pk, key):
        return review
    _check_waiting(review)
    if any(not 0 <= grade <= agreement.MOST_APART for grade in grades.values()):
        raise ValueError("a settled grade lies between 0 and 3")
    project = review.query.project
    opinion = _opinions(project, [query], _submitted_work([query]))[query.pk]
    review.answer, review.is_unanswerable, review.comment = answer, is_unanswerable, comment
    _decide(review, Review.State.SETTLED, reviewer)
    decided = decided_before(review) | dict(grades)
    rows = [_by_reviewer(review, pk, grade, opinion.grades.get(pk)) for pk, grade in decided.items()]
    rows += [by_consensus(review, pk, found) for pk, found in opinion.grades.items() if pk not in decided]
    SettledGrade.objects.bulk_create(rows)
    query.state, query.settled_at, query.propagated_at = State.SETTLED, review.decided_at, None
    query.save(update_fields=["state", "settled_at", "propagated_at"])
    data = {"review": review.pk, "grades": {str(pk): grade for pk, grade in grades.items()}, "comment": comment}
    audit_log.note("settled", project=project, actor=reviewer, query=query, data=data, key=key)
    return review


def decided_before(review: Review) -> dict[int, float]:
    """Passage → the grade a reviewer had settled, of a query that was opened again and not returned since."""
    before = Review.objects.filter(query=review.query_id, pk__lt=review.pk).order_by("-pk").first()
    if before is None or before.state != Review.State.REOPENED:
        return {}
    by_reviewer = before.grades.filter(method=SettledGrade.Method.REVIEWER)
    return dict(by_reviewer.values_list("passage_id", "grade"))


@transaction.atomic
def return_to_curator(
    review: Review, reviewer: AbstractBaseUser, assignment: Assignment, comment: str, *, key: str = ""
) -> Review:
    """Give one curator's work back with a comment; its next submit brings the query to consensus anew.

    Raises AlreadyDecided unless the review waits, NotReturnable for work that is not a submitted slot of the query.
    """
    query = _lock_query(review.query_id)
    review = Review.objects.select_related("query__project").get(pk=review.pk)
    if audit_log.happened(reviewer.pk, key):
        return review
    _check_waiting(review)
    # No lease: work that was returned waits for its curator, however long.
    returned = Assignment.objects.submitted().filter(pk=assignment.pk, query=query, is_extra=False)
    now = timezone.now()
    if not returned.update(
        state=Assignment.State.CLAIMED,
        submitted_at=None,
        lease_until=None,
        is_flagged=False,
        comment=comment,
        claimed_at=now,
    ):
        raise NotReturnable(_("That work cannot be returned: it is not a submitted slot of this query."))
    review.comment = comment
    _decide(review, Review.State.RETURNED, reviewer)
    query.state = State.OPEN
    query.save(update_fields=["state"])
    data = {"review": review.pk, "to": assignment.curator_id, "comment": comment}
    audit_log.note(
        "returned", project=query.project_id, actor=reviewer, query=query, assignment=assignment, data=data, key=key
    )
    return review


@transaction.atomic
def reopen(
    query: Query,
    reviewer: AbstractBaseUser,
    comment: str = "",
    *,
    because: labels.Reason | None = None,
    key: str = "",
) -> Review:
    """A settled query before a reviewer again; what was settled stays readable. Raises NotSettled.

    comment: the person's own words; because: what the machine knows, where it was not a person's idea.
    """
    query = _lock_query(query.pk)
    waiting = Review.objects.waiting().filter(query=query).first()
    if waiting is not None and audit_log.happened(reviewer.pk, key):
        return waiting
    settled = Review.objects.current().filter(query=query).first()
    if query.state != State.SETTLED or settled is None:
        raise NotSettled(_("This query is not settled."))
    said = labels.because("opened_again_for", comment=comment) if comment else labels.because("opened_again")
    review = before_a_reviewer(query, settled, [because or said])
    data: dict[str, object] = {"review": settled.pk, "comment": comment}
    if because:
        data["reasons"] = [because]
    audit_log.note("reopened", project=query.project_id, actor=reviewer, query=query, data=data, key=key)
    return review


def before_a_reviewer(query: Query, settled: Review, reasons: list[labels.Reason]) -> Review:
    """The settled query, locked by the caller, waits for a reviewer, who finds the answer as it was settled."""
    settled.state = Review.State.REOPENED
    settled.save(update_fields=["state"])
    review = Review.objects.create(
        query=query, reasons=reasons, answer=settled.answer, is_unanswerable=settled.is_unanswerable
    )
    query.state, query.settled_at = State.IN_REVIEW, None
    query.save(update_fields=["state", "settled_at"])
    return review


def undo(query: Query) -> None:
    """A query whose curator takes a submit back is open again; its review, if any, stays as reopened."""
    current = Review.objects.filter(query=query, state__in=[Review.State.WAITING, Review.State.SETTLED])
    current.update(state=Review.State.REOPENED)
    query.state, query.settled_at = State.OPEN, None
    query.save(update_fields=["state", "settled_at"])


def grades_of(query: Query, passages: Collection[int]) -> dict[int, agreement.Consensus]:
    """The consensus on these passages of the query, from everything that was submitted of them."""
    found = _opinions(query.project, [query], _submitted_work([query]))[query.pk].grades
    return {pk: consensus for pk, consensus in found.items() if pk in passages}


def disputes(project: Project, grades: Iterable[agreement.Consensus]) -> list[labels.Reason]:
    """Why a reviewer should see these grades; nothing where they can be settled."""
    found = list(grades)
    reasons = []
    apart = max((one.gap for one in found), default=0)
    if apart >= project.review_gap:
        reasons.append(labels.because("apart", n=int(apart)))
    unsure = sum(one.reliability < LEAST_RELIABILITY for one in found if one.judges >= 3)
    if unsure:
        reasons.append(labels.because("unsure", n=int(unsure)))
    return reasons


def is_by_consensus(query: Query) -> bool:
    """Whether the query was settled without a reviewer."""
    return Review.objects.current().filter(query=query, reviewer=None).exists()


def gold_result(assignment: Assignment, query: Query) -> dict[str, int]:
    """How a person did on a gold question: passages with a known grade, those graded as known, those within one.

    Can't tell counts as wrong, an unjudged passage too.
    """
    known = {int(pk): int(grade) for pk, grade in (query.gold or {}).items()}
    given = Judgement.objects.standing().filter(assignment=assignment, passage_id__in=known)
    gaps = [abs(j.grade - known[j.passage_id]) for j in given if j.grade is not None]
    return {"known": len(known), "right": gaps.count(0), "near": sum(gap <= 1 for gap in gaps)}


def make_gold(query: Query, actor: AbstractBaseUser | None = None) -> Query:
    """Make a settled query a gold question: its settled grades, rounded, are what others are measured by."""
    settled = Review.objects.current().filter(query=query).first()
    if settled is None:
        raise NotSettled(_("Only a settled query can become a gold question."))
    known = settled.grades.values_list("passage_id", "grade")
    query.gold = {str(pk): nearest_grade(grade) for pk, grade in known}
    query.save(update_fields=["gold"])
    audit_log.note("made_gold", project=query.project_id, actor=actor, query=query, data={"gold": query.gold})
    return query


def unmake_gold(query: Query, actor: AbstractBaseUser | None = None) -> Query:
    """Mix the query in no more. What people scored on it stays in the record."""
    if query.gold is not None:
        query.gold = None
        query.save(update_fields=["gold"])
        audit_log.note("unmade_gold", project=query.project_id, actor=actor, query=query)
    return query


def _opinions(project: Project, queries: Sequence[Query], work: Mapping[int, list[Assignment]]) -> dict[int, Opinion]:
    votes, pairs = _votes(queries)
    needs_context = any(count >= 3 for count in _votes_per_item(votes).values())
    context = _context(project, set(pairs)) if needs_context else []
    found = agreement.consensus(votes, context)
    grades: dict[int, dict[int, agreement.Consensus]] = defaultdict(dict)
    for item, consensus in found.items():
        query_id, passage_id = pairs[item]
        grades[query_id][passage_id] = consensus
    answers = _answers(queries)
    return {query.pk: _opinion(project, work[query.pk], grades[query.pk], answers[query.pk]) for query in queries}


def _opinion(
    project: Project,
    work: Sequence[Assignment],
    grades: dict[int, agreement.Consensus],
    answers: Sequence[Answer],
) -> Opinion:
    unanswerable = sum(row.is_unanswerable for row in work)
    is_unanswerable = 2 * unanswerable > len(work)
    texts = [answer.text.strip() for answer in answers if answer.text.strip()]
    best, similarity = agreement.medoid(texts) if texts else (0, 1.0)
    reasons = [labels.because("flagged", comment=row.comment or "–") for row in work if row.is_flagged]
    reasons += disputes(project, grades.values())
    if 0 < unanswerable < len(work):
        reasons.append(labels.because("some_unanswerable"))
    elif similarity < MIN_SIMILARITY:
        reasons.append(labels.because("answers_differ"))
    answer = "" if is_unanswerable or not texts else texts[best]
    return Opinion(grades, answer, is_unanswerable, reasons)


def _votes(queries: Sequence[Query]) -> tuple[list[agreement.Vote], list[tuple[int, int]]]:
    """Every counted grade of the queries, confirmed ones too, and the (query, passage) of each item number."""
    is_counted = Q(assignment__is_extra=False) | Q(assignment__selection=Assignment.Selection.CONFIRMED)
    counted = Judgement.objects.submitted().filter(is_counted, grade__isnull=False).order_by("pk")
    numbers: dict[tuple[int, int], int] = {}
    votes = [
        agreement.Vote(numbers.setdefault((q, p), len(numbers)), c, g)
        for some in chunks([query.pk for query in queries])
        for q, p, c, g in counted.filter(query__in=some).values_list("query_id", "passage_id", "curator_id", "grade")
        if g is not None
    ]
    return votes, list(numbers)


def _answers(queries: Sequence[Query]) -> dict[int, list[Answer]]:
    found: dict[int, list[Answer]] = defaultdict(list)
    counted = Answer.objects.filter(assignment__state=Assignment.State.SUBMITTED, assignment__is_extra=False)
    for some in chunks([query.pk for query in queries]):
        for answer in counted.filter(query__in=some).order_by("pk"):
            found[answer.query_id].append(answer)
    return found


def _context(project: Project, but: set[tuple[int, int]]) -> list[agreement.Vote]:
    """The newest grades of the latest settled passages that three and more judged; item numbers below 0."""
    latest = Query.objects.settled().filter(project=project, settled_at__isnull=False).order_by("-settled_at", "-pk")
    rows = (
        Judgement.objects.submitted()
        .filter(query__in=latest.values("pk")[:CONTEXT_QUERIES], assignment__is_extra=False, grade__isnull=False)
        .order_by("-pk")
        .values_list("query_id", "passage_id", "curator_id", "grade")[:CONTEXT]
    )
    numbers: dict[tuple[int, int], int] = {}
    votes = [
        agreement.Vote(-1 - numbers.setdefault((q, p), len(numbers)), c, g)
        for q, p, c, g in rows
        if g is not None and (q, p) not in but
    ]
    counts = _votes_per_item(votes)
    return [vote for vote in votes if counts[vote.item] >= 3]


def _votes_per_item(votes: Iterable[agreement.Vote]) -> dict[int, int]:
    counts: dict[int, int] = defaultdict(int)
    for vote in votes:
        counts[vote.item] += 1
    return counts


def _submitted_work(queries: Sequence[Query]) -> dict[int, list[Assignment]]:
    work: dict[int, list[Assignment]] = defaultdict(list)
    rows = Assignment.objects.submitted().filter(is_extra=False, is_re_annotation=False).order_by("pk")
    for some in chunks([query.pk for query in queries]):
        for row in rows.filter(query__in=some):
            work[row.query_id].append(row)
    return work


def chunks(ids: Sequence[T]) -> Iterator[Sequence[T]]:
    """The ids in pieces that a statement takes as parameters."""
    return (ids[start : start + PIECE] for start in range(0, len(ids), PIECE))


def _slots(query: Query, project: Project) -> int:
    return query.overlap or project.overlap


def _review(query: Query, opinion: Opinion, now: datetime) -> Review:
    review = Review(
        query=query,
        reasons=opinion.reasons,
        answer=opinion.answer,
        is_unanswerable=opinion.is_unanswerable,
        decided_at=None,
    )
    if not opinion.reasons:
        review.state, review.decided_at = Review.State.SETTLED, now
    return review


def _write_grades(reviews: Sequence[Review], opinions: Mapping[int, Opinion]) -> None:
    SettledGrade.objects.bulk_create(
        (
            by_consensus(review, passage_id, found)
            for review in reviews
            if review.state == Review.State.SETTLED
            for passage_id, found in opinions[review.query_id].grades.items()
        ),
        batch_size=2000,
    )


def _save_states(queries: Sequence[Query], now: datetime) -> None:
    for state, settled_at in ((State.SETTLED, now), (State.IN_REVIEW, None)):
        for some in chunks([query.pk for query in queries if query.state == state]):
            Query.objects.filter(pk__in=some).update(state=state, settled_at=settled_at, propagated_at=None)


def by_consensus(review: Review, passage_id: int, found: agreement.Consensus) -> SettledGrade:
    """The consensus on a passage as a row of the review, not saved yet."""
    return SettledGrade(
        review=review,
        passage_id=passage_id,
        grade=found.grade,
        judges=found.judges,
        reliability=found.reliability,
        method=found.method,
    )


def _by_reviewer(review: Review, passage_id: int, grade: float, found: agreement.Consensus | None) -> SettledGrade:
    judges = found.judges if found else 0
    method = SettledGrade.Method.REVIEWER
    return SettledGrade(review=review, passage_id=passage_id, grade=grade, judges=judges + 1, method=method)


def _consensus_event(project: Project, review: Review) -> Event:
    is_settled = review.state == Review.State.SETTLED
    verb = "settled" if is_settled else "sent_to_review"
    data = {"review": review.pk, "by": "consensus"} if is_settled else {"review": review.pk, "reasons": review.reasons}
    return Event(project=project, verb=verb, query_id=review.query_id, data=data)


def _lock_query(pk: int) -> Query:
    return Query.objects.select_for_update(no_key=True).get(pk=pk)


def _check_waiting(review: Review) -> None:
    if review.state != Review.State.WAITING:
        raise AlreadyDecided(_("This review has been decided already."))


def _decide(review: Review, state: str, reviewer: AbstractBaseUser) -> None:
    review.state, review.decided_at = state, timezone.now()
    review.reviewer_id = reviewer.pk
    review.save(update_fields=["state", "decided_at", "reviewer", "answer", "is_unanswerable", "comment"])
