"""What a reranker's training is asked to do, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrieval.engine.encoders.cross_encoder import DEFAULT_DEPTH
from tuning.engine.process.training_process import CannotFit, check_positive, known

_FILES = ("queries", "passages", "candidates", "vectors")
_NEEDED = (*_FILES, "base", "query_path")
_POSITIVE = (
    *("depth", "most_judged", "near", "max_tokens", "lr", "epochs", "batch"),
    *("looks", "patience", "least_queries", "dev_queries"),
)


@dataclass(frozen=True)
class RerankerSettings:
    """Everything that decides the weights, besides the data and the seed."""

    base: str = ""  # a cross-encoder's or an encoder's name or folder; empty: the specification's
    depth: int = DEFAULT_DEPTH  # how many passages of a ranking it will be given
    mined: int = 4  # unjudged passages of the ranking in a list, as its lowest group
    most_judged: int = 12  # judged passages of a list: its best and its worst
    near: float = 0.95  # an unjudged passage above this share of the positive's base score is in no list
    max_tokens: int = 128  # of query and passage together
    lr: float = 5e-5
    epochs: int = 2
    batch: int = 4  # lists in a step
    warmup: float = 0.1  # share of the steps
    looks: int = 3  # at the dev queries, besides the one before the first step
    patience: int = 2  # looks without a better one that end it
    least_queries: int = 8
    dev_queries: int = 100


@dataclass(frozen=True)
class RerankerSpec:
    """One training. Paths are absolute or relative to the working directory.

    queries:    dataset file; its `train` and `dev` rows are used, its `test` rows never.
    passages:   passage file. vectors: .npy matrix (n, dim) of its first n passages.
    candidates: JSONL rows {"query_id", "passages": [ids, best first], "scores": [their fused scores]}.
    base:       the weights to begin with, a cross-encoder's or an encoder's: name or folder.
    query_path: the encoder whose vectors those are, and what it wants before a query: how near an unjudged
                passage lies to a relevant one is told by it.
    threads:    0 for every core. budget_seconds: None for no limit; a run that meets it stops early
                and is then no longer the same on every machine.
    bookmark_seconds: how often it is written down where the training stands.
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
    bookmark_seconds: float = 30.0
    settings: RerankerSettings = field(default_factory=RerankerSettings)


def read_spec(given: Mapping[str, Any]) -> RerankerSpec:
    """The specification; keys it does not know are refused, so that no setting is lost in a typo. Raises CannotFit."""
    if missing := [name for name in _NEEDED if not given.get(name)]:
        raise CannotFit(f"the specification lacks {', '.join(missing)}.")
    settings = RerankerSettings(**known(RerankerSettings, given.get("settings") or {}))
    check_positive(settings, _POSITIVE)
    values = known(RerankerSpec, given) | {name: Path(given[name]) for name in _FILES} | {"settings": settings}
    return RerankerSpec(**values)
