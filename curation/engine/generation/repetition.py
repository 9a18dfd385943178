"""Repetition in generated answers: greedy decoding by a small generator can repeat one phrase for ever.

Such an answer ends where the first copy of the phrase ends: nobody waits for the rest, and nobody has to read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

MAX_PERIOD = 48  # tokens of the repeated phrase
# Copies in a row, and tokens of them all together: a table or a list may repeat a little.
MIN_COPIES = 3
MIN_REPEATED_TOKENS = 24


def count_repeated(ids: Sequence[int]) -> int:
    """Return how many tokens at the end repeat the ones before them: all copies but the first; 0 for no repetition.

    A repetition is an end of MIN_COPIES or more equal runs of at most MAX_PERIOD tokens, MIN_REPEATED_TOKENS tokens
    together. The shortest such run counts.
    """
    for period in range(1, min(MAX_PERIOD, len(ids) // MIN_COPIES) + 1):
        copies = 1
        while ids[-period * (copies + 1) : -period * copies] == ids[-period:]:
            copies += 1
        if copies >= MIN_COPIES and copies * period >= MIN_REPEATED_TOKENS:
            return period * (copies - 1)
    return 0


def trim_repetition(ids: Sequence[int]) -> Sequence[int]:
    """Return the ids without the copies of a repetition at their end."""
    return ids[: len(ids) - count_repeated(ids)]


class StopOnRepetition:
    """A stopping criterion of transformers: a row of a batch is done when it ends in a repetition.

    begin: the position in a row at which the answer begins.
    """

    def __init__(self, begin: int) -> None:
        self.begin = begin

    def __call__(self, input_ids: torch.Tensor, _scores: Any, **_others: Any) -> torch.Tensor:
        """Return (rows,) booleans."""
        import torch

        tail_start = max(self.begin, input_ids.shape[1] - MAX_PERIOD * MIN_COPIES)
        tails = input_ids[:, tail_start:].tolist()
        return torch.tensor([count_repeated(tail) > 0 for tail in tails], dtype=torch.bool, device=input_ids.device)
