"""ℓ, the mean log-probability of an answer's tokens after a prompt, for many pairs at the cost of few.

What pairs have in common is computed once: the opening all of them share, then the prompts up to where the
pairs about one passage part (passages come before the question, see prompting). The rest runs in batches of
like length, and the head that turns states into the whole vocabulary sees only the places that predict an
answer token. The numbers are those of one plain call per pair, within rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    Cached = list[tuple[torch.Tensor, torch.Tensor]]  # per layer, keys and values (rows, heads, tokens, size)

# Tokens in one batch: enough to fill the matrix units, few enough to stay near the processor.
BATCH_TOKENS = 2048
# Tokens of shared prompt kept at a time, and answer tokens whose logits over the vocabulary exist at a time.
SHARED_TOKENS = 4096
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
class _Shared:
    """Beginnings that were computed: row i of the cache holds lengths[i] tokens, padded on the right."""

    cached: Cached
    lengths: list[int]

    @property
    def width(self) -> int:
        return max(self.lengths, default=0)


@dataclass(frozen=True)
class Group:
    """Pairs whose prompts share their first `length` tokens."""

    rows: list[int]
    length: int


def score_pairs(model: Any, pairs: Sequence[Pair], *, shares: bool | None = None) -> Iterator[Scored]:
    """Batches of scores as they are computed, in no particular order, every pair exactly once.

    model: a causal language model of transformers in eval mode. shares: compute common beginnings once;
    by default where the model's layers allow it.
    """
    if not pairs:
        return
    if not (can_share(model) if shares is None else shares):
        yield from _score_rows(model, pairs, list(range(len(pairs))), None, {})
        return
    opening, groups = plan(pairs)
    root = _extend(model, [pairs[0].prompt[:opening]], None, [0]) if opening else None
    singles = [group.rows[0] for group in groups if len(group.rows) == 1]
    yield from _score_rows(model, pairs, singles, root, dict.fromkeys(singles, 0))
    many = sorted((group for group in groups if len(group.rows) > 1), key=lambda group: (-group.length, group.rows))
    for chunk in _chunks(many):
        beginnings = [pairs[group.rows[0]].prompt[opening : group.length] for group in chunk]
        shared = _extend(model, beginnings, root, [0] * len(chunk))
        parents = {row: place for place, group in enumerate(chunk) for row in group.rows}
        yield from _score_rows(model, pairs, list(parents), shared, parents)


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


def can_share(model: Any) -> bool:
    """Whether every layer keeps all it saw, so that its memory can be handed on."""
    config = model.config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return kinds == {"full_attention"} and not getattr(config, "sliding_window", None)


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


def _score_rows(
    model: Any, pairs: Sequence[Pair], rows: list[int], shared: _Shared | None, parents: dict[int, int]
) -> Iterator[Scored]:
    """Score rows that continue a shared beginning, the longest first, in batches of like length."""
    lengths = {row: shared.lengths[parents[row]] if shared else 0 for row in rows}
    rest = {row: len(pairs[row].prompt) + len(pairs[row].answer) - 1 - lengths[row] for row in rows}
    batch: list[int] = []
    for row in sorted(rows, key=lambda row: (-rest[row], row)):
        answers = sum(len(pairs[member].answer) for member in [*batch, row])
        too_long = batch and rest[batch[0]] * (len(batch) + 1) > BATCH_TOKENS
        if batch and (too_long or answers > BATCH_ANSWER_TOKENS):
            yield _score_batch(model, pairs, batch, shared, parents)
            batch = []
        batch.append(row)
    if batch:
        yield _score_batch(model, pairs, batch, shared, parents)


def _score_batch(
    model: Any, pairs: Sequence[Pair], rows: list[int], shared: _Shared | None, parents: dict[int, int]
) -> Scored:
    import torch

    done = [shared.lengths[parents[row]] if shared else 0 for row in rows]
    inputs = [(pairs[row].prompt + pairs[row].answer[:-1])[start:] for row, start in zip(rows, done, strict=True)]
    # The states that predict an answer are the last ones of a row, one for each of its tokens.
    wanted = torch.zeros(len(rows), max(map(len, inputs)), dtype=torch.bool, device=model.device)
    for place, (row, ids) in enumerate(zip(rows, inputs, strict=True)):
        wanted[place, len(ids) - len(pairs[row].answer) : len(ids)] = True
    targets = torch.tensor([token for row in rows for token in pairs[row].answer], device=model.device)
    with torch.inference_mode(), states_at(model, wanted):
        logits = _forward(model, inputs, shared, [parents.get(row, 0) for row in rows]).logits.float()
        values = token_log_probs(logits.view(-1, logits.shape[-1]), targets).double()  # (answer tokens,)
    ends = np.cumsum([len(pairs[row].answer) for row in rows])
    parts = np.split(values.cpu().numpy(), ends[:-1])
    return Scored(list(rows), [float(part.mean()) for part in parts])


def token_log_probs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(n,) log-probability of each target under its row of logits (n, vocabulary)."""
    return logits.gather(-1, targets[:, None])[:, 0] - logits.logsumexp(-1)


