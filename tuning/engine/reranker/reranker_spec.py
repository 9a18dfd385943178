"""Hyperparameters and files of a reranker training, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.renamed_keys import with_current_keys
from retrieval.engine.encoders.cross_encoder import DEFAULT_DEPTH
from tuning.engine.process.training_process import TrainingError, check_fields, check_positive

_FILES = ("queries", "passages", "candidates", "vectors")
_REQUIRED = (*_FILES, "base", "query_path")
_POSITIVE = (
    *("depth", "max_judged", "false_negative_ratio", "max_tokens", "lr", "epochs", "batch_size"),
    *("evaluations", "patience", "min_queries", "max_dev_queries"),
)


@dataclass(frozen=True)
class RerankerSettings:
    """The hyperparameters: everything that decides the weights, besides the data and the seed."""

    base: str = ""  # a cross-encoder's or an encoder's name or folder; empty: the specification's
    depth: int = DEFAULT_DEPTH  # how many passages of a ranking it reranks
    max_mined: int = 4  # unjudged passages of the ranking in a list, as its lowest group
    max_judged: int = 12  # judged passages of a list: its best and its worst
    false_negative_ratio: float = 0.95  # an unjudged passage above this share of the positive's score is in no list
    max_tokens: int = 128  # of query and passage together
    lr: float = 5e-5
    epochs: int = 2
    batch_size: int = 4  # lists in a step
    warmup: float = 0.1  # share of the steps
    evaluations: int = 3  # of the dev queries, besides the one before the first step
    patience: int = 2  # evaluations without a lower dev loss after which training stops early
    min_queries: int = 8
    max_dev_queries: int = 100


@dataclass(frozen=True)
class RerankerSpec:
    """One training. Paths are absolute or relative to the working directory.

    queries:    dataset file; its `train` and `dev` rows are used, its `test` rows never.
    passages:   passage file. vectors: .npy matrix (n, dim) of its first n passages.
    candidates: JSONL rows {"query_id", "passages": [ids, best first], "scores": [their fused scores]}.
    base:       the weights to begin with, a cross-encoder's or an encoder's: name or folder.
    query_path, query_prefix: the encoder of those vectors, and the prefix of its queries: they decide how close an
                unjudged passage lies to a relevant one.
    threads:    0 for every core. budget_seconds: None for no limit; a run that meets it stops early
                and is then no longer the same on every machine.
    state_seconds: between two saves of the training state, from which a killed training resumes.
    """

    queries: Path
    passages: Path
    candidates: Path
    vectors: Path
    base: str
    query_path: str
    query_prefix: str = ""
    seed: int = 0
    threads: int = 0
    budget_seconds: float | None = None
    state_seconds: float = 30.0
    settings: RerankerSettings = field(default_factory=RerankerSettings)


def read_spec(content: Mapping[str, Any]) -> RerankerSpec:
    """Return the specification. Raises TrainingError; an unknown key is an error, so that no typo loses a setting.

    Keys of earlier versions are read too.
    """
    values = with_current_keys("reranker specification", content)
    if missing := [name for name in _REQUIRED if not values.get(name)]:
        raise TrainingError(f"the specification lacks {', '.join(missing)}.")
    overrides = with_current_keys("reranker settings", values.get("settings") or {})
    settings = RerankerSettings(**check_fields(RerankerSettings, overrides))
    check_positive(settings, _POSITIVE)
    paths = {name: Path(values[name]) for name in _FILES}
    return RerankerSpec(**check_fields(RerankerSpec, values) | paths | {"settings": settings})
