"""Differences between two datasets: queries that were added, removed or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuning.datasets import collect
from tuning.engine.data.examples import JudgedQuery
from tuning.models import Dataset, DatasetQuery

ASPECTS = ("text", "grades", "answer", "is_unanswerable", "split")


@dataclass(frozen=True)
class ChangedQuery:
    """One query of both datasets: its old row, its new row, and the ASPECTS that differ."""

    before: JudgedQuery
    after: JudgedQuery
    aspects: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """Difference of two datasets. added, removed, changed: rows, by query id; same: number of unchanged queries."""

    old: Dataset
    new: Dataset
    added: list[JudgedQuery]
    removed: list[JudgedQuery]
    changed: list[ChangedQuery]
    same: int
    judgements_added: int
    judgements_removed: int

    def as_json(self) -> dict[str, Any]:
        """Return ids and counts, without texts, for programs."""
        return {
            "old": {"number": self.old.number, "sha256": self.old.sha256},
            "new": {"number": self.new.number, "sha256": self.new.sha256},
            "added": [row.query_id for row in self.added],
            "removed": [row.query_id for row in self.removed],
            "changed": [{"query": query.after.query_id, "what": list(query.aspects)} for query in self.changed],
            "same": self.same,
            "judgements": {"added": self.judgements_added, "removed": self.judgements_removed},
        }


def compare_datasets(old: Dataset, new: Dataset) -> Difference:
    """Compare two datasets query by query. Raises Damaged when the files of either have changed."""
    before = {row.query_id: row for row in collect.read_rows(old)}
    after = {row.query_id: row for row in collect.read_rows(new)}
    in_both = sorted(before.keys() & after.keys(), key=int)
    queries = [ChangedQuery(before[key], after[key], _changed_aspects(before[key], after[key])) for key in in_both]
    changed = [query for query in queries if query.aspects]
    return Difference(
        old=old,
        new=new,
        added=[after[key] for key in sorted(after.keys() - before.keys(), key=int)],
        removed=[before[key] for key in sorted(before.keys() - after.keys(), key=int)],
        changed=changed,
        same=len(queries) - len(changed),
        judgements_added=_count_judgements_only_in(new, old),
        judgements_removed=_count_judgements_only_in(old, new),
    )


def _changed_aspects(before: JudgedQuery, after: JudgedQuery) -> tuple[str, ...]:
    return tuple(name for name in ASPECTS if getattr(before, name) != getattr(after, name))


def _count_judgements_only_in(dataset: Dataset, other: Dataset) -> int:
    links = DatasetQuery.judgements.through.objects
    of_other = links.filter(datasetquery__dataset=other).values("judgement")
    only_here = links.filter(datasetquery__dataset=dataset).exclude(judgement__in=of_other)
    return only_here.values("judgement").distinct().count()
