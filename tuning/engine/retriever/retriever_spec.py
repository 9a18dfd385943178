"""Hyperparameters and files of a retriever training, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.renamed_keys import with_current_keys
from curation.engine.statistics import relevance
from tuning.engine.process.training_process import TrainingError, check_fields, check_positive

# Training strategies and passage spans; the values stand in stored settings and results.
DUAL_ENCODER, QUERY_ENCODER, QUERY_ADAPTER = "both", "query", "adapter"
STRATEGIES = (QUERY_ADAPTER, QUERY_ENCODER, DUAL_ENCODER)
AUTO, LEAD, WHOLE = "auto", "beginning", "whole"
_RATES = (
    *("temperature", "frozen_temperature", "grade_temperature", "lm_temperature"),
    *("dual_lr", "query_lr", "adapter_lr"),
)
_COUNTS = (
    *("dual_epochs", "dual_batch_size", "dual_passages_per_query", "dual_train_tokens", "dual_max_tokens"),
    *("whole_train_tokens", "whole_max_tokens", "whole_epochs"),
    *("query_epochs", "query_batch_size", "ranking_depth", "max_candidates"),
    *("adapter_epochs", "adapter_max_steps", "dev_passages_per_query"),
)


@dataclass(frozen=True)
class RetrieverSettings:
    """The hyperparameters: everything that decides the weights, besides the data and the seed.

    strategies: the training strategies to try, the shortest first. `adapter` trains a matrix behind the query encoder
                and `query` the query encoder, against frozen passage vectors; `both` trains one dual encoder, whose two
                sides share their weights.
    passage_span: what the dual encoder learns from: `beginning` (settings dual_*), `whole` (whole_* in the place of
                the settings of the same name, and no lead tokens), or `auto`: one of the two, see `lead_tokens`.
    use_whitening: whether the matrix behind the query encoder starts as a whitening of the passage vectors, and not as
                the identity.
    """

    strategies: tuple[str, ...] = STRATEGIES
    temperature: float = 0.05  # T_R of p_R = softmax(q·d / T_R)
    frozen_temperature: float = 0.03  # T_R in the loss of the two strategies with frozen passage vectors
    grade_temperature: float = 0.5  # T_g of t_H
    lm_temperature: float = 0.15  # τ of t_L, over mean log-probabilities per token
    human_weight: float = 1.0  # λ_H
    lm_weight: float = 0.3  # λ_L
    lm_on_graded_queries: bool = False  # or only where no passage is graded relevant: bench/README.md, LM supervision
    contrastive_weight: float = 1.0  # λ_N
    anchor_weight: float = 1.0  # λ_A of the query encoder
    passage_span: str = AUTO
    dual_lr: float = 5e-5
    dual_epochs: int = 3
    dual_batch_size: int = 32
    dual_train_tokens: int = 64  # of a passage in training: more epochs over short texts beat one over long texts
    dual_max_tokens: int = 128  # of a passage in the checkpoint, and in the dev evaluation
    dual_lead_tokens: tuple[int, ...] = (64,)  # see retrieval/engine/encoders/lead_pooling.py
    whole_train_tokens: int = 128
    whole_max_tokens: int = 512
    whole_epochs: int = 2
    dual_passages_per_query: int = 6  # judged and scored passages that a query brings into a batch
    dual_hard_negatives: int = 0  # mined for each query, besides the judged passages and the in-batch negatives
    query_lr: float = 5e-5
    query_epochs: int = 3
    query_batch_size: int = 32
    ranking_depth: int = 30  # of the base's rankings that give candidates, and passages of the dev pool
    max_candidates: int = 10_000  # passages in the softmax over frozen vectors, see `train_retriever._candidate_rows`
    use_whitening: bool = True
    adapter_lr: float = 3e-4
    adapter_epochs: int = 20
    adapter_max_steps: int = 1_000
    adapter_anchor_weight: float = 1.0  # λ_A of the matrix: without one, few judgements ruin it
    warmup: float = 0.1  # share of the steps
    false_negative_ratio: float = 0.95  # an unjudged passage above this share of the positive's score is no negative
    duplicate_cosine: float = 0.97  # from this cosine of the base on, an in-batch passage is taken for the positive
    min_queries: int = 4
    max_dev_queries: int = 200
    max_dev_passages: int = 600
    dev_passages_per_query: int = 20  # at most, for each dev query

    def __post_init__(self) -> None:
        if not self.strategies or set(self.strategies) - set(STRATEGIES):
            names = ", ".join(self.strategies) or "none"
            raise TrainingError(f"strategies must be some of {', '.join(STRATEGIES)}: {names}.")
        if self.passage_span not in (AUTO, LEAD, WHOLE):
            raise TrainingError(f"passage_span must be {AUTO}, {LEAD} or {WHOLE}: {self.passage_span!r}.")
        check_positive(self, (*_RATES, *_COUNTS))
        if any(tokens < 1 for tokens in self.dual_lead_tokens):
            raise TrainingError("dual_lead_tokens must be at least 1.")
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1.")

    def is_lm_supervised(self, grades: Iterable[float]) -> bool:
        """Return whether the language model's scores count for a query with these grades."""
        counts = self.lm_on_graded_queries or not self.human_weight or not relevance.has_relevant(grades)
        return bool(self.lm_weight) and counts


