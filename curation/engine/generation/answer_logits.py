"""Logits at the positions that predict an answer, and the log-probabilities of the answer's tokens there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def token_log_probs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the (n,) log-probability of each target token under its row of logits (n, vocabulary)."""
    return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)


@contextmanager
def logits_only_at(model: Any, positions: torch.Tensor) -> Iterator[None]:
    """Restrict the model's logits to some positions inside the block: (positions, vocabulary), row after row.

    positions: (rows, tokens) booleans. The head over the vocabulary then computes those only. What the model does to
    its logits (caps, scales) still happens.
    """
    head = model.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _module, states: (states[0][positions],))
    try:
        yield
    finally:
        handle.remove()
