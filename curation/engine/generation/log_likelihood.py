"""Mean log-likelihood ℓ of answers: the mean log-probability of an answer's tokens after a prompt.

Many pairs cost little more than few, because what they have in common is computed once: the opening that all prompts
begin with, and then the longer prefixes that the prompts about one passage share (passages come before the
question, see `prompts`). Prompts are packed into rows without padding (see `sequence_packing`), and the head over the
vocabulary computes the logits of answer tokens only. The numbers are those of one plain call per pair, within
rounding. Models whose layers do not attend to all previous tokens run in padded batches of similar length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curation.engine.generation import answer_logits, sequence_packing

if TYPE_CHECKING:
    import torch

# Tokens in one batch: enough to fill the matrix units, few enough that a layer's activations stay in the cache.
BATCH_TOKENS = 1024
# Answer tokens whose logits over the vocabulary exist at a time.
BATCH_ANSWER_TOKENS = 768
# A shorter common beginning does not pay for a block of its own.
MIN_SHARED_TOKENS = 8


class PromptAnswer(NamedTuple):
    """A prompt and an answer as token ids; neither is empty."""

    prompt: list[int]
    answer: list[int]


class ScoredBatch(NamedTuple):
    """Mean log-likelihoods of the pairs at `rows`, in natural logarithms, at most 0."""

    rows: list[int]
    values: list[float]


@dataclass(frozen=True)
class PrefixGroup:
    """Pairs, by row, whose prompts share their first `length` tokens."""

    rows: list[int]
    length: int


def score_pairs(model: Any, pairs: Sequence[PromptAnswer], *, pack: bool | None = None) -> Iterator[ScoredBatch]:
    """Yield batches of scores as they are computed, in no particular order, every pair exactly once.

    model: a causal language model of transformers in eval mode, which nobody else uses while a batch is computed.
    pack: pack prompts and compute common prefixes once; by default where the model's layers allow it.
    """
    if not pairs:
        return
    if sequence_packing.can_pack(model) if pack is None else pack:
        yield from _score_in_packed_rows(model, pairs)
    else:
        yield from _score_padded(model, pairs)


def collect_scores(
    batches: Iterable[ScoredBatch], total: int, on_progress: Callable[[int, int], None] | None = None
) -> NDArray[np.float64]:
    """Return the (total,) scores of all batches in the order of their pairs.

    on_progress(done, total) is called after each batch.
    """
    scores, done = np.full(total, np.nan), 0
    for batch in batches:
        scores[batch.rows] = batch.values
        done += len(batch.rows)
        if on_progress:
            on_progress(done, total)
    return scores


def group_by_prefix(pairs: Sequence[PromptAnswer]) -> tuple[int, list[PrefixGroup]]:
    """Return the number of tokens every prompt begins with, and the pairs grouped by a longer common beginning.

    Groups are formed in the order of the ids: the next pair joins while the beginning it leaves is at least half of
    what the group would share without it. The last token of a prompt is never shared, because its state predicts the
    answer's first token.
    """
    order = sorted(range(len(pairs)), key=lambda row: (pairs[row].prompt, row))
    shortest = min(len(pair.prompt) for pair in pairs) - 1
    opening = min(_common(pairs[order[0]].prompt, pairs[order[-1]].prompt), shortest)
    opening = opening if opening >= MIN_SHARED_TOKENS and len(pairs) > 1 else 0
    groups: list[PrefixGroup] = []
    for row in order:
        prompt = pairs[row].prompt
        if groups and (group := groups[-1]):
            common = min(_common(pairs[group.rows[0]].prompt[: group.length], prompt), len(prompt) - 1)
            if common - opening >= max(MIN_SHARED_TOKENS, (group.length - opening) / 2):
                groups[-1] = PrefixGroup([*group.rows, row], common)
                continue
        groups.append(PrefixGroup([row], len(prompt) - 1))
    return opening, groups


def _packed_tokens(pairs: Sequence[PromptAnswer], group: PrefixGroup, opening: int) -> int:
    """Return the tokens that a group adds to a packed row."""
    suffixes = sum(len(pairs[row].prompt) + len(pairs[row].answer) - 1 - group.length for row in group.rows)
    return group.length - opening + suffixes


def _answer_tokens(pairs: Sequence[PromptAnswer], rows: Sequence[int]) -> int:
    return sum(len(pairs[row].answer) for row in rows)


def _split_large(pairs: Sequence[PromptAnswer], groups: Iterable[PrefixGroup], opening: int) -> Iterator[PrefixGroup]:
    """Yield the groups, one that is too large for a batch in several parts; each part computes the beginning again."""
    for group in groups:
        part: list[int] = []
        for row in group.rows:
            grown = PrefixGroup([*part, row], group.length)
            is_too_large = (
                _packed_tokens(pairs, grown, opening) > BATCH_TOKENS
                or _answer_tokens(pairs, grown.rows) > BATCH_ANSWER_TOKENS
            )
            if part and is_too_large:
                yield PrefixGroup(part, group.length)
                part = []
            part.append(row)
        yield PrefixGroup(part, group.length)


def _score_in_packed_rows(model: Any, pairs: Sequence[PromptAnswer]) -> Iterator[ScoredBatch]:
    """Yield scores of packed rows, each of at most BATCH_TOKENS and BATCH_ANSWER_TOKENS."""
    opening, groups = group_by_prefix(pairs)
    batch: list[PrefixGroup] = []
    tokens = answer_tokens = 0
    for group in _split_large(pairs, groups, opening):
        own_tokens, own_answers = _packed_tokens(pairs, group, opening), _answer_tokens(pairs, group.rows)
        if batch and (tokens + own_tokens > BATCH_TOKENS or answer_tokens + own_answers > BATCH_ANSWER_TOKENS):
            yield _score_packed(model, pairs, batch, opening)
            batch, tokens, answer_tokens = [], 0, 0
        batch.append(group)
        tokens, answer_tokens = tokens + own_tokens, answer_tokens + own_answers
    yield _score_packed(model, pairs, batch, opening)


def _score_packed(
    model: Any, pairs: Sequence[PromptAnswer], groups: Sequence[PrefixGroup], opening: int
) -> ScoredBatch:
    import torch

    packed = sequence_packing.start_row(pairs[groups[0].rows[0]].prompt[:opening])
    for group in groups:
        prefix = pairs[group.rows[0]].prompt[opening : group.length]
        members = [pairs[row] for row in group.rows]
        suffixes = [(pair.prompt[group.length :] + pair.answer[:-1], len(pair.answer)) for pair in members]
        sequence_packing.add_block(packed, prefix, suffixes)
    rows = [row for group in groups for row in group.rows]
    with torch.inference_mode():
        return _means(sequence_packing.packed_logits(model, packed), pairs, rows)


def _score_padded(model: Any, pairs: Sequence[PromptAnswer]) -> Iterator[ScoredBatch]:
    """Yield scores of whole pairs, the longest first, in batches of similar length."""
    lengths = [len(pair.prompt) + len(pair.answer) - 1 for pair in pairs]
    batch: list[int] = []
    for row in sorted(range(len(pairs)), key=lambda row: (-lengths[row], row)):
        is_too_long = batch and lengths[batch[0]] * (len(batch) + 1) > BATCH_TOKENS
        if batch and (is_too_long or _answer_tokens(pairs, [*batch, row]) > BATCH_ANSWER_TOKENS):
            yield _score_batch(model, pairs, batch)
            batch = []
        batch.append(row)
    yield _score_batch(model, pairs, batch)


def _score_batch(model: Any, pairs: Sequence[PromptAnswer], rows: list[int]) -> ScoredBatch:
    import torch

    inputs = [pairs[row].prompt + pairs[row].answer[:-1] for row in rows]
    ids = torch.zeros(len(rows), max(map(len, inputs)), dtype=torch.long)  # (rows, tokens), padded on the right
    mask = torch.zeros_like(ids)
    # The states that predict an answer are the last ones of a row, one for each of its tokens.
    targets = torch.zeros_like(ids, dtype=torch.bool)
    for index, (row, tokens) in enumerate(zip(rows, inputs, strict=True)):
        ids[index, : len(tokens)] = torch.tensor(tokens)
        mask[index, : len(tokens)] = 1
        targets[index, len(tokens) - len(pairs[row].answer) : len(tokens)] = True
    device = model.device
    with torch.inference_mode(), answer_logits.logits_only_at(model, targets.to(device)):
        logits = model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits
        return _means(logits.view(-1, logits.shape[-1]), pairs, rows)


def _means(logits: torch.Tensor, pairs: Sequence[PromptAnswer], rows: list[int]) -> ScoredBatch:
    """Return scores from the logits (answer tokens, vocabulary) of these rows, one row after the other."""
    import torch

    targets = torch.tensor([token for row in rows for token in pairs[row].answer], device=logits.device)
    values = answer_logits.token_log_probs(logits.float(), targets).double().cpu().numpy()  # (answer tokens,)
    by_row = np.split(values, np.cumsum([len(pairs[row].answer) for row in rows])[:-1])
    return ScoredBatch(list(rows), [float(own.mean()) for own in by_row])


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Return how many ids two sequences begin with in common."""
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))
