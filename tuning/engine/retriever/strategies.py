"""The ways a retriever learns.

Main road: one set of weights for both sides; the passages of a batch are encoded anew at every step, and
afterwards the corpus is embedded again. The two quick ones leave the passages' vectors, and with them the index, as
they are: the query encoder, or, in seconds, only the head behind it. Every road begins with the head of `whitening`;
on two of them it stays as it is and the encoder learns, on the third it is what learns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from tuning.engine.process.checkpoints import Bookmark
from tuning.engine.process.progress import Progress
from tuning.engine.retriever import batches, losses
from tuning.engine.retriever.batches import Batch, Material
from tuning.engine.retriever.candidates import Rows, Vectors
from tuning.engine.retriever.retriever_spec import ADAPTER, BOTH, QUERY, RetrieverSettings
from tuning.engine.retriever.trainable_encoder import Tower

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Embed = Callable[[Tower, Material, Batch], "tuple[Tensor, Tensor]"]

_LEAST_STEPS = 4  # measured before a budget may shorten what was planned


@dataclass(frozen=True)
class Road:
    """A way to learn: its name, its batches in order, how many, and how a batch becomes vectors."""

    name: str
    batches: Iterable[Batch]
    steps: int
    lr: float
    embed: Embed
    temperature: float
    anchor: float
    max_tokens: int | None = None  # read of a text while training
    looks_back: bool = False  # whether passages are contrasted over the batch's queries, too


def both(material: Material, settings: RetrieverSettings, seed: int) -> Road:
    """The main road. A batch's passages are what each query chose; see `batches.chosen`."""
    size, times = settings.both_batch, settings.both_epochs
    return Road(
        name=BOTH,
        batches=_both_batches(material, settings, np.random.default_rng(seed)),
        steps=batches.steps(len(material.examples), size, times),
        lr=settings.both_lr,
        embed=_embed_both,
        temperature=settings.temperature,
        anchor=0.0,
        max_tokens=settings.both_train_tokens,
        looks_back=True,
    )


def query(material: Material, settings: RetrieverSettings, seed: int) -> Road:
    """The query encoder, its head left as it is."""
    return Road(
        name=QUERY,
        batches=_quick_batches(material, settings, seed, settings.query_epochs),
        steps=batches.steps(len(material.examples), settings.query_batch, settings.query_epochs),
        lr=settings.query_lr,
        embed=_embed_query,
        temperature=settings.quick_temperature,
        anchor=settings.anchor,
    )


