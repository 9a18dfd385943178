"""Evaluation report: metrics of champion and challenger side by side, and the queries that changed.

An evaluation is a row of `tuning`. It is reached through its release, because curation does not import tuning.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from common.renamed_keys import with_current_keys
from curation.core.labels import GUARDRAIL_PREFIX
from curation.engine.statistics.sign_test import SignTestResult, sign_test
from curation.models import Query, Release

METRIC_ORDER = ["ndcg", "recall", "mrr", "f1", "em", "rougeL", "refusal-precision", "refusal-recall", "judged"]
HEADLINE_METRICS = ["ndcg@10", "f1", "em"]
MIN_SPAN = 0.05

MetricGroup = tuple[str, list[tuple[str, dict[str, Any]]]]  # title, (metric name, figures)


@dataclass(frozen=True)
class QueryChange:
    """One query with its metric under the champion and under the challenger."""

    query: Query
    before: float
    after: float

    @property
    def difference(self) -> float:
        return self.after - self.before

    @property
    def can_requeue(self) -> bool:
        """Whether people may judge it again: not in the evaluation sample, and not with a reviewer already."""
        return not self.query.is_evaluation and self.query.state in (Query.State.SETTLED, Query.State.OPEN)


@dataclass(frozen=True)
class MetricChanges:
    """The queries that changed by one metric, the largest change first; the counts include unlisted queries."""

    measure: str
    worse: list[QueryChange]
    better: list[QueryChange]
    worse_count: int
    better_count: int
    same_count: int


def latest_evaluation(release: Release) -> Any:
    """Return the latest finished evaluation with the release as challenger, or None."""
    finished = [row for row in release.evaluations.all() if row.measures]
    return max(finished, key=lambda row: row.pk, default=None)


def group_metrics(evaluation: Any) -> list[MetricGroup]:
    """Return the metrics in groups: the whole test split, its subsets, the guardrail sets; no empty group."""
    if evaluation is None:
        return []

    def sort_key(item: tuple[str, Any]) -> tuple[int, str]:
        stem = item[0].partition(" ")[0].partition("@")[0]
        return (METRIC_ORDER.index(stem) if stem in METRIC_ORDER else len(METRIC_ORDER), item[0])

    groups: dict[str, list[tuple[str, dict[str, Any]]]] = {
        _group_title(name): [] for name in ("", " subset", GUARDRAIL_PREFIX)
    }
    for name, figures in sorted(evaluation.measures.items(), key=sort_key):
        groups[_group_title(name)].append((name, with_current_keys("figure", figures)))
    return [(title, rows) for title, rows in groups.items() if rows]


def seen_unseen_gain(evaluation: Any) -> tuple[float, float] | None:
    """Return the nDCG@10 gain on queries with a trained relevant passage, and on queries without one.

    None unless both were measured.
    """
    measures = evaluation.measures if evaluation is not None else {}
    seen, unseen = (measures.get(f"ndcg@10 {subset}", {}).get("difference") for subset in ("seen", "unseen"))
    return None if seen is None or unseen is None else (seen, unseen)


@dataclass(frozen=True)
class VoteSummary:
    """Blind votes on the pairs of one evaluation. sign: sign test of queries won and lost; None where all are ties."""

    votes: int
    people: int
    ties: int
    neither: int
    sign: SignTestResult | None


def count_votes(evaluation: Any) -> VoteSummary | None:
    """Return the votes on the evaluation's pairs; None while there are none.

    The sign test counts queries, not votes, because the votes of two people on one query are not independent.
    """
    rows = [] if evaluation is None else list(_votes_of(evaluation))
    if not rows:
        return None
    net: Counter[int] = Counter()
    for query, _voter, choice in rows:
        net[query] += {"challenger": 1, "champion": -1}.get(choice, 0)
    sign = sign_test(sum(n > 0 for n in net.values()), sum(n < 0 for n in net.values()))
    choices = Counter(choice for _query, _voter, choice in rows)
    people = len({voter for _query, voter, _choice in rows})
    return VoteSummary(len(rows), people, choices["tie"], choices["neither"], sign)


def axis_span(evaluation: Any) -> float:
    """Return half the width of an axis that holds every interval of the evaluation; MIN_SPAN at least."""
    if evaluation is None:
        return MIN_SPAN
    edges: list[float | None] = [
        figures.get(key)
        for name, figures in evaluation.measures.items()
        for key in ("low", "high")
        if not name.endswith(" logprob")  # nats, not fractions of 1: they would flatten every other interval
    ]
    return max([MIN_SPAN, *(abs(edge) for edge in edges if edge is not None)])


def headline_metric(release: Release) -> tuple[str, dict[str, Any], Any] | None:
    """Return the one metric for the list of releases: (name, figures, evaluation). One that changed goes first."""
    evaluation = latest_evaluation(release)
    if evaluation is None:
        return None
    measured = [name for name in HEADLINE_METRICS if name in evaluation.measures]
    if not measured:
        return None
    changed = [name for name in measured if evaluation.measures[name].get("difference")]
    name = (changed or measured)[0]
    return name, evaluation.measures[name], evaluation


def changed_queries(evaluation: Any, limit: int) -> list[MetricChanges]:
    """Return, for each headline metric that changed, up to `limit` queries that got worse and that got better."""
    if evaluation is None:
        return []
    changes = []
    for name in HEADLINE_METRICS:
        pairs = {key: values[name] for key, values in evaluation.per_query.items() if name in values}
        if any(before != after for before, after in pairs.values()):
            changes.append(_metric_changes(name, pairs, limit))
    return changes


def worse_queries(evaluation: Any) -> list[int]:
    """Return the pk of every query that got worse by a headline metric, in no particular order."""
    if evaluation is None:
        return []
    return [
        int(key)
        for key, values in evaluation.per_query.items()
        if any(values[name][1] < values[name][0] for name in HEADLINE_METRICS if name in values)
    ]


def _votes_of(evaluation: Any) -> Iterable[tuple[int, int, str]]:
    rows: Iterable[tuple[int, int, str]] = evaluation.pairs.filter(votes__isnull=False).values_list(
        "query_id", "votes__voter_id", "votes__choice"
    )
    return rows


def _group_title(name: str) -> str:
    if name.startswith(GUARDRAIL_PREFIX):
        return _("Guardrail sets (held-out)")
    return _("Subsets of the test split") if " " in name else _("Whole test split")


def _metric_changes(name: str, pairs: dict[str, list[float]], limit: int) -> MetricChanges:
    gains = sorted(((after - before, key) for key, (before, after) in pairs.items()), key=lambda gain: gain[0])
    worse = [key for gain, key in gains if gain < 0]
    better = [key for gain, key in reversed(gains) if gain > 0]
    queries = Query.objects.in_bulk([int(key) for key in worse[:limit] + better[:limit]])

    def rows(keys: list[str]) -> list[QueryChange]:
        return [QueryChange(queries[int(key)], *pairs[key]) for key in keys[:limit] if int(key) in queries]

    same = len(pairs) - len(worse) - len(better)
    return MetricChanges(name, rows(worse), rows(better), len(worse), len(better), same)
