"""Which open queries are worth a person's time, and why: a few signals, written into the queue with their line.

Every signal is a stored number; nothing is computed while somebody claims. The evaluation sample keeps the value 0:
it is never steered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Avg, Count, Max, Min, Q
from django.utils import timezone

from curation.core.labels import Reason, because
from curation.engine.statistics.sampling import Signals, first_hole, worth
from curation.models import Assignment, Judgement, Project, Query, Ranking, ShownPassage

_AT_ONCE = 200
_LATEST = 500  # arrivals among which a repeat is looked for
_STRATA = 20


@dataclass(frozen=True)
class _Known:
    """What the signals of some queries are made of: query → figure, or → nothing where there is none."""

    through: dict[int, int]
    apart: dict[int, int]
    holes: dict[int, tuple[int, int]]  # (rank, number of the build)
    asked: dict[int, int]
    near: dict[str, float]  # stratum → mean disagreement of retriever and language model


@transaction.atomic
def revalue(project: Project, queries: Collection[int] | None = None) -> int:
    """Value the open slots of these queries, or of those that have a reason to be; how many queries it were.

    A promotion or an evaluation names the queries whose new ranking has holes. A fixed number of reads; one write
    for each query whose value has changed.
    """
    ids = list(queries)[:_AT_ONCE] if queries is not None else _noteworthy(project)
    steerable = project.queries.filter(pk__in=ids, state=Query.State.OPEN, is_evaluation=False, gold__isnull=True)
    found = list(steerable)
    known = _Known(_through(ids), _apart(ids), _holes(ids), _asked(project, found), _near(project, found))
    slots = Assignment.objects.open().filter(query__in=[query.pk for query in found])
    stand = {pk: (value, reasons) for pk, value, reasons in slots.values_list("query_id", "priority", "reasons")}
    for query in found:
        value, reasons = _worth(query, query.overlap or project.overlap, known)
        there = stand.get(query.pk)
        if there is not None and there != (value, reasons) and not _is_wished(there[1]):
            Assignment.objects.open().filter(query=query).update(priority=value, reasons=reasons, reason_text="")
    return len(found)


def _is_wished(reasons: list[Reason]) -> bool:
    """Whether a person put it forward: no signal moves it back."""
    return any(reason["code"] == "worse" for reason in reasons)


def _worth(query: Query, slots: int, known: _Known) -> tuple[float, list[Reason]]:
    rank, build = known.holes.get(query.pk, (0, 0))
    is_own = query.disagreement is not None
    signals = Signals(
        disagreement=query.disagreement if query.disagreement is not None else known.near.get(query.stratum, 0.0),
        apart=known.apart.get(query.pk, 0),
        hole_rank=rank,
        judged=known.through.get(query.pk, 0),
        slots=slots,
        age_days=(timezone.now() - query.asked_at).days,
        asked=known.asked.get(query.pk, 1),
    )
    value, strongest = worth(signals)
    said: dict[str, Reason] = {
        "disagreement": because("disagreement" if is_own else "disagreement_near"),
        "people": because("people", n=signals.apart),
        "hole": because("hole", build=build, rank=rank),
        "started": because("started", done=signals.judged, all=slots),
        "traffic": because("traffic", n=signals.asked),
        "age": because("age", days=signals.age_days),
    }
    return round(value, 4), [said[strongest]] if strongest else []


def _noteworthy(project: Project) -> list[int]:
    """Open queries that were begun, asked again, left lying, or that are like what the machines disagree on."""
    some = (_begun(project), _repeated(project), _oldest(project), _disputed(project))
    return list(dict.fromkeys(pk for ids in some for pk in ids))


def _begun(project: Project) -> list[int]:
    """Open queries that somebody has submitted, the latest first."""
    submitted = Assignment.objects.submitted().filter(project=project, is_extra=False)
    rows = submitted.filter(query__state=Query.State.OPEN).order_by("-submitted_at")
    return list(dict.fromkeys(rows.values_list("query_id", flat=True)[:_AT_ONCE]))


def _repeated(project: Project) -> list[int]:
    """The first open query of each text that was asked again lately."""
    latest = project.queries.order_by("-pk").values_list("text_key", flat=True)[:_LATEST]
    first = Min("pk", filter=Q(state=Query.State.OPEN))
    rows = project.queries.filter(text_key__in=set(latest) - {""}).order_by().values("text_key")
    found = rows.annotate(first=first, count=Count("pk")).filter(count__gt=1, first__isnull=False)
    return list(found.values_list("first", flat=True)[:_AT_ONCE])


def _oldest(project: Project) -> list[int]:
    yesterday = timezone.now() - timedelta(days=1)
    rows = project.queries.filter(state=Query.State.OPEN, asked_at__lte=yesterday, is_evaluation=False)
    return list(rows.order_by("asked_at").values_list("pk", flat=True)[:_AT_ONCE])


def _disputed(project: Project) -> list[int]:
    """Open queries of the strata on which retriever and language model disagree most."""
    scored = project.queries.filter(disagreement__isnull=False).exclude(stratum="").order_by().values("stratum")
    strata = scored.annotate(mean=Avg("disagreement")).order_by("-mean").values_list("stratum", flat=True)[:_STRATA]
    rows = project.queries.filter(stratum__in=list(strata), state=Query.State.OPEN, is_evaluation=False)
    return list(rows.order_by("-pk").values_list("pk", flat=True)[:_AT_ONCE])


def _through(ids: Collection[int]) -> dict[int, int]:
    """How many people have submitted each query."""
    submitted = Assignment.objects.submitted().filter(query__in=ids, is_extra=False, is_re_annotation=False)
    return Counter(submitted.values_list("query_id", flat=True))


def _apart(ids: Collection[int]) -> dict[int, int]:
    """The widest gap between two submitted grades of one passage, of each query."""
    rows = Judgement.objects.submitted().filter(query__in=ids, assignment__is_extra=False, grade__isnull=False)
    gaps = rows.order_by().values("query", "passage").annotate(gap=Max("grade") - Min("grade"))
    found: dict[int, int] = {}
    for query_id, gap in gaps.values_list("query", "gap"):
        found[query_id] = max(gap, found.get(query_id, 0))
    return found


def _asked(project: Project, queries: Iterable[Query]) -> dict[int, int]:
    """How often the text of each query was asked: told of the first open one alone, while none of them is settled.

    One answer serves them all, so that one of them is worth the more, and the others no more than they were.
    """
    of_key = {query.pk: query.text_key for query in queries}
    rows = project.queries.filter(text_key__in=set(of_key.values()) - {""}).order_by().values("text_key")
    settled, first = Q(state=Query.State.SETTLED), Min("pk", filter=Q(state=Query.State.OPEN, is_evaluation=False))
    counted = rows.annotate(count=Count("pk"), settled=Count("pk", filter=settled), first=first)
    return {row["first"]: row["count"] for row in counted if row["first"] in of_key and not row["settled"]}


def _near(project: Project, queries: Iterable[Query]) -> dict[str, float]:
    """The mean disagreement of each stratum's scored queries."""
    strata = {query.stratum for query in queries if query.stratum and query.disagreement is None}
    scored = project.queries.filter(disagreement__isnull=False, stratum__in=strata).order_by()
    return dict(scored.values_list("stratum").annotate(Avg("disagreement")))


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
