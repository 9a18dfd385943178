"""Answers that go round in circles: greedy writing by a small generator falls into saying one thing for ever.

Such an answer ends where its circle closes: nobody waits for the rest, and nobody has to read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LONGEST = 48  # tokens of a circle
COPIES = 3  # as often as this in a row, and no shorter than LEAST in all: a table or a list may repeat a little
LEAST = 24


def repeated(ids: Sequence[int]) -> int:
    """How many tokens at the end only repeat the ones before them: all copies but the first; 0 for no circle.

    A circle is what ends in COPIES or more equal runs of at most LONGEST tokens, LEAST tokens together. The shortest
    such run counts.
    """
    for length in range(1, min(LONGEST, len(ids) // COPIES) + 1):
        copies = 1
        while ids[-length * (copies + 1) : -length * copies] == ids[-length:]:
            copies += 1
        if copies >= COPIES and copies * length >= LEAST:
            return length * (copies - 1)
    return 0


def without(ids: Sequence[int]) -> Sequence[int]:
    """The ids up to where the circle closes."""
    return ids[: len(ids) - repeated(ids)]


class Stop:
    """A stopping criterion of transformers: a row of a batch is done when it goes round in a circle.

    begin: where in a row the answer begins.
    """

    def __init__(self, begin: int) -> None:
        self.begin = begin

    def __call__(self, input_ids: torch.Tensor, _scores: Any, **_others: Any) -> torch.Tensor:
        """(rows,) booleans."""
        import torch

        last = input_ids[:, max(self.begin, input_ids.shape[1] - LONGEST * COPIES) :].tolist()
        return torch.tensor([repeated(row) > 0 for row in last], dtype=torch.bool, device=input_ids.device)
