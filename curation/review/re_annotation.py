"""An edited passage comes up for judging again, by itself, where the project asks for it.

Only the new text does. What is settled of the rest of the query stays settled meanwhile; the old text keeps its
judgements and can be read. A query still in the queue shows the new text from now on. A settled one gets top-ups: as
many slots as it has judges, each asking for the edited passages alone, open also to those who judged the old text.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from django.db.models import Max, QuerySet

from curation.core import audit_log
from curation.core.labels import because
from curation.models import Assignment, Project, Query, Ranking, Review, SettledGrade, ShownPassage
from curation.review import consensus
from retrieval.models import Corpus, Passage

VALUE = 1.0  # as much as a query can be worth: the dataset lacks the passage until it is judged
State = Assignment.State


def open_edited(corpus: Corpus, gone: QuerySet[Passage]) -> int:
    """Put what took the place of these retired passages into the queues of the projects that want it.

    How many top-ups were opened. Passages that nothing has replaced are left alone. In the caller's transaction.
    """
    new = _replacements(corpus.pk, gone)
    if not new:
        return 0
    opened = 0
    for project in corpus.projects.filter(re_annotates_edits=True):
        _show_new_text(project, new)
        opened += sum(catch_up(query) for query in _settled_of(project, new))
    return opened


def catch_up(query: Query) -> int:
    """Top-ups for what was edited of a settled query, and is neither judged nor asked for yet; how many.

    Also after a submit: who had the query in hand while it was edited has judged the old text.
    """
    graded = SettledGrade.objects.filter(review__query=query, review__state=Review.State.SETTLED)
    known = set(graded.values_list("passage_id", flat=True))
    old = Passage.objects.filter(pk__in=known, retired_at__isnull=False)
    asked = Assignment.objects.filter(query=query, is_re_annotation=True, is_extra=False, state__in=Assignment.HOLDING)
    known |= {pk for order in asked.values_list("order", flat=True) for pk in order}
    new = {pk: now for pk, now in _replacements(query.project.corpus_id, old).items() if now not in known}
    return len(Assignment.objects.bulk_create(_top_ups(query, new))) if new and query.gold is None else 0


def consider(query: Query, turn: Assignment) -> None:
    """After a submitted top-up: with the last of them the new text joins what is settled, or goes to a reviewer.

    The caller holds the query's lock. A query that was opened again meanwhile counts them when it is settled.
    """
    of_same = Assignment.objects.filter(query=query, ranking=turn.ranking_id, is_re_annotation=True, is_extra=False)
    settled = Review.objects.current().filter(query=query).first()
    if settled is None or of_same.filter(state__in=[State.OPEN, State.CLAIMED]).exists():
        return
    found = consensus.grades_of(query, turn.order)
    flagged = of_same.submitted().filter(is_flagged=True).values_list("comment", flat=True)
    reasons = [because("flagged", comment=comment or "–") for comment in flagged]
    reasons += consensus.disputes(query.project, found.values())
    if reasons:
        review = consensus.before_a_reviewer(query, settled, reasons)
        data = {"review": review.pk, "reasons": reasons}
        audit_log.note("sent_to_review", project=query.project_id, query=query, data=data)
        return
    SettledGrade.objects.filter(review=settled, passage__in=found).delete()  # a grade that was passed on gives way
    SettledGrade.objects.bulk_create(consensus.by_consensus(settled, pk, one) for pk, one in found.items())
    Query.objects.filter(pk=query.pk).update(propagated_at=None)
    data = {"review": settled.pk, "grades": {str(pk): one.grade for pk, one in found.items()}}
    audit_log.note("settled_anew", project=query.project_id, query=query, data=data)


def undo(query: Query, turn: Assignment) -> None:
    """A top-up is taken back: its passages are unsettled again, and nothing else; what a reviewer decided stays."""
    grades = SettledGrade.objects.filter(review__query=query, review__state="settled", passage__in=turn.order)
    grades.exclude(method=SettledGrade.Method.REVIEWER).delete()


def _replacements(corpus_id: int, gone: QuerySet[Passage]) -> dict[int, int]:
    """Retired passage → the active one of the same id."""
    old = dict(gone.values_list("pk", "external_id"))
    active = Passage.objects.active().filter(corpus=corpus_id)
    new: dict[str, int] = {}
    for some in consensus.chunks(sorted(set(old.values()))):
        new |= dict(active.filter(external_id__in=some).values_list("external_id", "pk"))
    return {pk: new[name] for pk, name in old.items() if name in new}


def _show_new_text(project: Project, new: Mapping[int, int]) -> None:
    """Open slots whose ranking shows an edited passage get one that shows its new text."""
    rankings: set[int] = set()
    for some in consensus.chunks(sorted(new)):
        shown = ShownPassage.objects.filter(passage__in=some, ranking__assignments__state=State.OPEN)
        rankings |= set(shown.filter(ranking__assignments__project=project).values_list("ranking_id", flat=True))
    for ranking in Ranking.objects.filter(pk__in=rankings).order_by("pk"):
        renewed = _renewed(ranking, new)  # only what it shows
        for row in Assignment.objects.open().filter(ranking=ranking).select_for_update(of=("self",)):
            row.ranking, row.order = renewed, [new.get(pk, pk) for pk in row.order]
            row.save(update_fields=["ranking", "order"])


def _settled_of(project: Project, new: Mapping[int, int]) -> Iterator[Query]:
    """The settled queries that have a grade of an edited passage."""
    ids: set[int] = set()
    for some in consensus.chunks(sorted(new)):
        settled = SettledGrade.objects.filter(review__state=Review.State.SETTLED, passage__in=some)
        ids |= set(settled.filter(review__query__project=project).values_list("review__query", flat=True))
    for some in consensus.chunks(sorted(ids)):
        yield from project.queries.filter(pk__in=some).order_by("pk")


def _top_ups(query: Query, new: Mapping[int, int]) -> list[Assignment]:
    project = query.project
    newest = Ranking.objects.filter(query=query).order_by("-pk").first() or Ranking.objects.create(query=query)
    order = list(dict.fromkeys(new.values()))
    ranking = _renewed(newest, new, order)
    taken = Assignment.objects.filter(query=query, is_extra=False).aggregate(last=Max("slot"))["last"] or 0
    place = {
        "project": project,
        "query": query,
        "ranking": ranking,
        "order": order,
        "is_re_annotation": True,
        "random_key": random.random(),
        "priority": 0.0 if query.is_evaluation else VALUE,
        "reasons": [because("edited", n=len(order))],
    }
    audit_log.note("asked_anew", project=project, query=query, data={"passages": order})
    return [Assignment(**place, slot=taken + number + 1) for number in range(query.overlap or project.overlap)]


def _renewed(ranking: Ranking, new: Mapping[int, int], also: Sequence[int] = ()) -> Ranking:
    """The ranking again, with the new texts in the places of the old; of `also`, what it does not show comes last."""
    shown = list(ShownPassage.objects.filter(ranking=ranking).order_by("rank"))
    renewed = Ranking.objects.create(
        query_id=ranking.query_id, build_id=ranking.build_id, release_id=ranking.release_id, mode=ranking.mode
    )
    places = [(new.get(row.passage_id, row.passage_id), row) for row in shown]
    kept = dict(reversed(places))  # each passage once, in its best place
    added = [pk for pk in also if pk not in kept]
    rows = [
        ShownPassage(ranking=renewed, passage_id=pk, rank=row.rank, score=row.score, added_by_id=row.added_by_id)
        for pk, row in kept.items()
    ]
    last = max((row.rank for row in rows), default=0)
    rows += [ShownPassage(ranking=renewed, passage_id=pk, rank=last + n) for n, pk in enumerate(added, start=1)]
    ShownPassage.objects.bulk_create(rows)
    return renewed
