"""Re-annotation: an edited passage is judged again, where the project asks for it.

Only the new text is judged. The settled grades of the query's other passages stay meanwhile, and the old text keeps
its judgements. An open query shows the new text from now on. A settled query gets assignments that ask for the edited
passages alone, as many as people judge it, open also to those who judged the old text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from django.db.models import QuerySet

from common.batches import batches
from curation.annotation import assignments
from curation.annotation.priority import MAX_PRIORITY
from curation.core import audit_log
from curation.core.labels import make_reason
from curation.models import Assignment, Project, Query, Ranking, Review, SettledGrade, ShownPassage
from curation.review import adjudication, consensus
from retrieval.models import Corpus, Passage

State = Assignment.State


def on_passages_retired(
    sender: type[Passage], *, corpus: Corpus, passages: QuerySet[Passage], **signal: object
) -> None:
    """Receive `passages_retired`: ask for judgements of the new texts, in its transaction."""
    request_for_edited(corpus, passages)


def request_for_edited(corpus: Corpus, retired: QuerySet[Passage]) -> int:
    """Ask for judgements of the passages that replace these retired ones, in projects that re-annotate edits.

    Returns the number of assignments created. Retired passages without a replacement are left out. Runs in the
    caller's transaction.
    """
    replacements = _replacements(corpus.pk, retired)
    if not replacements:
        return 0
    created = 0
    for project in corpus.projects.filter(re_annotates_edits=True):
        _show_replacements(project, replacements)
        created += sum(request_missing(query) for query in _settled_queries(project, replacements))
    return created


def request_missing(query: Query) -> int:
    """Create assignments for edited passages of a settled query that are neither judged nor asked for yet.

    Returns their number. Needed after a submit too: whoever held the query during the edit judged the old text.
    """
    settled = SettledGrade.objects.filter(review__query=query, review__state=Review.State.SETTLED)
    known = set(settled.values_list("passage_id", flat=True))
    retired = Passage.objects.filter(pk__in=known, retired_at__isnull=False)
    requested = Assignment.objects.filter(
        query=query, is_re_annotation=True, is_extra=False, state__in=Assignment.HOLDING
    )
    known |= {pk for order in requested.values_list("order", flat=True) for pk in order}
    replacements = {
        old: new for old, new in _replacements(query.project.corpus_id, retired).items() if new not in known
    }
    return _request(query, replacements) if replacements and query.gold is None else 0


def settle_if_complete(query: Query, assignment: Assignment) -> None:
    """Settle the new passages, or send the query to a reviewer, after the last of its re-annotations is submitted.

    assignment: the one just submitted. The caller holds the query's lock. Where the query was reopened meanwhile, the
    new judgements count when it is settled.
    """
    same = Assignment.objects.filter(query=query, ranking=assignment.ranking_id, is_re_annotation=True, is_extra=False)
    settled = Review.objects.current().filter(query=query).first()
    if settled is None or same.filter(state__in=[State.OPEN, State.CLAIMED]).exists():
        return
    grades = consensus.passage_consensus(query, assignment.order)
    comments = same.submitted().filter(is_flagged=True).values_list("comment", flat=True)
    reasons = [make_reason("flagged", comment=comment or "–") for comment in comments]
    reasons += consensus.dispute_reasons(query.project, grades.values())
    if reasons:
        review = adjudication.send_to_review(query, settled, reasons)
        data = {"review": review.pk, "reasons": reasons}
        audit_log.record("sent_to_review", project=query.project_id, query=query, data=data)
        return
    SettledGrade.objects.filter(review=settled, passage__in=grades).delete()  # replaces confirmed suggestions
    SettledGrade.objects.bulk_create(consensus.settled_grade(settled, pk, one) for pk, one in grades.items())
    Query.objects.filter(pk=query.pk).update(propagated_at=None)
    data = {"review": settled.pk, "grades": {str(pk): one.grade for pk, one in grades.items()}}
    audit_log.record("settled_anew", project=query.project_id, query=query, data=data)


def unsettle(query: Query, assignment: Assignment) -> None:
    """Unsettle the passages of a re-annotation whose submit is undone. A reviewer's grades stay."""
    grades = SettledGrade.objects.filter(
        review__query=query, review__state=Review.State.SETTLED, passage__in=assignment.order
    )
    grades.exclude(method=SettledGrade.Method.REVIEWER).delete()


