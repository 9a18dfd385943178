"""Hyperparameters of a generator training: their defaults, and checks of the values that override them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.renamed_keys import with_current_keys
from tuning.engine.process.training_process import TrainingError, check_fields, check_positive

_POSITIVE = (
    *("lora_rank", "lora_alpha", "lr", "batch_size", "micro_batch_tokens", "epochs", "max_steps", "evaluations"),
    *("max_dev_instances", "dpo_beta", "dpo_lr", "dpo_batch_size", "dpo_epochs", "dpo_max_steps"),
)


@dataclass(frozen=True)
class GeneratorSettings:
    """The hyperparameters: what decides the weights, besides the data and the seed.

    epochs, max_steps: whichever ends first. batch_size: instances in a step; micro_batch_tokens: tokens that go through
    the model at once; the gradients of the micro-batches of a step add up.
    """

    lora_rank: int = 8
    lora_alpha: int = 16
    lr: float = 1e-3
    batch_size: int = 8
    micro_batch_tokens: int = 2048
    epochs: int = 3
    max_steps: int = 40
    warmup: float = 0.1  # share of the steps
    max_grad_norm: float = 1.0
    evaluations: int = 4  # of the dev instances, besides the one before the first step
    patience: int = 2  # evaluations without a lower dev loss after which training stops early
    max_dev_instances: int = 32
    min_instances: int = 4
    max_answer_tokens: int = 384  # an instance with a longer answer is left out, never cut
    instances_per_query: int = 2
    refusal_share: float | None = None
    distractor_share: float = 0.0  # above 0 costs a minute: the generator answers the questions without passages first
    dtype: str = ""  # empty: whichever this machine multiplies faster
    dpo: bool = False  # after SFT, DPO on drafts and edits
    dpo_beta: float = 0.1
    dpo_sft_weight: float = 1.0
    dpo_lr: float = 1e-4
    dpo_batch_size: int = 8
    dpo_epochs: int = 2
    dpo_max_steps: int = 20
    dpo_min_pairs: int = 8


def read_settings(content: Mapping[str, Any]) -> GeneratorSettings:
    """Return the settings with these overrides, under keys of today or of earlier versions.

    Raises TrainingError for an unknown key or a value of the wrong kind.
    """
    values = with_current_keys("generator settings", content)
    settings = GeneratorSettings(**check_fields(GeneratorSettings, values))
    check_positive(settings, _POSITIVE)
    if not isinstance(settings.dpo, bool):
        raise TrainingError("dpo must be true or false")
    return settings