@contextmanager
def states_at(model: Any, wanted: torch.Tensor) -> Iterator[None]:
    """Inside, the model's logits are those of the wanted places alone, (wanted, vocabulary), in reading order.

    wanted: (rows, tokens) booleans. What the model does to its logits (caps, scales) still happens.
    """
    head = model.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _module, states: (states[0][wanted],))
    try:
        yield
    finally:
        handle.remove()


def _extend(model: Any, beginnings: list[list[int]], shared: _Shared | None, parents: list[int]) -> _Shared:
    """The memory of each beginning, which continues the shared row `parents` names."""
    import torch

    nothing = torch.zeros(len(beginnings), max(map(len, beginnings)), dtype=torch.bool, device=model.device)
    with torch.inference_mode(), states_at(model, nothing):
        cache = _forward(model, beginnings, shared, parents, keeps=True).past_key_values
    start = shared.lengths if shared else [0]
    # A parent's padding would stand in the middle of its child: `plan` only continues the opening, which has none.
    lengths = [start[parent] + len(ids) for parent, ids in zip(parents, beginnings, strict=True)]
    return _Shared([(layer.keys, layer.values) for layer in cache.layers], lengths)


def _forward(
    model: Any, inputs: list[list[int]], shared: _Shared | None, parents: list[int], keeps: bool = False
) -> Any:
    """Run rows of ids, padded on the right, each after the shared beginning it continues."""
    import torch
    from transformers import DynamicCache

    width, past = max(map(len, inputs)), shared.width if shared else 0
    ids = torch.zeros(len(inputs), width, dtype=torch.long)
    mask = torch.zeros(len(inputs), past + width, dtype=torch.long)
    starts = torch.zeros(len(inputs), 1, dtype=torch.long)
    for place, (row, parent) in enumerate(zip(inputs, parents, strict=True)):
        start = shared.lengths[parent] if shared else 0
        ids[place, : len(row)] = torch.tensor(row)
        mask[place, :start] = 1
        mask[place, past : past + len(row)] = 1
        starts[place] = start
    device = model.device
    cache = None
    if shared:
        chosen = torch.tensor(parents, device=device)
        cache = DynamicCache([(keys[chosen], values[chosen]) for keys, values in shared.cached])
    return model(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        position_ids=(starts + torch.arange(width)).to(device),  # (rows, tokens)
        past_key_values=cache,
        use_cache=keeps or shared is not None,
    )


def _chunks(groups: list[Group]) -> Iterator[list[Group]]:
    """Groups whose beginnings fit into memory together."""
    chunk: list[Group] = []
    for group in groups:
        if chunk and chunk[0].length * (len(chunk) + 1) > SHARED_TOKENS:
            yield chunk
            chunk = []
        chunk.append(group)
    if chunk:
        yield chunk


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """How many ids two sequences begin with in common."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))
