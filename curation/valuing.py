"""Which open queries are worth a person's time, and why: a few signals, written into the queue with their line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from curation.engine.sampling import Signals, first_hole, worth
from curation.models import Assignment, Judgement, Project, Query, Ranking, ShownPassage
from curation.wording import because

_AT_ONCE = 200


@transaction.atomic
def revalue(project: Project, queries: Collection[int] | None = None) -> int:
    """Value the open slots of these queries, or of those that people have begun lately; how many queries it were.

    A promotion or an evaluation names the queries whose new ranking has holes. The evaluation sample keeps the
    value 0: it is never steered. A fixed number of reads; one write a query.
    """
    ids = list(queries)[:_AT_ONCE] if queries is not None else _begun(project)
    steerable = project.queries.filter(pk__in=ids, state=Query.State.OPEN, is_evaluation=False, gold__isnull=True)
    found = list(steerable)
    through = Counter(
        Assignment.objects.submitted().filter(query__in=ids, is_extra=False).values_list("query_id", flat=True)
    )
    holes = _holes(ids)
    for query in found:
        rank, build = holes.get(query.pk, (0, 0))
        slots = query.overlap or project.overlap
        age_days = (timezone.now() - query.asked_at).total_seconds() / 86400
        value, reason = worth(Signals(hole_rank=rank, judged=through[query.pk], slots=slots, age_days=age_days))
        named: dict[str, dict[str, object]] = {
            "hole": {"build": build, "rank": rank},
            "started": {"done": through[query.pk], "all": slots},
            "age": {"days": int(age_days)},
        }
        reasons = [because(reason, **named[reason])] if reason else []
        Assignment.objects.open().filter(query=query).update(value=value, reasons=reasons, why="")
    return len(found)


def _begun(project: Project) -> list[int]:
    """Open queries that somebody has submitted, the latest first."""
    submitted = Assignment.objects.submitted().filter(project=project, is_extra=False)
    rows = submitted.filter(query__state=Query.State.OPEN).order_by("-submitted_at")
    return list(dict.fromkeys(rows.values_list("query_id", flat=True)[:_AT_ONCE]))


def _holes(ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Query → rank of the first passage of its newest ranking that nobody has judged, and the number of the build.

    Only where a later build ranks it anew: in a first ranking everything is unjudged.
    """
    known: dict[int, set[int]] = defaultdict(set)
    for query_id, passage_id in (
        Judgement.objects.standing().filter(query__in=ids).values_list("query_id", "passage_id")
    ):
        known[query_id].add(passage_id)
    rankings: dict[int, list[Ranking]] = defaultdict(list)
    for ranking in Ranking.objects.filter(query__in=ids, build__isnull=False).select_related("build").order_by("pk"):
        rankings[ranking.query_id].append(ranking)
    newest = {rows[-1].pk: rows[-1] for rows in rankings.values() if len(rows) > 1}
    orders: dict[int, list[int]] = defaultdict(list)
    shown = ShownPassage.objects.filter(ranking__in=newest).order_by("rank")
    for ranking_id, passage_id in shown.values_list("ranking_id", "passage_id"):
        orders[ranking_id].append(passage_id)
    ranks = {pk: first_hole(orders[pk], known[ranking.query_id]) for pk, ranking in newest.items()}
    return {
        ranking.query_id: (ranks[pk], ranking.build.number)
        for pk, ranking in newest.items()
        if ranks[pk] and ranking.build
    }
