"""Consensus: the settled grades of a query from the grades of several annotators.

The last submit of a query computes the consensus. Where annotators agree, it settles the query. Where they do not, the
query goes to a reviewer with the reasons. All steps work on many queries at once, because an import settles thousands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from common.batches import batches
from curation.core import labels
from curation.engine.statistics import agreement
from curation.models import Answer, Assignment, Event, Judgement, Project, Query, Review, SettledGrade

# A consensus of three and more grades below this reliability needs a reviewer.
MIN_RELIABILITY = 0.6
# Answers with a smaller Dice similarity (character bigrams) are two opinions, not two wordings of one.
MIN_ANSWER_SIMILARITY = 0.3
# Earlier grades that tell how reliable each annotator is, and the latest settled queries they are taken from. The
# limits keep a submit as fast with a million assignments as with a thousand.
CONTEXT_GRADES = 1500
CONTEXT_QUERIES = 50

State = Query.State


@dataclass(frozen=True)
class QueryConsensus:
    """The consensus on one query. grades: passage id → consensus. reasons: why a reviewer decides; empty: settled."""

    grades: dict[int, agreement.Consensus]
    answer: str
    is_unanswerable: bool
    reasons: list[labels.Reason]


def settle_if_complete(query: Query) -> Review | None:
    """Settle the query or send it to a reviewer; None while slots are open. The caller holds the query's lock."""
    submitted = Assignment.objects.submitted().filter(query=query, is_extra=False, is_re_annotation=False)
    if submitted.count() < _slot_count(query, query.project):
        return None  # the most frequent case: no further statement
    reviews = settle_complete(query.project, [query])
    return reviews[0] if reviews else None


@transaction.atomic(savepoint=False)
def settle_complete(project: Project, queries: Sequence[Query]) -> list[Review]:
    """Create a review for each open query whose slots are all submitted: settled, or waiting for a reviewer.

    Extras and gold questions do not count. Queries that are not open are left out. The number of statements does not
    grow with the number of queries, except by their batches.
    """
    submitted = _submitted_assignments(queries)
    complete = [
        query
        for query in queries
        if query.state == State.OPEN and len(submitted[query.pk]) >= _slot_count(query, project)
    ]
    if not complete:
        return []
    results = _compute(project, complete, submitted)
    now = timezone.now()
    reviews = Review.objects.bulk_create(_new_review(query, results[query.pk], now) for query in complete)
    _save_grades(reviews, results)
    for query, review in zip(complete, reviews, strict=True):
        is_settled = review.state == Review.State.SETTLED
        query.state, query.settled_at = (State.SETTLED, now) if is_settled else (State.IN_REVIEW, None)
    _save_states(complete, now)
    Event.objects.bulk_create(_consensus_event(project, review) for review in reviews)
    return reviews


def query_consensus(query: Query) -> QueryConsensus:
    """Compute the consensus on the query from everything that was submitted."""
    return _compute(query.project, [query], _submitted_assignments([query]))[query.pk]


def passage_consensus(query: Query, passages: Collection[int]) -> dict[int, agreement.Consensus]:
    """Compute the consensus on these passages of the query; passages without a submitted grade are left out."""
    grades = query_consensus(query).grades
    return {pk: consensus for pk, consensus in grades.items() if pk in passages}


def dispute_reasons(project: Project, grades: Iterable[agreement.Consensus]) -> list[labels.Reason]:
    """Return why a reviewer has to decide on these grades; empty where the consensus can settle them."""
    consensus = list(grades)
    reasons = []
    max_gap = max((one.gap for one in consensus), default=0)
    if max_gap >= project.review_gap:
        reasons.append(labels.make_reason("apart", n=int(max_gap)))
    unreliable = sum(one.reliability < MIN_RELIABILITY for one in consensus if one.judges >= 3)
    if unreliable:
        reasons.append(labels.make_reason("unsure", n=int(unreliable)))
    return reasons


def settled_grade(review: Review, passage_id: int, consensus: agreement.Consensus) -> SettledGrade:
    """Build the unsaved row of the consensus on one passage."""
    return SettledGrade(
        review=review,
        passage_id=passage_id,
        grade=consensus.grade,
        judges=consensus.judges,
        reliability=consensus.reliability,
        method=consensus.method,
    )


def is_by_consensus(query: Query) -> bool:
    """Whether the query was settled without a reviewer."""
    return Review.objects.current().filter(query=query, reviewer=None).exists()


def unsettle(query: Query) -> None:
    """Open the query for annotation again, after an annotator undid a submit. Its review stays, as reopened."""
    current = Review.objects.filter(query=query, state__in=[Review.State.WAITING, Review.State.SETTLED])
    current.update(state=Review.State.REOPENED)
    query.state, query.settled_at = State.OPEN, None
    query.save(update_fields=["state", "settled_at"])


def _compute(
    project: Project, queries: Sequence[Query], submitted: Mapping[int, list[Assignment]]
) -> dict[int, QueryConsensus]:
    votes, pairs = _votes(queries)
    needs_context = any(count >= 3 for count in _votes_per_item(votes).values())
    context = _context_votes(project, set(pairs)) if needs_context else []
    grades: dict[int, dict[int, agreement.Consensus]] = defaultdict(dict)
    for item, consensus in agreement.consensus(votes, context).items():
        query_id, passage_id = pairs[item]
        grades[query_id][passage_id] = consensus
    answers = _submitted_answers(queries)
    return {query.pk: _combine(project, submitted[query.pk], grades[query.pk], answers[query.pk]) for query in queries}


