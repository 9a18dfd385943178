"""What a search gives: passages in their order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """A passage that was found. rank starts at 1; score is the machine's, higher is better."""

    passage_id: int
    rank: int
    score: float