def _replacements(corpus_id: int, retired: QuerySet[Passage]) -> dict[int, int]:
    """Return retired passage id → id of the active passage with the same external id."""
    names = dict(retired.values_list("pk", "external_id"))
    active = Passage.objects.active().filter(corpus=corpus_id)
    active_ids: dict[str, int] = {}
    for batch in batches(sorted(set(names.values()))):
        active_ids |= dict(active.filter(external_id__in=batch).values_list("external_id", "pk"))
    return {pk: active_ids[name] for pk, name in names.items() if name in active_ids}


def _show_replacements(project: Project, replacements: Mapping[int, int]) -> None:
    """Give open assignments that show an edited passage a ranking with the new text."""
    rankings: set[int] = set()
    for batch in batches(sorted(replacements)):
        shown = ShownPassage.objects.filter(passage__in=batch, ranking__assignments__state=State.OPEN)
        rankings |= set(shown.filter(ranking__assignments__project=project).values_list("ranking_id", flat=True))
    for ranking in Ranking.objects.filter(pk__in=rankings).order_by("pk"):
        renewed = _copy_ranking(ranking, replacements)
        for row in Assignment.objects.open().filter(ranking=ranking).select_for_update(of=("self",)):
            row.ranking, row.order = renewed, [replacements.get(pk, pk) for pk in row.order]
            row.save(update_fields=["ranking", "order"])


def _settled_queries(project: Project, replacements: Mapping[int, int]) -> Iterator[Query]:
    """Yield the settled queries that have a grade of an edited passage."""
    ids: set[int] = set()
    for batch in batches(sorted(replacements)):
        settled = SettledGrade.objects.filter(review__state=Review.State.SETTLED, passage__in=batch)
        ids |= set(settled.filter(review__query__project=project).values_list("review__query", flat=True))
    for batch in batches(sorted(ids)):
        yield from project.queries.filter(pk__in=batch).order_by("pk")


def _request(query: Query, replacements: Mapping[int, int]) -> int:
    newest = Ranking.objects.filter(query=query).order_by("-pk").first() or Ranking.objects.create(query=query)
    passage_ids = list(dict.fromkeys(replacements.values()))
    ranking = _copy_ranking(newest, replacements, passage_ids)
    audit_log.record("asked_anew", project=query.project, query=query, data={"passages": passage_ids})
    priority = 0.0 if query.is_evaluation else MAX_PRIORITY  # a dataset lacks the passage until it is judged
    reasons = [make_reason("edited", n=len(passage_ids))]
    return len(assignments.create_for_re_annotation(query, ranking, passage_ids, priority, reasons))


def _copy_ranking(ranking: Ranking, replacements: Mapping[int, int], added: Sequence[int] = ()) -> Ranking:
    """Create the ranking again with the new texts in place of the old.

    added: passages that come last where the ranking does not show them.
    """
    shown = list(ShownPassage.objects.filter(ranking=ranking).order_by("rank"))
    copy = Ranking.objects.create(
        query_id=ranking.query_id, build_id=ranking.build_id, release_id=ranking.release_id, mode=ranking.mode
    )
    places = [(replacements.get(row.passage_id, row.passage_id), row) for row in shown]
    best_places = dict(reversed(places))  # each passage once, at its best rank
    rows = [
        ShownPassage(ranking=copy, passage_id=pk, rank=row.rank, score=row.score, added_by_id=row.added_by_id)
        for pk, row in best_places.items()
    ]
    last_rank = max((row.rank for row in rows), default=0)
    missing = [pk for pk in added if pk not in best_places]
    rows += [ShownPassage(ranking=copy, passage_id=pk, rank=last_rank + n) for n, pk in enumerate(missing, start=1)]
    ShownPassage.objects.bulk_create(rows)
    return copy