def _combine(
    project: Project,
    submitted: Sequence[Assignment],
    grades: dict[int, agreement.Consensus],
    answers: Sequence[Answer],
) -> QueryConsensus:
    unanswerable_votes = sum(row.is_unanswerable for row in submitted)
    is_unanswerable = 2 * unanswerable_votes > len(submitted)
    texts = [answer.text.strip() for answer in answers if answer.text.strip()]
    medoid, similarity = agreement.medoid(texts) if texts else (0, 1.0)
    reasons = [labels.make_reason("flagged", comment=row.comment or "–") for row in submitted if row.is_flagged]
    reasons += dispute_reasons(project, grades.values())
    if 0 < unanswerable_votes < len(submitted):
        reasons.append(labels.make_reason("some_unanswerable"))
    elif similarity < MIN_ANSWER_SIMILARITY:
        reasons.append(labels.make_reason("answers_differ"))
    answer = "" if is_unanswerable or not texts else texts[medoid]
    return QueryConsensus(grades, answer, is_unanswerable, reasons)


def _votes(queries: Sequence[Query]) -> tuple[list[agreement.Vote], list[tuple[int, int]]]:
    """Return every grade that counts, confirmed suggestions too, and the (query, passage) of each item number."""
    is_counted = Q(assignment__is_extra=False) | Q(assignment__selection=Assignment.Selection.CONFIRMED)
    counted = Judgement.objects.submitted().filter(is_counted, grade__isnull=False).order_by("pk")
    numbers: dict[tuple[int, int], int] = {}
    votes = [
        agreement.Vote(numbers.setdefault((q, p), len(numbers)), c, g)
        for ids in batches([query.pk for query in queries])
        for q, p, c, g in counted.filter(query__in=ids).values_list("query_id", "passage_id", "curator_id", "grade")
        if g is not None
    ]
    return votes, list(numbers)


def _submitted_answers(queries: Sequence[Query]) -> dict[int, list[Answer]]:
    answers: dict[int, list[Answer]] = defaultdict(list)
    counted = Answer.objects.filter(assignment__state=Assignment.State.SUBMITTED, assignment__is_extra=False)
    for ids in batches([query.pk for query in queries]):
        for answer in counted.filter(query__in=ids).order_by("pk"):
            answers[answer.query_id].append(answer)
    return answers


def _context_votes(project: Project, excluded: set[tuple[int, int]]) -> list[agreement.Vote]:
    """Return the newest grades of the latest settled passages with three and more judges; item numbers below 0.

    excluded: (query, passage) pairs that the consensus is computed of.
    """
    latest = Query.objects.settled().filter(project=project, settled_at__isnull=False).order_by("-settled_at", "-pk")
    rows = (
        Judgement.objects.submitted()
        .filter(query__in=latest.values("pk")[:CONTEXT_QUERIES], assignment__is_extra=False, grade__isnull=False)
        .order_by("-pk")
        .values_list("query_id", "passage_id", "curator_id", "grade")[:CONTEXT_GRADES]
    )
    numbers: dict[tuple[int, int], int] = {}
    votes = [
        agreement.Vote(-1 - numbers.setdefault((q, p), len(numbers)), c, g)
        for q, p, c, g in rows
        if g is not None and (q, p) not in excluded
    ]
    counts = _votes_per_item(votes)
    return [vote for vote in votes if counts[vote.item] >= 3]


def _votes_per_item(votes: Iterable[agreement.Vote]) -> dict[int, int]:
    counts: dict[int, int] = defaultdict(int)
    for vote in votes:
        counts[vote.item] += 1
    return counts


def _submitted_assignments(queries: Sequence[Query]) -> dict[int, list[Assignment]]:
    by_query: dict[int, list[Assignment]] = defaultdict(list)
    rows = Assignment.objects.submitted().filter(is_extra=False, is_re_annotation=False).order_by("pk")
    for ids in batches([query.pk for query in queries]):
        for row in rows.filter(query__in=ids):
            by_query[row.query_id].append(row)
    return by_query


def _slot_count(query: Query, project: Project) -> int:
    return query.overlap or project.overlap


def _new_review(query: Query, result: QueryConsensus, now: datetime) -> Review:
    review = Review(
        query=query,
        reasons=result.reasons,
        answer=result.answer,
        is_unanswerable=result.is_unanswerable,
        decided_at=None,
    )
    if not result.reasons:
        review.state, review.decided_at = Review.State.SETTLED, now
    return review


def _save_grades(reviews: Sequence[Review], results: Mapping[int, QueryConsensus]) -> None:
    SettledGrade.objects.bulk_create(
        (
            settled_grade(review, passage_id, consensus)
            for review in reviews
            if review.state == Review.State.SETTLED
            for passage_id, consensus in results[review.query_id].grades.items()
        ),
        batch_size=2000,
    )


def _save_states(queries: Sequence[Query], now: datetime) -> None:
    for state, settled_at in ((State.SETTLED, now), (State.IN_REVIEW, None)):
        for ids in batches([query.pk for query in queries if query.state == state]):
            Query.objects.filter(pk__in=ids).update(state=state, settled_at=settled_at, propagated_at=None)


def _consensus_event(project: Project, review: Review) -> Event:
    is_settled = review.state == Review.State.SETTLED
    verb = "settled" if is_settled else "sent_to_review"
    data = {"review": review.pk, "by": "consensus"} if is_settled else {"review": review.pk, "reasons": review.reasons}
    return Event(project=project, verb=verb, query_id=review.query_id, data=data)
