"""What is new in a dataset since another one: queries that came, went, or are no longer what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tuning.datasets import collect
from tuning.engine.data.examples import JudgedQuery
from tuning.models import Dataset, DatasetQuery

ASPECTS = ("text", "grades", "answer", "is_unanswerable", "split")


@dataclass(frozen=True)
class Changed:
    """One query that both have: as it was, as it is, and in what they differ (of ASPECTS)."""

    before: JudgedQuery
    after: JudgedQuery
    what: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """new and gone hold the rows themselves, by query id; judgements: how many are only in the new, only in the old."""

    old: Dataset
    new: Dataset
    added: list[JudgedQuery]
    removed: list[JudgedQuery]
    changed: list[Changed]
    same: int
    judgements_added: int
    judgements_removed: int

    def as_json(self) -> dict[str, Any]:
        """For programs: ids and counts, no texts."""
        return {
            "old": {"number": self.old.number, "sha256": self.old.sha256},
            "new": {"number": self.new.number, "sha256": self.new.sha256},
            "added": [row.query_id for row in self.added],
            "removed": [row.query_id for row in self.removed],
            "changed": [{"query": one.after.query_id, "what": list(one.what)} for one in self.changed],
            "same": self.same,
            "judgements": {"added": self.judgements_added, "removed": self.judgements_removed},
        }


def differ(old: Dataset, new: Dataset) -> Difference:
    """What became of `old` in `new`. Raises Damaged when the files of either are not what was frozen."""
    before = {row.query_id: row for row in collect.rows(old)}
    after = {row.query_id: row for row in collect.rows(new)}
    both = sorted(before.keys() & after.keys(), key=int)
    pairs = [Changed(before[name], after[name], _what(before[name], after[name])) for name in both]
    changed = [pair for pair in pairs if pair.what]
    return Difference(
        old=old,
        new=new,
        added=[after[name] for name in sorted(after.keys() - before.keys(), key=int)],
        removed=[before[name] for name in sorted(before.keys() - after.keys(), key=int)],
        changed=changed,
        same=len(pairs) - len(changed),
        judgements_added=_only_in(new, old),
        judgements_removed=_only_in(old, new),
    )


def _what(before: JudgedQuery, after: JudgedQuery) -> tuple[str, ...]:
    return tuple(name for name in ASPECTS if getattr(before, name) != getattr(after, name))


def _only_in(one: Dataset, other: Dataset) -> int:
    links = DatasetQuery.judgements.through.objects
    theirs = links.filter(datasetquery__dataset=other).values("judgement")
    return links.filter(datasetquery__dataset=one).exclude(judgement__in=theirs).values("judgement").distinct().count()
