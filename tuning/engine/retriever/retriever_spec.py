"""What a retriever training is asked to do, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curation.engine.statistics import relevance
from tuning.engine.process.training_process import CannotFit, check_positive, known

BOTH, QUERY, ADAPTER = "both", "query", "adapter"
ROADS = (ADAPTER, QUERY, BOTH)
AUTO, BEGINNING, WHOLE = "auto", "beginning", "whole"
_RATES = (
    *("temperature", "quick_temperature", "grade_temperature", "lm_temperature"),
    *("both_lr", "query_lr", "adapter_lr"),
)
_COUNTS = (
    *("both_epochs", "both_batch", "both_list", "both_train_tokens", "both_max_tokens"),
    *("whole_train_tokens", "whole_max_tokens", "whole_epochs"),
    *("query_epochs", "query_batch", "query_depth", "quick_passages", "adapter_epochs", "adapter_steps", "dev_depth"),
)


@dataclass(frozen=True)
class RetrieverSettings:
    """Everything that decides the weights, besides the data and the seed.

    roads: what is tried, the shortest first. `adapter` trains the matrix behind the query encoder and `query` the
    query encoder, against frozen passage vectors; `both` trains one set of weights for the two sides.
    both_reads: what of a passage the main road learns from. For BEGINNING the settings both_*, for WHOLE whole_* in the
    place of their like, and no beginnings; for AUTO one of them, see `reading`.
    whitens: whether that matrix begins as a whitening of the passages' vectors, and not as the identity.
    """

    roads: tuple[str, ...] = ROADS
    temperature: float = 0.05  # T_R of p_R = softmax(q·d / T_R)
    quick_temperature: float = 0.03  # T_R in the loss of the two roads that leave the passages as they are
    grade_temperature: float = 0.5  # T_g of t_H
    lm_temperature: float = 0.15  # τ of t_L, over mean log-probabilities per token
    human: float = 1.0  # λ_H
    lm: float = 0.3  # λ_L
    lm_beside_grades: bool = False  # or only where no person called a passage relevant: bench/README.md, Who teaches
    contrastive: float = 1.0  # λ_N
    anchor: float = 1.0  # λ_A, on the query road
    both_reads: str = AUTO
    both_lr: float = 5e-5
    both_epochs: int = 3
    both_batch: int = 32
    both_train_tokens: int = 64  # of a passage in training: a cheap look more often beats a long look once
    both_max_tokens: int = 128  # of a passage in the checkpoint, and when dev is measured
    both_beginnings: tuple[int, ...] = (64,)  # tokens read of it once more; see retrieval/engine/beginnings
    whole_train_tokens: int = 128
    whole_max_tokens: int = 512
    whole_epochs: int = 2
    both_list: int = 6  # judged and scored passages a query brings into a batch
    both_mined: int = 0  # negatives mined for each query, besides the judged and the batch's own
    query_lr: float = 5e-5
    query_epochs: int = 3
    query_batch: int = 32
    query_depth: int = 30  # of the base's ranking that the quick roads look at, and dev's pool takes from
    quick_passages: int = 10_000  # looked at by the quick roads: judged, scored, ranked first, and others by chance
    whitens: bool = True
    adapter_lr: float = 3e-4
    adapter_epochs: int = 20
    adapter_steps: int = 1_000  # and no more than so many
    adapter_anchor: float = 1.0  # λ_A of the matrix: without one, few judgements ruin it
    warmup: float = 0.1  # share of the steps
    near: float = 0.95  # an unjudged passage above this share of the positive's base score is no negative
    twin: float = 0.97  # the base's cosine of two passages from which a batch takes them for the same
    least_queries: int = 4
    dev_queries: int = 200
    dev_passages: int = 600
    dev_depth: int = 20  # and no more than so many for each dev query

    def __post_init__(self) -> None:
        if not self.roads or set(self.roads) - set(ROADS):
            raise CannotFit(f"roads must name some of {', '.join(ROADS)}: {', '.join(self.roads) or 'none'}.")
        if self.both_reads not in (AUTO, BEGINNING, WHOLE):
            raise CannotFit(f"both_reads must be {AUTO}, {BEGINNING} or {WHOLE}: {self.both_reads!r}.")
        check_positive(self, (*_RATES, *_COUNTS))
        if any(tokens < 1 for tokens in self.both_beginnings):
            raise CannotFit("both_beginnings must be at least 1.")
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise CannotFit(f"{name} must be at least 1.")

    def lm_teaches(self, grades: Iterable[float]) -> bool:
        """Whether the language model has a say in what is right for a query with these grades."""
        has_say = self.lm_beside_grades or not self.human or not relevance.has_relevant(grades)
        return bool(self.lm) and has_say


@dataclass(frozen=True)
class RetrieverSpec:
    """One training. Paths are absolute or relative to the working directory.

    queries:  dataset file; its `train` and `dev` rows are used, its `test` rows never.
    passages: passage file. vectors: .npy matrix (n, dim) of the base's vectors for its first n passages;
              the rest, or all without a matrix, are embedded.
    scores:   JSONL rows {"query_id", "scores": {passage_id: ℓ}, "without_passage": ℓ_∅ or null};
              None: people's grades alone.
    candidates: JSONL rows {"query_id", "passages": [ids, best first]}, what serves today; they join the dev pool.
    query_hash, passage_hash: of the base's folders, measured when empty.
    threads:  0 for every core. budget_seconds: None for no limit; a run that meets it stops early
              and is then no longer the same on every machine.
    bookmark_seconds: how often it is kept where the training stands, for one whose process is killed.
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
    bookmark_seconds: float = 60.0
    settings: RetrieverSettings = field(default_factory=RetrieverSettings)


def read_spec(given: dict[str, Any]) -> RetrieverSpec:
    """The specification; keys it does not know are refused, so that no setting is lost in a typo.

    A `temperature` beside the paths is the base's T_R, which stays unless the settings name another.
    Raises CannotFit.
    """
    values = dict(given)
    settings = dict(values.pop("settings", None) or {})
    if "temperature" in values:
        settings.setdefault("temperature", values.pop("temperature"))
    for name in ("roads", "both_beginnings"):
        if name in settings:
            settings[name] = tuple(settings[name])
    missing = [name for name in ("queries", "passages", "query_path", "passage_path") if not values.get(name)]
    if missing:
        raise CannotFit(f"the specification lacks {', '.join(missing)}.")
    for name in ("queries", "passages", "vectors", "scores", "candidates"):
        values[name] = Path(values[name]) if values.get(name) else None
    chosen = RetrieverSettings(**known(RetrieverSettings, settings))
    return RetrieverSpec(**known(RetrieverSpec, values | {"settings": chosen}))
