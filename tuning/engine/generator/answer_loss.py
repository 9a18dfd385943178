"""The loss of answers after their prompts, its gradient, and the order in which a training sees them."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from curation.engine.generation import answer_logits, log_likelihood, sequence_packing

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Example:
    """An instance as ids: the prompt, and the answer with the end mark."""

    pair: log_likelihood.Pair

    @property
    def tokens(self) -> int:
        return len(self.pair.prompt) + len(self.pair.answer) - 1


def gradients(model: Any, batch: Sequence[Example], batch_tokens: int) -> float:
    """Add the gradient of the batch's loss to the weights; the loss, mean over its answer tokens.

    The same for any `batch_tokens`: parts are weighted by their tokens, 1×8 is 8×1.
    """
    total = sum(len(example.pair.answer) for example in batch)
    loss = 0.0
    for part in _parts(batch, batch_tokens):
        share = -log_probs(model, [example.pair for example in part]).sum() / total
        share.backward()  # type: ignore[no-untyped-call]
        loss += float(share.detach())
    return loss


def dev_loss(model: Any, dev: Sequence[Example]) -> float:
    """Mean over the instances of -ln p per answer token, end mark included: a long answer counts like a short one."""
    model.eval()
    found = [value for batch in log_likelihood.score_pairs(model, [one.pair for one in dev]) for value in batch.values]
    model.train()
    return -sum(found) / len(found)


def batches(train: Sequence[Example], size: int, seed: int) -> Iterator[list[Example]]:
    """Batches without end: each epoch is every example once, in an order of its own, like lengths together."""
    epoch = 0
    while True:
        chance = random.Random(f"{seed} {epoch}")
        order = list(train)
        chance.shuffle(order)
        sorted_runs = [
            sorted(order[start : start + 8 * size], key=lambda example: example.tokens)
            for start in range(0, len(order), 8 * size)
        ]
        whole = [run[start : start + size] for run in sorted_runs for start in range(0, len(run), size)]
        chance.shuffle(whole)
        yield from whole
        epoch += 1


def pace(step: int, steps: int, warmup: float) -> float:
    """Share of the learning rate at a step: up in a line over the warm-up, then down along a cosine to zero."""
    rising = max(1, round(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def log_probs(model: Any, pairs: Sequence[log_likelihood.Pair]) -> torch.Tensor:
    """(pairs,) ln p of each answer after its prompt, summed over its tokens; with its gradient.

    Neighbours with the same prompt compute it once, where the model's layers allow it.
    """
    import torch

    logits = (_packed_logits if sequence_packing.can_pack(model) else _padded_logits)(model, pairs)
    targets = torch.tensor([token for pair in pairs for token in pair.answer], device=logits.device)
    values = answer_logits.token_log_probs(logits.float(), targets)  # (answer tokens,)
    parts = values.split([len(pair.answer) for pair in pairs])  # type: ignore[no-untyped-call]
    return torch.stack([part.sum() for part in parts])


def _packed_logits(model: Any, pairs: Sequence[log_likelihood.Pair]) -> torch.Tensor:
    """(answer tokens, vocabulary), one pair after the other, without padding."""
    row = sequence_packing.start([])
    for prompt, some in groupby(pairs, key=lambda pair: pair.prompt):
        sequence_packing.add(row, prompt[:-1], [([prompt[-1], *pair.answer[:-1]], len(pair.answer)) for pair in some])
    return sequence_packing.logits(model, row)


def _padded_logits(model: Any, pairs: Sequence[log_likelihood.Pair]) -> torch.Tensor:
    """(answer tokens, vocabulary), one pair after the other, from rows padded on the right."""
    import torch

    inputs = [pair.prompt + pair.answer[:-1] for pair in pairs]
    ids = torch.zeros(len(pairs), max(map(len, inputs)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    wanted = torch.zeros_like(ids, dtype=torch.bool)
    for row, (pair, tokens) in enumerate(zip(pairs, inputs, strict=True)):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        wanted[row, len(tokens) - len(pair.answer) : len(tokens)] = True
    with answer_logits.states_at(model, wanted.to(model.device)):
        logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), use_cache=False).logits
    return logits.view(-1, logits.shape[-1])  # type: ignore[no-any-return]


def _parts(batch: Sequence[Example], most_tokens: int) -> Iterator[list[Example]]:
    part: list[Example] = []
    for example in sorted(batch, key=lambda example: -example.tokens):
        if part and part[0].tokens * (len(part) + 1) > most_tokens:
            yield part
            part = []
        part.append(example)
    yield part
