"""The loss of answers after their prompts, its gradient, and the order of the training batches."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from curation.engine.generation import answer_logits, log_likelihood, sequence_packing

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class TokenizedInstance:
    """An instance as token ids: the prompt, and the answer with its end token."""

    ids: log_likelihood.PromptAnswer

    @property
    def tokens(self) -> int:
        """Number of input tokens: all but the last of the answer, which is only predicted."""
        return len(self.ids.prompt) + len(self.ids.answer) - 1


def add_gradients(model: Any, batch: Sequence[TokenizedInstance], micro_batch_tokens: int) -> float:
    """Add the gradient of the batch's loss to the weights; return the loss, the mean over the answer tokens.

    The same for any `micro_batch_tokens`: micro-batches are weighted by their tokens, so 1×8 is 8×1.
    """
    total = sum(len(instance.ids.answer) for instance in batch)
    loss = 0.0
    for micro_batch in _micro_batches(batch, micro_batch_tokens):
        part = -log_probs(model, [instance.ids for instance in micro_batch]).sum() / total
        part.backward()  # type: ignore[no-untyped-call]
        loss += float(part.detach())
    return loss


def dev_loss(model: Any, dev: Sequence[TokenizedInstance]) -> float:
    """Return the mean over the instances of −ln p per answer token: a long answer counts like a short one.

    The end token counts as one of the answer's.
    """
    model.eval()
    scored = log_likelihood.score_pairs(model, [instance.ids for instance in dev])
    values = [value for batch in scored for value in batch.values]
    model.train()
    return -sum(values) / len(values)


def endless_batches(instances: Sequence[TokenizedInstance], size: int, seed: int) -> Iterator[list[TokenizedInstance]]:
    """Yield batches without end: each epoch is every instance once in a new order, similar lengths together."""
    epoch = 0
    while True:
        rng = random.Random(f"{seed} {epoch}")
        order = list(instances)
        rng.shuffle(order)
        sorted_runs = [
            sorted(order[start : start + 8 * size], key=lambda instance: instance.tokens)
            for start in range(0, len(order), 8 * size)
        ]
        batches = [run[start : start + size] for run in sorted_runs for start in range(0, len(run), size)]
        rng.shuffle(batches)
        yield from batches
        epoch += 1


def log_probs(model: Any, pairs: Sequence[log_likelihood.PromptAnswer]) -> torch.Tensor:
    """Return (pairs,) ln p of each answer after its prompt, summed over its tokens, with gradients.

    A prompt that neighbours share is computed once, where the model's layers allow it.
    """
    import torch

    logits = (_packed_logits if sequence_packing.can_pack(model) else _padded_logits)(model, pairs)
    targets = torch.tensor([token for pair in pairs for token in pair.answer], device=logits.device)
    values = answer_logits.token_log_probs(logits.float(), targets)  # (answer tokens,)
    parts = values.split([len(pair.answer) for pair in pairs])  # type: ignore[no-untyped-call]
    return torch.stack([part.sum() for part in parts])


def _packed_logits(model: Any, pairs: Sequence[log_likelihood.PromptAnswer]) -> torch.Tensor:
    """Return (answer tokens, vocabulary), one pair after the other, without padding."""
    row = sequence_packing.start_row([])
    for prompt, group in groupby(pairs, key=lambda pair: pair.prompt):
        tails = [([prompt[-1], *pair.answer[:-1]], len(pair.answer)) for pair in group]
        sequence_packing.add_block(row, prompt[:-1], tails)
    return sequence_packing.packed_logits(model, row)


def _padded_logits(model: Any, pairs: Sequence[log_likelihood.PromptAnswer]) -> torch.Tensor:
    """Return (answer tokens, vocabulary), one pair after the other, from rows padded on the right."""
    import torch

    inputs = [pair.prompt + pair.answer[:-1] for pair in pairs]
    ids = torch.zeros(len(pairs), max(map(len, inputs)), dtype=torch.long)
    mask = torch.zeros_like(ids)
    is_answer = torch.zeros_like(ids, dtype=torch.bool)
    for row, (pair, tokens) in enumerate(zip(pairs, inputs, strict=True)):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        is_answer[row, len(tokens) - len(pair.answer) : len(tokens)] = True
    with answer_logits.logits_only_at(model, is_answer.to(model.device)):
        logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device), use_cache=False).logits
    return logits.view(-1, logits.shape[-1])  # type: ignore[no-any-return]


def _micro_batches(batch: Sequence[TokenizedInstance], max_tokens: int) -> Iterator[list[TokenizedInstance]]:
    """Yield the instances in parts of at most `max_tokens` padded tokens, one instance at least; longest first."""
    micro_batch: list[TokenizedInstance] = []
    for instance in sorted(batch, key=lambda instance: -instance.tokens):
        if micro_batch and micro_batch[0].tokens * (len(micro_batch) + 1) > max_tokens:
            yield micro_batch
            micro_batch = []
        micro_batch.append(instance)
    yield micro_batch
