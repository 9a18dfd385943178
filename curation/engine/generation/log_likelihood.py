"""ℓ, the mean log-probability of an answer's tokens after a prompt, for many pairs at the cost of few.

What pairs have in common is computed once: the opening all of them share, then the prompts up to where the
pairs about one passage part (passages come before the question, see prompting). Prompts are packed into rows
without padding (see packing), and the head that turns states into the whole vocabulary sees only the places that
predict an answer token. The numbers are those of one plain call per pair, within rounding. Models whose layers
do not see all that came before run in padded batches of like length.
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

# Tokens in one batch: enough to fill the matrix units, few enough that what a layer makes of them stays in the cache.
BATCH_TOKENS = 1024
# Answer tokens whose logits over the vocabulary exist at a time.
BATCH_ANSWER_TOKENS = 768
# A shorter beginning than this is not worth a pass of its own.
LEAST_SHARED = 8


class Pair(NamedTuple):
    """A prompt and an answer as ids; neither is empty."""

    prompt: list[int]
    answer: list[int]


class Scored(NamedTuple):
    """Mean log-probabilities of the pairs at `rows`, in natural logarithms, at most 0."""

    rows: list[int]
    values: list[float]


@dataclass(frozen=True)
class Group:
    """Pairs whose prompts share their first `length` tokens."""

    rows: list[int]
    length: int


def score_pairs(model: Any, pairs: Sequence[Pair], *, shares: bool | None = None) -> Iterator[Scored]:
    """Batches of scores as they are computed, in no particular order, every pair exactly once.

    model: a causal language model of transformers in eval mode, which nobody else uses while a batch is computed.
    shares: pack prompts and compute common beginnings once; by default where the model's layers allow it.
    """
    if not pairs:
        return
    if not (sequence_packing.can_pack(model) if shares is None else shares):
        yield from _score_padded(model, pairs)
        return
    opening, groups = plan(pairs)
    batch: list[Group] = []
    tokens = answers = 0
    for group in _portions(pairs, groups, opening):
        cost = _cost(pairs, group, opening)
        wanted = sum(len(pairs[row].answer) for row in group.rows)
        if batch and (tokens + cost > BATCH_TOKENS or answers + wanted > BATCH_ANSWER_TOKENS):
            yield _score_packed(model, pairs, batch, opening)
            batch, tokens, answers = [], 0, 0
        batch.append(group)
        tokens, answers = tokens + cost, answers + wanted
    yield _score_packed(model, pairs, batch, opening)


def gathered(
    batches: Iterable[Scored], total: int, on_progress: Callable[[int, int], None] | None = None
) -> NDArray[np.float64]:
    """(total,) the scores of all batches in the order of their pairs; on_progress(done, total) after each batch."""
    scores, done = np.full(total, np.nan), 0
    for batch in batches:
        scores[batch.rows] = batch.values
        done += len(batch.rows)
        if on_progress:
            on_progress(done, total)
    return scores


def plan(pairs: Sequence[Pair]) -> tuple[int, list[Group]]:
    """The tokens every prompt begins with, and the pairs grouped by a longer common beginning.

    Groups are taken in the order of the ids: the next pair joins while the beginning it leaves is at least
    half of what the group would share without it. The last token of a prompt is never shared, because its
    state predicts the answer's first.
    """
    order = sorted(range(len(pairs)), key=lambda row: (pairs[row].prompt, row))
    least = min(len(pair.prompt) for pair in pairs) - 1
    opening = min(_common(pairs[order[0]].prompt, pairs[order[-1]].prompt), least)
    opening = opening if opening >= LEAST_SHARED and len(pairs) > 1 else 0
    groups: list[Group] = []
    for row in order:
        prompt = pairs[row].prompt
        if groups and (group := groups[-1]):
            common = min(_common(pairs[group.rows[0]].prompt[: group.length], prompt), len(prompt) - 1)
            if common - opening >= max(LEAST_SHARED, (group.length - opening) / 2):
                groups[-1] = Group([*group.rows, row], common)
                continue
        groups.append(Group([row], len(prompt) - 1))
    return opening, groups


def _cost(pairs: Sequence[Pair], group: Group, opening: int) -> int:
    """Tokens a group adds to a row."""
    ends = sum(len(pairs[row].prompt) + len(pairs[row].answer) - 1 - group.length for row in group.rows)
    return group.length - opening + ends


def _portions(pairs: Sequence[Pair], groups: Iterable[Group], opening: int) -> Iterator[Group]:
    """The groups, those that are too large for one batch in several parts; each part computes the beginning again."""
    for group in groups:
        part: list[int] = []
        for row in group.rows:
            grown = Group([*part, row], group.length)
            answers = sum(len(pairs[member].answer) for member in grown.rows)
            if part and (_cost(pairs, grown, opening) > BATCH_TOKENS or answers > BATCH_ANSWER_TOKENS):
                yield Group(part, group.length)
                part = []
            part.append(row)
        yield Group(part, group.length)


def _score_packed(model: Any, pairs: Sequence[Pair], groups: Sequence[Group], opening: int) -> Scored:
    import torch

    row = sequence_packing.start(pairs[groups[0].rows[0]].prompt[:opening])
    for group in groups:
        stem = pairs[group.rows[0]].prompt[opening : group.length]
        members = [pairs[one] for one in group.rows]
        tails = [(one.prompt[group.length :] + one.answer[:-1], len(one.answer)) for one in members]
        sequence_packing.add(row, stem, tails)
    rows = [one for group in groups for one in group.rows]
    with torch.inference_mode():
        return _means(sequence_packing.logits(model, row), pairs, rows)


def _score_padded(model: Any, pairs: Sequence[Pair]) -> Iterator[Scored]:
    """Every pair whole, the longest first, in batches of like length."""
    lengths = [len(pair.prompt) + len(pair.answer) - 1 for pair in pairs]
    batch: list[int] = []
    for row in sorted(range(len(pairs)), key=lambda row: (-lengths[row], row)):
        answers = sum(len(pairs[member].answer) for member in [*batch, row])
        too_long = batch and lengths[batch[0]] * (len(batch) + 1) > BATCH_TOKENS
        if batch and (too_long or answers > BATCH_ANSWER_TOKENS):
            yield _score_batch(model, pairs, batch)
            batch = []
        batch.append(row)
    yield _score_batch(model, pairs, batch)


def _score_batch(model: Any, pairs: Sequence[Pair], rows: list[int]) -> Scored:
    import torch

    inputs = [pairs[row].prompt + pairs[row].answer[:-1] for row in rows]
    ids = torch.zeros(len(rows), max(map(len, inputs)), dtype=torch.long)  # (rows, tokens), padded on the right
    mask = torch.zeros_like(ids)
    # The states that predict an answer are the last ones of a row, one for each of its tokens.
    wanted = torch.zeros_like(ids, dtype=torch.bool)
    for place, (row, given) in enumerate(zip(rows, inputs, strict=True)):
        ids[place, : len(given)] = torch.tensor(given)
        mask[place, : len(given)] = 1
        wanted[place, len(given) - len(pairs[row].answer) : len(given)] = True
    device = model.device
    with torch.inference_mode(), answer_logits.states_at(model, wanted.to(device)):
        logits = model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).logits
        return _means(logits.view(-1, logits.shape[-1]), pairs, rows)


def _means(logits: torch.Tensor, pairs: Sequence[Pair], rows: list[int]) -> Scored:
    """Scores from the logits of every answer token of these rows, one row after the other."""
    import torch

    targets = torch.tensor([token for row in rows for token in pairs[row].answer], device=logits.device)
    values = answer_logits.token_log_probs(logits.float(), targets).double().cpu().numpy()  # (answer tokens,)
    parts = np.split(values, np.cumsum([len(pairs[row].answer) for row in rows])[:-1])
    return Scored(list(rows), [float(part.mean()) for part in parts])


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """How many ids two sequences begin with in common."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))
