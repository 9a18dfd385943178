"""Learning rate schedule of every trainer: linear warm-up, then linear or cosine decay."""

from __future__ import annotations

import math
from typing import Literal

Decay = Literal["linear", "cosine"]


def lr_factor(step: int, steps: int, warmup: float, decay: Decay) -> float:
    """Return the share of the peak learning rate at one step, in [0, 1].

    step:   counted from 0. warmup: share of the steps in which the rate rises linearly to its peak; one step at least.
    linear: the rate stays above 0 at the last step, so that no step is without effect.
    cosine: half a period of the cosine, 0 after the last step (Loshchilov & Hutter 2017, arXiv 1608.03983, eq. 5,
            without restarts).
    """
    warmup_steps = max(1, round(steps * warmup))
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if decay == "linear":
        return max((steps - step) / (steps - warmup_steps + 1), 1.0 / (steps + 1))
    return 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))
