"""What an evaluation found, ready to be read: measures side by side, and the queries that changed.

An evaluation is a row of `tuning`; it is reached from its release, so that no import runs backwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from curation.core.labels import GUARD
from curation.engine.statistics.sign_test import Sign, sign_test
from curation.models import Query, Release

ORDER = ["ndcg", "recall", "mrr", "f1", "em", "rougeL", "refusal-precision", "refusal-recall", "judged"]
HEADLINES = ["ndcg@10", "f1", "em"]
SMALLEST_SPAN = 0.05

Group = tuple[str, list[tuple[str, dict[str, Any]]]]  # title, (measure, figures)


@dataclass(frozen=True)
class Change:
    """One query whose measure differs between champion and challenger."""

    query: Query
    before: float
    after: float

    @property
    def difference(self) -> float:
        return self.after - self.before

    @property
    def can_be_work(self) -> bool:
        """Whether it can be turned into work: the evaluation sample never, and not what a reviewer has already."""
        return not self.query.is_evaluation and self.query.state in (Query.State.SETTLED, Query.State.OPEN)


@dataclass(frozen=True)
class Changes:
    """The queries of one measure that changed, most first."""

    measure: str
    worse: list[Change]
    better: list[Change]
    worse_count: int
    better_count: int
    same_count: int


def last_evaluation(release: Release) -> Any:
    """The release's newest finished evaluation as a challenger, or None."""
    finished = [row for row in release.evaluations.all() if row.measures]
    return max(finished, key=lambda row: row.pk, default=None)


def measures(evaluation: Any) -> list[Group]:
    """What was measured, in reading order: over the whole split, over parts of it, over guardrail sets."""
    if evaluation is None:
        return []

    def place(item: tuple[str, Any]) -> tuple[int, str]:
        stem = item[0].partition(" ")[0].partition("@")[0]
        return (ORDER.index(stem) if stem in ORDER else len(ORDER), item[0])

    groups: dict[str, list[tuple[str, dict[str, Any]]]] = {_group(name): [] for name in ("", " part", GUARD)}
    for name, figures in sorted(evaluation.measures.items(), key=place):
        groups[_group(name)].append((name, figures))
    return [(title, rows) for title, rows in groups.items() if rows]


def memory(evaluation: Any) -> tuple[float, float] | None:
    """The gain where a relevant passage was trained on, and where none was; None unless both were measured."""
    found = evaluation.measures if evaluation is not None else {}
    pair = [found.get(f"ndcg@10 {part}", {}).get("difference") for part in ("seen", "unseen")]
    return None if None in pair else (pair[0], pair[1])


@dataclass(frozen=True)
class Votes:
    """What people preferred when they did not know whose it was: votes, and queries won, by whoever has more."""

    votes: int
    people: int
    ties: int
    neither: int
    sign: Sign | None


def votes(evaluation: Any) -> Votes | None:
    """The votes on the evaluation's pairs; None while there are none.

    The sign test counts queries, not votes: two people's votes on one query are not independent.
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
    return Votes(len(rows), people, choices["tie"], choices["neither"], sign)


def span(evaluation: Any) -> float:
    """Half the width of an axis on which every interval of the evaluation has room."""
    if evaluation is None:
        return SMALLEST_SPAN
    edges: list[float | None] = [
        figures.get(key)
        for name, figures in evaluation.measures.items()
        for key in ("low", "high")
        if not name.endswith(" logprob")  # nats, not shares of 1: they would squeeze every other interval
    ]
    return max([SMALLEST_SPAN, *(abs(edge) for edge in edges if edge is not None)])


def headline(release: Release) -> tuple[str, dict[str, Any], Any] | None:
    """The one measure to show in a list: (name, figures, evaluation)."""
    evaluation = last_evaluation(release)
    if evaluation is None:
        return None
    known = [name for name in HEADLINES if name in evaluation.measures]
    if not known:
        return None
    moved = [name for name in known if evaluation.measures[name].get("difference")]
    name = (moved or known)[0]
    return name, evaluation.measures[name], evaluation


def changed_queries(evaluation: Any, most: int) -> list[Changes]:
    """For each headline measure that moved at all: the queries that got worse and better, biggest change first."""
    if evaluation is None:
        return []
    found = []
    for name in HEADLINES:
        pairs = {key: values[name] for key, values in evaluation.per_query.items() if name in values}
        if any(before != after for before, after in pairs.values()):
            found.append(_changes(name, pairs, most))
    return found


def worse_queries(evaluation: Any) -> list[int]:
    """Every query that got worse by a headline measure, in no particular order."""
    if evaluation is None:
        return []
    return [
        int(key)
        for key, values in evaluation.per_query.items()
        if any(values[name][1] < values[name][0] for name in HEADLINES if name in values)
    ]


def _votes_of(evaluation: Any) -> Iterable[tuple[int, int, str]]:
    found: Iterable[tuple[int, int, str]] = evaluation.pairs.filter(votes__isnull=False).values_list(
        "query_id", "votes__voter_id", "votes__choice"
    )
    return found


def _group(name: str) -> str:
    if name.startswith(GUARD):
        return _("Guardrail sets: what no one tuned for")
    return _("Parts of the test split") if " " in name else _("The whole test split")


def _changes(name: str, pairs: dict[str, list[float]], most: int) -> Changes:
    gains = sorted(((after - before, key) for key, (before, after) in pairs.items()), key=lambda gain: gain[0])
    worse = [key for gain, key in gains if gain < 0]
    better = [key for gain, key in reversed(gains) if gain > 0]
    queries = Query.objects.in_bulk([int(key) for key in worse[:most] + better[:most]])

    def rows(keys: list[str]) -> list[Change]:
        return [Change(queries[int(key)], *pairs[key]) for key in keys[:most] if int(key) in queries]

    same = len(pairs) - len(worse) - len(better)
    return Changes(name, rows(worse), rows(better), len(worse), len(better), same)
