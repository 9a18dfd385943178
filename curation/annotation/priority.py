"""Priority: which open queries come first, and why.

The signals are stored numbers; nothing is computed while somebody claims. Each priority is saved with the reason that
people read. Queries of the evaluation sample keep priority 0, so that the sample stays random.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Avg, Count, Max, Min, Q
from django.utils import timezone

from curation.core.labels import Reason, make_reason
from curation.engine.statistics.sampling import Signals, first_unjudged_rank, priority_score
from curation.models import Assignment, Judgement, Project, Query, Ranking, ShownPassage

MAX_PRIORITY = 1.0  # of a query that people put forward, or whose passage the dataset lacks
_MAX_QUERIES = 200
_MAX_ARRIVALS = 500  # the newest queries, whose texts are searched for repetitions
_MAX_STRATA = 20


@dataclass(frozen=True)
class _SignalData:
    """The data of the signals: query id → number. A query without an entry has none."""

    submitted: dict[int, int]
    max_gaps: dict[int, int]
    unjudged: dict[int, tuple[int, int]]  # (rank, number of the build)
    times_asked: dict[int, int]
    stratum_disagreement: dict[str, float]  # stratum → mean disagreement of retriever and language model


@transaction.atomic
def update_priorities(project: Project, queries: Collection[int] | None = None) -> int:
    """Compute the priority of these queries, by default of those with a signal; return how many there are.

    A promotion or an evaluation names the queries whose new ranking has unjudged passages. The number of reads is
    fixed; each query whose priority has changed takes one write.
    """
    ids = list(queries)[:_MAX_QUERIES] if queries is not None else _with_signal(project)
    rows = list(project.queries.filter(pk__in=ids, state=Query.State.OPEN, is_evaluation=False, gold__isnull=True))
    data = _SignalData(
        _submitted_counts(ids),
        _max_gaps(ids),
        _unjudged_ranks(ids),
        _times_asked(project, rows),
        _stratum_disagreement(project, rows),
    )
    _save_changed({query.pk: _priority(query, query.overlap or project.overlap, data) for query in rows})
    return len(rows)


def _save_changed(priorities: dict[int, tuple[float, list[Reason]]]) -> None:
    """Save priority and reasons where they differ from the stored ones."""
    open_rows = Assignment.objects.open().filter(query__in=priorities)
    stored = {pk: (value, reasons) for pk, value, reasons in open_rows.values_list("query_id", "priority", "reasons")}
    for pk, (value, reasons) in priorities.items():
        if pk in stored and stored[pk] != (value, reasons) and not _is_requeued(stored[pk][1]):
            Assignment.objects.open().filter(query=pk).update(priority=value, reasons=reasons, reason_text="")


def _is_requeued(reasons: list[Reason]) -> bool:
    """Whether a person put the query forward as a regression: no signal moves it back."""
    return any(reason["code"] == "worse" for reason in reasons)


def _priority(query: Query, slots: int, data: _SignalData) -> tuple[float, list[Reason]]:
    _rank, build = data.unjudged.get(query.pk, (0, 0))
    signals = _signals(query, slots, data)
    value, strongest = priority_score(signals)
    reasons: dict[str, Reason] = {
        "disagreement": make_reason("disagreement_near" if query.disagreement is None else "disagreement"),
        "people": make_reason("people", n=signals.max_gap),
        "hole": make_reason("hole", build=build, rank=signals.unjudged_rank),
        "started": make_reason("started", done=signals.submitted, all=slots),
        "traffic": make_reason("traffic", n=signals.times_asked),
        "age": make_reason("age", days=signals.age_days),
    }
    return round(value, 4), [reasons[strongest]] if strongest else []


def _signals(query: Query, slots: int, data: _SignalData) -> Signals:
    rank, _build = data.unjudged.get(query.pk, (0, 0))
    of_stratum = data.stratum_disagreement.get(query.stratum, 0.0)
    return Signals(
        disagreement=of_stratum if query.disagreement is None else query.disagreement,
        max_gap=data.max_gaps.get(query.pk, 0),
        unjudged_rank=rank,
        submitted=data.submitted.get(query.pk, 0),
        slots=slots,
        age_days=(timezone.now() - query.asked_at).days,
        times_asked=data.times_asked.get(query.pk, 1),
    )


def _with_signal(project: Project) -> list[int]:
    """Return open queries that are begun, repeated, old, or of a stratum with much disagreement; each once."""
    groups = (_begun(project), _repeated(project), _oldest(project), _disputed(project))
    return list(dict.fromkeys(pk for ids in groups for pk in ids))


def _begun(project: Project) -> list[int]:
    """Return open queries that somebody has submitted, latest first."""
    submitted = Assignment.objects.submitted().filter(project=project, is_extra=False)
    rows = submitted.filter(query__state=Query.State.OPEN).order_by("-submitted_at")
    return list(dict.fromkeys(rows.values_list("query_id", flat=True)[:_MAX_QUERIES]))


def _repeated(project: Project) -> list[int]:
    """Return the first open query of each text that was asked again lately."""
    latest = project.queries.order_by("-pk").values_list("text_key", flat=True)[:_MAX_ARRIVALS]
    first = Min("pk", filter=Q(state=Query.State.OPEN))
    rows = project.queries.filter(text_key__in=set(latest) - {""}).order_by().values("text_key")
    repeated = rows.annotate(first=first, count=Count("pk")).filter(count__gt=1, first__isnull=False)
    return list(repeated.values_list("first", flat=True)[:_MAX_QUERIES])


def _oldest(project: Project) -> list[int]:
    yesterday = timezone.now() - timedelta(days=1)
    rows = project.queries.filter(state=Query.State.OPEN, asked_at__lte=yesterday, is_evaluation=False)
    return list(rows.order_by("asked_at").values_list("pk", flat=True)[:_MAX_QUERIES])


def _disputed(project: Project) -> list[int]:
    """Return open queries of the strata on which retriever and language model disagree most."""
    scored = project.queries.filter(disagreement__isnull=False).exclude(stratum="").order_by().values("stratum")
    strata = scored.annotate(mean=Avg("disagreement")).order_by("-mean").values_list("stratum", flat=True)[:_MAX_STRATA]
    rows = project.queries.filter(stratum__in=list(strata), state=Query.State.OPEN, is_evaluation=False)
    return list(rows.order_by("-pk").values_list("pk", flat=True)[:_MAX_QUERIES])


def _submitted_counts(ids: Collection[int]) -> dict[int, int]:
    """Return query id → how many people have submitted it."""
    submitted = Assignment.objects.submitted().filter(query__in=ids, is_extra=False, is_re_annotation=False)
    return Counter(submitted.values_list("query_id", flat=True))


def _max_gaps(ids: Collection[int]) -> dict[int, int]:
    """Return query id → the widest gap between two submitted grades of one passage."""
    rows = Judgement.objects.submitted().filter(query__in=ids, assignment__is_extra=False, grade__isnull=False)
    gaps = rows.order_by().values("query", "passage").annotate(gap=Max("grade") - Min("grade"))
    max_gaps: dict[int, int] = {}
    for query_id, gap in gaps.values_list("query", "gap"):
        max_gaps[query_id] = max(gap, max_gaps.get(query_id, 0))
    return max_gaps


def _times_asked(project: Project, queries: Iterable[Query]) -> dict[int, int]:
    """Return query id → how often its text was asked, for the first open query of a text that is not settled yet.

    One answer serves all queries of the text, so that one of them gets the priority and the others none.
    """
    of_key = {query.pk: query.text_key for query in queries}
    rows = project.queries.filter(text_key__in=set(of_key.values()) - {""}).order_by().values("text_key")
    settled, first = Q(state=Query.State.SETTLED), Min("pk", filter=Q(state=Query.State.OPEN, is_evaluation=False))
    counted = rows.annotate(count=Count("pk"), settled=Count("pk", filter=settled), first=first)
    return {row["first"]: row["count"] for row in counted if row["first"] in of_key and not row["settled"]}


def _stratum_disagreement(project: Project, queries: Iterable[Query]) -> dict[str, float]:
    """Return stratum → mean disagreement of its scored queries, for queries without a disagreement of their own."""
    strata = {query.stratum for query in queries if query.stratum and query.disagreement is None}
    scored = project.queries.filter(disagreement__isnull=False, stratum__in=strata).order_by()
    return dict(scored.values_list("stratum").annotate(Avg("disagreement")))


def _judged_passages(ids: Collection[int]) -> dict[int, set[int]]:
    """Return query id → the passages that somebody has judged."""
    judged: dict[int, set[int]] = defaultdict(set)
    judgements = Judgement.objects.not_withdrawn().filter(query__in=ids)
    for query_id, passage_id in judgements.values_list("query_id", "passage_id"):
        judged[query_id].add(passage_id)
    return judged


def _unjudged_ranks(ids: Collection[int]) -> dict[int, tuple[int, int]]:
    """Return query id → (rank of the first unjudged passage of its newest ranking, number of the build).

    Only where a later build ranks the query again: in a first ranking every passage is unjudged.
    """
    judged = _judged_passages(ids)
    rankings: dict[int, list[Ranking]] = defaultdict(list)
    for ranking in Ranking.objects.filter(query__in=ids, build__isnull=False).select_related("build").order_by("pk"):
        rankings[ranking.query_id].append(ranking)
    newest = {rows[-1].pk: rows[-1] for rows in rankings.values() if len(rows) > 1}
    passages: dict[int, list[int]] = defaultdict(list)
    shown = ShownPassage.objects.filter(ranking__in=newest).order_by("rank")
    for ranking_id, passage_id in shown.values_list("ranking_id", "passage_id"):
        passages[ranking_id].append(passage_id)
    ranks = {pk: first_unjudged_rank(passages[pk], judged[ranking.query_id]) for pk, ranking in newest.items()}
    return {
        ranking.query_id: (ranks[pk], ranking.build.number)
        for pk, ranking in newest.items()
        if ranks[pk] and ranking.build
    }