@dataclass(frozen=True)
class RetrieverSpec:
    """One training. Paths are absolute or relative to the working directory.

    queries:  dataset file; its `train` and `dev` rows are used, its `test` rows never.
    passages: passage file. vectors: .npy matrix (n, dim) of the base's vectors for its first n passages;
              the rest, or all without a matrix, are embedded.
    scores:   JSONL rows {"query_id", "scores": {passage_id: ℓ}, "without_passage": ℓ_∅ or null};
              None: people's grades alone.
    candidates: JSONL rows {"query_id", "passages": [ids, best first]} of the live release; they join the dev pool.
    query_hash, passage_hash: of the base's folders, measured when empty.
    threads:  0 for every core. budget_seconds: None for no limit; a run that meets it stops early
              and is then no longer the same on every machine.
    state_seconds: between two saves of the training state, from which a killed training resumes.
    """

    queries: Path
    passages: Path
    query_path: str
    passage_path: str
    query_hash: str = ""
    passage_hash: str = ""
    query_prefix: str = ""
    passage_prefix: str = ""
    dim: int = 0
    vectors: Path | None = None
    scores: Path | None = None
    candidates: Path | None = None
    seed: int = 0
    threads: int = 0
    budget_seconds: float | None = None
    state_seconds: float = 60.0
    settings: RetrieverSettings = field(default_factory=RetrieverSettings)


def read_spec(content: Mapping[str, Any]) -> RetrieverSpec:
    """Return the specification. Raises TrainingError; an unknown key is an error, so that no typo loses a setting.

    Keys of earlier versions are read too. A `temperature` beside the paths is the base's T_R, which stays unless the
    settings name another.
    """
    values = with_current_keys("retriever specification", content)
    settings = with_current_keys("retriever settings", values.pop("settings", None) or {})
    if "temperature" in values:
        settings.setdefault("temperature", values.pop("temperature"))
    for name in ("strategies", "dual_lead_tokens"):
        if name in settings:
            settings[name] = tuple(settings[name])
    missing = [name for name in ("queries", "passages", "query_path", "passage_path") if not values.get(name)]
    if missing:
        raise TrainingError(f"the specification lacks {', '.join(missing)}.")
    for name in ("queries", "passages", "vectors", "scores", "candidates"):
        values[name] = Path(values[name]) if values.get(name) else None
    values["settings"] = RetrieverSettings(**check_fields(RetrieverSettings, settings))
    return RetrieverSpec(**check_fields(RetrieverSpec, values))
