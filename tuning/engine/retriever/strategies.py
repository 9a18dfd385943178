"""The training strategies of a retriever: dual encoder, query encoder, query adapter.

Dual encoder: one set of weights for both sides; the passages of a batch are encoded anew at every step, and after the
training the corpus is embedded again. The other two leave the passage vectors, and with them the index, as they are:
they train the query encoder or, in seconds, a matrix behind it alone. Every strategy starts with the head of
`whitening`; in two of them the head stays as it is and the encoder learns, in the third the head is what learns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tuning.engine.process.progress import CandidateLog, Progress
from tuning.engine.process.training_loop import TrainingLoop, TrainingPlan
from tuning.engine.process.training_state import TrainingState
from tuning.engine.retriever import batches, losses
from tuning.engine.retriever.batches import Batch, TrainingData
from tuning.engine.retriever.candidates import Rows, Vectors
from tuning.engine.retriever.retriever_spec import DUAL_ENCODER, QUERY_ADAPTER, QUERY_ENCODER, RetrieverSettings
from tuning.engine.retriever.trainable_encoder import TrainableEncoder

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Embed = Callable[[TrainableEncoder, TrainingData, Batch], "tuple[Tensor, Tensor]"]

_MIN_TIMED_STEPS = 4  # before a budget may shorten the plan


@dataclass(frozen=True)
class Strategy:
    """A training strategy: its name, its batches in order, how many, and how a batch becomes vectors.

    max_tokens: of a text while training. is_symmetric: whether passages are contrasted over the batch's queries too.
    """

    name: str
    batches: Callable[[], Iterator[Batch]]
    steps: int
    lr: float
    embed: Embed
    temperature: float
    anchor_weight: float
    max_tokens: int | None = None
    is_symmetric: bool = False


def dual_encoder(data: TrainingData, settings: RetrieverSettings, seed: int) -> Strategy:
    """Return the strategy that trains both sides. A batch's passages: see `batches.choose_passages`."""
    return Strategy(
        name=DUAL_ENCODER,
        batches=lambda: _dual_batches(data, settings, np.random.default_rng(seed)),
        steps=batches.count_batches(len(data.examples), settings.dual_batch_size, settings.dual_epochs),
        lr=settings.dual_lr,
        embed=_embed_both,
        temperature=settings.temperature,
        anchor_weight=0.0,
        max_tokens=settings.dual_train_tokens,
        is_symmetric=True,
    )


def query_encoder(data: TrainingData, settings: RetrieverSettings, seed: int) -> Strategy:
    """Return the strategy that trains the query encoder, its head left as it is."""
    return Strategy(
        name=QUERY_ENCODER,
        batches=lambda: _frozen_batches(data, settings, seed, settings.query_epochs),
        steps=batches.count_batches(len(data.examples), settings.query_batch_size, settings.query_epochs),
        lr=settings.query_lr,
        embed=_embed_queries,
        temperature=settings.frozen_temperature,
        anchor_weight=settings.anchor_weight,
    )


