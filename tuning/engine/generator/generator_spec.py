"""The settings of a generator's training: their defaults, and whether what was asked for can be meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuning.engine.process.training_process import CannotFit, check_positive, known

_POSITIVE = (
    *("rank", "alpha", "lr", "batch", "batch_tokens", "epochs", "most_steps", "looks", "dev_instances"),
    *("dpo_beta", "dpo_lr", "dpo_batch", "dpo_epochs", "dpo_most_steps"),
)


@dataclass(frozen=True)
class Settings:
    """What decides the weights, besides the data and the seed.

    epochs, most_steps: whichever ends first. batch: instances in a step; batch_tokens: how many tokens go
    through the model at once, the rest follows and their gradients add up.
    """

    rank: int = 8
    alpha: int = 16
    lr: float = 1e-3
    batch: int = 8
    batch_tokens: int = 2048
    epochs: int = 3
    most_steps: int = 40
    warmup: float = 0.1  # share of the steps
    clip: float = 1.0
    looks: int = 4  # at the dev instances, besides the one before the first step
    patience: int = 2  # looks without a better one that end it
    dev_instances: int = 32
    least_instances: int = 4
    most_answer_tokens: int = 384  # an instance with a longer answer is left out, never cut
    per_query: int = 2
    refusal_share: float | None = None
    distractor_share: float = 0.0  # above 0 costs a minute: the generator is asked what it knows without passages
    dtype: str = ""  # empty: whichever this machine multiplies faster
    dpo: bool = False  # after the answers, prefer the edits to the drafts
    dpo_beta: float = 0.1
    dpo_sft_weight: float = 1.0
    dpo_lr: float = 1e-4
    dpo_batch: int = 8
    dpo_epochs: int = 2
    dpo_most_steps: int = 20
    least_pairs: int = 8


def read_settings(values: Mapping[str, Any]) -> Settings:
    """The settings with these overrides. Raises CannotFit for a name or a kind of value that is unknown."""
    settings = Settings(**known(Settings, values))
    check_positive(settings, _POSITIVE)
    if not isinstance(settings.dpo, bool):
        raise CannotFit("dpo must be true or false")
    return settings
