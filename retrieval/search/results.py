"""The result of a search: ranked passages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """One passage of a ranking. rank starts at 1; score is the machine's, higher is better."""

    passage_id: int
    rank: int
    score: float