def query_adapter(data: TrainingData, settings: RetrieverSettings, seed: int) -> Strategy:
    """Return the strategy that trains the head alone, under an anchor.

    Without an anchor it ruins a retriever that has few judgements (`docs/method.md`).
    """
    epoch_steps = batches.count_batches(len(data.examples), settings.query_batch_size, 1)
    epochs = min(settings.adapter_epochs, max(1, settings.adapter_max_steps // epoch_steps))
    return Strategy(
        name=QUERY_ADAPTER,
        batches=lambda: _frozen_batches(data, settings, seed, epochs),
        steps=epochs * epoch_steps,
        lr=settings.adapter_lr,
        embed=_embed_adapted,
        temperature=settings.frozen_temperature,
        anchor_weight=settings.adapter_anchor_weight,
    )


def train(
    strategy: Strategy,
    encoder: TrainableEncoder,
    data: TrainingData,
    settings: RetrieverSettings,
    progress: Progress,
    saved_state: TrainingState | None = None,
) -> int:
    """Train the encoder; return the steps taken, fewer than planned where the budget was too short."""
    plan = TrainingPlan(
        name=strategy.name,
        steps=strategy.steps,
        lr=strategy.lr,
        batches=strategy.batches,
        gradients=lambda batch: _gradients(strategy, encoder, data, batch, settings),
        warmup=settings.warmup,
        decay="linear",
        replan_at=range(_MIN_TIMED_STEPS, strategy.steps),
        fused=True,
    )
    model = encoder.head if strategy.name == QUERY_ADAPTER else encoder.model
    loop = TrainingLoop(model, plan, CandidateLog(progress, strategy.steps), saved_state, progress.budget_left)
    encoder.model.train()
    loop.run()
    encoder.model.eval()
    return loop.step


def _gradients(
    strategy: Strategy, encoder: TrainableEncoder, data: TrainingData, batch: Batch, settings: RetrieverSettings
) -> float:
    """Add the gradient of the batch's loss to the weights; return the loss."""
    with encoder.truncated(strategy.max_tokens):
        loss = _loss(strategy, encoder, data, batch, settings)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def _dual_batches(data: TrainingData, settings: RetrieverSettings, rng: np.random.Generator) -> Iterator[Batch]:
    for rows in batches.epoch_batches(len(data.examples), settings.dual_batch_size, settings.dual_epochs, rng):
        examples = [data.examples[row] for row in rows]
        passages = [
            passage
            for example in examples
            for passage in batches.choose_passages(
                example, data.base_scores(example), settings, rng, settings.dual_passages_per_query
            )
        ]
        are_hard = bool(settings.dual_hard_negatives)
        yield batches.build_batch(data, examples, passages, settings, are_hard=are_hard)


def _frozen_batches(data: TrainingData, settings: RetrieverSettings, seed: int, epochs: int) -> Iterator[Batch]:
    """Every query against all the candidates: they cost nothing, their vectors being known."""
    rng = np.random.default_rng(seed)
    for rows in batches.epoch_batches(len(data.examples), settings.query_batch_size, epochs, rng):
        examples = [data.examples[row] for row in rows]
        yield batches.build_batch(data, examples, data.candidate_rows, settings, are_hard=False)


def _embed_both(encoder: TrainableEncoder, data: TrainingData, batch: Batch) -> tuple[Tensor, Tensor]:
    queries = encoder.apply_head(encoder.embed([data.queries[row] for row in batch.queries]))
    return queries, encoder.embed([data.passages[row] for row in batch.passages])


def _embed_adapted(encoder: TrainableEncoder, data: TrainingData, batch: Batch) -> tuple[Tensor, Tensor]:
    """The encoder's own vectors of a query do not change: they, and their whitening, are the base's.

    The matrix learns behind the whitening, as the identity at first: where all directions have the same variance it
    learns more than as a change of the whitening itself (FeedbackQA, 200 queries: a gain of 0.045 against 0.029).
    """
    device = encoder.model.device
    queries = encoder.apply_head(_rows_of(data.anchor_vectors, batch.queries).to(device))
    return queries, _rows_of(data.passage_vectors, batch.passages).to(device)


def _embed_queries(encoder: TrainableEncoder, data: TrainingData, batch: Batch) -> tuple[Tensor, Tensor]:
    queries = encoder.apply_head(encoder.embed([data.queries[row] for row in batch.queries]))
    return queries, _rows_of(data.passage_vectors, batch.passages).to(queries.device)


def _rows_of(vectors: Vectors, rows: Rows) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(vectors[rows]))


def _loss(
    strategy: Strategy, encoder: TrainableEncoder, data: TrainingData, batch: Batch, settings: RetrieverSettings
) -> Tensor:
    """L = λ_H·w_q·KL(t_H ‖ p_R|J) + λ_L·w_q·KL(t_L ‖ p_R) + λ_N·contrast + λ_A·‖E_q − E_q⁰‖² (`docs/method.md`)."""
    queries, passages = strategy.embed(encoder, data, batch)  # (batch, dim), (passages, dim)
    scores = queries @ passages.T / strategy.temperature  # (batch, passages)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return _tensor(values, scores.device)

    weights = tensor(batch.weights)
    loss = settings.human_weight * losses.listwise_kl(scores, tensor(batch.human_target), tensor(batch.judged), weights)
    loss = loss + settings.lm_weight * losses.listwise_kl(
        scores, tensor(batch.lm_target), tensor(batch.scored), weights
    )
    loss = loss + settings.contrastive_weight * _contrast(strategy, scores, batch, weights)
    if strategy.anchor_weight:
        base = _rows_of(data.anchor_vectors, batch.queries).to(scores.device)
        loss = loss + strategy.anchor_weight * losses.anchor_penalty(queries, base)
    return loss


def _contrast(strategy: Strategy, scores: Tensor, batch: Batch, weights: Tensor) -> Tensor:
    """Return the contrastive loss, with that of the queries without a relevant passage.

    For the dual encoder it is the mean of both directions: at the same cost, two epochs of 200 FeedbackQA queries gave
    0.672 with it and 0.662 without.
    """
    positives, negatives = _tensor(batch.positives, scores.device), _tensor(batch.negatives, scores.device)
    loss = losses.contrastive_loss(scores, positives, negatives, weights)
    if strategy.is_symmetric:
        loss = (loss + losses.passage_contrastive_loss(scores, positives, negatives, weights)) / 2
    only_negatives, unjudged = _tensor(batch.only_negatives, scores.device), _tensor(batch.unjudged, scores.device)
    return loss + losses.negatives_only_loss(scores, only_negatives, unjudged, weights)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    """Return a mask as bool and numbers as float32."""
    import torch

    tensor = torch.from_numpy(values)
    return (tensor if tensor.dtype == torch.bool else tensor.float()).to(device)