def head(material: Material, settings: RetrieverSettings, seed: int) -> Road:
    """The head alone, under an anchor: without one it ruins a retriever that has few judgements (`method.md` §7)."""
    one = batches.steps(len(material.examples), settings.query_batch, 1)
    times = min(settings.adapter_epochs, max(1, settings.adapter_steps // one))
    return Road(
        name=ADAPTER,
        batches=_quick_batches(material, settings, seed, times),
        steps=times * one,
        lr=settings.adapter_lr,
        embed=_embed_adapted,
        temperature=settings.quick_temperature,
        anchor=settings.adapter_anchor,
    )


def walk(
    road: Road,
    tower: Tower,
    material: Material,
    settings: RetrieverSettings,
    progress: Progress,
    bookmark: Bookmark | None = None,
) -> int:
    """Train the tower along the road; how many steps it took, fewer than planned when the budget ran short.

    bookmark: where it stands, now and then; found there, it goes on from it and ends at the same weights.
    """
    import torch

    parameters = list((tower.head if road.name == ADAPTER else tower.model).parameters())
    optimiser = torch.optim.AdamW(parameters, lr=road.lr, weight_decay=0.0, fused=True)
    before = progress.step
    first, total = _resume(bookmark, road, parameters, optimiser, progress)
    taken, began = first, progress.seconds
    tower.model.train()
    for batch in islice(road.batches, first, None):
        if taken >= total:
            break
        for group in optimiser.param_groups:
            group["lr"] = road.lr * rate(taken, total, settings.warmup)
        with tower.reading(road.max_tokens):
            loss = _loss(road, tower, material, batch, settings)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        taken += 1
        progress.step = before + taken
        progress.write(road.name, loss=float(loss.detach()))
        if taken - first >= _LEAST_STEPS:
            total = min(total, taken + progress.fitting_steps((progress.seconds - began) / (taken - first)))
        if bookmark is not None:
            bookmark.save(partial(_state, parameters, optimiser, progress, road, taken, total))
    tower.model.eval()
    return taken


def _state(
    parameters: list[Any], optimiser: Any, progress: Progress, road: Road, taken: int, total: float
) -> dict[str, Any]:
    """Everything the next step depends on."""
    import torch

    return {
        "weights": [parameter.detach() for parameter in parameters],
        "optimiser": optimiser.state_dict(),
        "chance": torch.get_rng_state(),  # dropout's
        "curve": progress.curves[road.name],
        "seconds": progress.seconds,
        "taken": taken,
        "total": total,
    }


def _resume(
    bookmark: Bookmark | None, road: Road, parameters: list[Any], optimiser: Any, progress: Progress
) -> tuple[int, float]:
    """Steps taken and steps planned, after what the bookmark holds was put back."""
    import torch

    state = bookmark.load() if bookmark is not None else None
    if state is None:
        return 0, road.steps
    for parameter, value in zip(parameters, state["weights"], strict=True):
        parameter.data.copy_(value)
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["chance"])
    progress.tell_again(road.name, state["curve"], state["seconds"])
    return state["taken"], state["total"]


def rate(step: int, steps: float, warmup: float) -> float:
    """The share of the learning rate at a step counted from 0: up in a line over the warm-up, then down in a line.

    In (0, 1]: neither the first step nor the last is wasted on 0.
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return (step + 1) / rising
    return max((steps - step) / (steps - rising + 1), 1.0 / (steps + 1))


def _both_batches(material: Material, settings: RetrieverSettings, rng: np.random.Generator) -> Iterator[Batch]:
    for rows in batches.epochs(len(material.examples), settings.both_batch, settings.both_epochs, rng):
        examples = [material.examples[i] for i in rows]
        passages = [
            passage
            for example in examples
            for passage in batches.chosen(example, material.base_scores(example), settings, rng, settings.both_list)
        ]
        yield batches.make(material, examples, passages, settings, are_hard=bool(settings.both_mined))


def _quick_batches(material: Material, settings: RetrieverSettings, seed: int, times: int) -> Iterator[Batch]:
    """Every query against all the passages looked at: they cost nothing, being vectors already."""
    rng = np.random.default_rng(seed)
    for rows in batches.epochs(len(material.examples), settings.query_batch, times, rng):
        examples = [material.examples[i] for i in rows]
        yield batches.make(material, examples, material.looked_at, settings, are_hard=False)


def _embed_both(tower: Tower, material: Material, batch: Batch) -> tuple[Tensor, Tensor]:
    queries = tower.turned(tower.embed([material.queries[row] for row in batch.queries]))
    return queries, tower.embed([material.passages[row] for row in batch.passages])


def _embed_adapted(tower: Tower, material: Material, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the encoder itself makes of a query does not change: its vectors, and the whitening of them, are the base's.

    The matrix learns behind the whitening, as the identity at first: where all directions have their say it learns more
    than as a change of the whitening itself (FeedbackQA, 200 queries: a gain of 0.045 against 0.029).
    """
    device = tower.model.device
    queries = tower.turned(_rows(material.aims, batch.queries).to(device))
    return queries, _rows(material.passage_vectors, batch.passages).to(device)


def _embed_query(tower: Tower, material: Material, batch: Batch) -> tuple[Tensor, Tensor]:
    queries = tower.turned(tower.embed([material.queries[row] for row in batch.queries]))
    return queries, _rows(material.passage_vectors, batch.passages).to(queries.device)


def _rows(vectors: Vectors, rows: Rows) -> Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(vectors[rows]))


def _loss(road: Road, tower: Tower, material: Material, batch: Batch, settings: RetrieverSettings) -> Tensor:
    """L = λ_H·w_q·KL(t_H ‖ p_R|J) + λ_L·w_q·KL(t_L ‖ p_R) + λ_N·contrast + λ_A·‖E_q − E_q⁰‖² (`method.md` §3).

    On the main road the contrast is the mean of both directions: at the same cost, two epochs of 200 FeedbackQA queries
    gave 0.672 with it and 0.662 without.
    """
    import torch

    queries, passages = road.embed(tower, material, batch)  # (batch, dim), (passages, dim)
    scores = queries @ passages.T / road.temperature  # (batch, passages)

    def tensor(values: np.ndarray) -> torch.Tensor:
        made = torch.from_numpy(values)
        return (made if made.dtype == torch.bool else made.float()).to(scores.device)

    weights = tensor(batch.weights)
    loss = settings.human * losses.listwise_kl(scores, tensor(batch.human), tensor(batch.judged), weights)
    loss = loss + settings.lm * losses.listwise_kl(scores, tensor(batch.lm), tensor(batch.scored), weights)
    right, wrong = tensor(batch.right), tensor(batch.wrong)
    taught = losses.contrast(scores, right, wrong, weights)
    if road.looks_back:
        taught = (taught + losses.contrast_back(scores, right, wrong, weights)) / 2
    taught = taught + losses.push_down(scores, tensor(batch.refused), tensor(batch.others), weights)
    loss = loss + settings.contrastive * taught
    if road.anchor:
        before = _rows(material.aims, batch.queries).to(scores.device)
        loss = loss + road.anchor * losses.anchor(queries, before)
    return loss
