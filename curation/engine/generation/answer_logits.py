"""Logits at the places that predict an answer alone, and what the answer's tokens get there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def token_log_probs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(n,) log-probability of each target under its row of logits (n, vocabulary)."""
    return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)


@contextmanager
def states_at(model: Any, wanted: torch.Tensor) -> Iterator[None]:
    """Inside, the model's logits are those of the wanted places alone, (wanted, vocabulary), in reading order.

    wanted: (rows, tokens) booleans. What the model does to its logits (caps, scales) still happens.
    """
    head = model.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _module, states: (states[0][wanted],))
    try:
        yield
    finally:
        handle.remove()
