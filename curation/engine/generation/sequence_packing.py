"""Sequence packing: many prompts in one row of ids, without padding, with common prefixes computed once.

A row is an opening that all prompts begin with, then block after block. A block is a prefix, with which several
prompts continue the opening, and behind it the suffix of each prompt. Everything but attention works on single
tokens, so the row goes through a model as it is; `packed_attention` lets each token see its own prompt only. It is
registered through transformers' AttentionInterface, so the model's own code runs, and a mask over the whole row
squared never exists.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from curation.engine.generation import answer_logits

if TYPE_CHECKING:
    import torch

ATTENTION_NAME = "tandem_packed"
# Query tokens in one attention call: its kernel computes every key for every query of a call, so a causal prefix is
# split into several calls, and a call holds few suffixes.
MAX_QUERIES = 64

Span = tuple[int, int]  # positions [start, stop) in the row
_RawCall = tuple[int, int, list[Span], "torch.Tensor"]


@dataclass(frozen=True)
class Block:
    """A prefix and the suffixes behind it, as spans of the row."""

    prefix: Span
    suffixes: list[Span]


@dataclass(frozen=True)
class PackedRow:
    """The input of one call of the model.

    ids, positions: (tokens,), position ids as each prompt would have them alone. opening: how many tokens every block
    continues. target_positions: positions in the row whose logits are computed, in the order they were added.
    """

    opening: int
    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    target_positions: list[int] = field(default_factory=list)


def start_row(opening: Sequence[int]) -> PackedRow:
    """Return a row that holds only its opening, which may be empty."""
    return PackedRow(len(opening), list(opening), list(range(len(opening))))


def add_block(row: PackedRow, prefix: Sequence[int], suffixes: Sequence[tuple[Sequence[int], int]]) -> None:
    """Append a block to the row.

    prefix: ids that follow the opening. suffixes: for each prompt the ids that follow the prefix, and the number of
    its last positions whose logits are computed.
    """
    begin = len(row.ids)
    row.ids.extend(prefix)
    row.positions.extend(range(row.opening, row.opening + len(prefix)))
    spans = []
    for ids, target_count in suffixes:
        start = len(row.ids)
        row.ids.extend(ids)
        row.positions.extend(range(row.opening + len(prefix), row.opening + len(prefix) + len(ids)))
        spans.append((start, len(row.ids)))
        row.target_positions.extend(range(len(row.ids) - target_count, len(row.ids)))
    row.blocks.append(Block((begin, begin + len(prefix)), spans))


def can_pack(model: Any) -> bool:
    """Return whether the model accepts another attention function and its layers attend to all previous tokens."""
    config = model.config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    is_plain = kinds == {"full_attention"} and not getattr(config, "sliding_window", None)
    is_capped = getattr(config, "attn_logit_softcapping", None) is not None
    return bool(getattr(model, "_supports_attention_backend", False)) and is_plain and not is_capped


def packed_logits(model: Any, row: PackedRow) -> torch.Tensor:
    """Return the logits (target positions, vocabulary) of the row. Nobody else may use the model meanwhile."""
    import torch

    device = model.device
    targets = torch.zeros(1, len(row.ids), dtype=torch.bool, device=device)
    targets[0, row.target_positions] = True
    with _packed_attention_in(model), answer_logits.logits_only_at(model, targets):
        out: torch.Tensor = model(
            input_ids=torch.tensor([row.ids], device=device),
            position_ids=torch.tensor([row.positions], device=device),
            use_cache=False,
            packed=_Plan(row, device),
        ).logits
    return out.view(-1, out.shape[-1])


class _Call:
    """One attention call: query tokens [start, stop), the spans of their keys, and the mask (queries, keys)."""

    def __init__(self, start: int, stop: int, keys: list[Span], mask: torch.Tensor) -> None:
        self.start, self.stop, self.keys, self.mask = start, stop, keys, mask


class _Plan:
    """The attention calls of a row, computed once for all layers.

    sizes: tokens of the opening and of each block, in their order. parts: the calls of each, in the order of their
    queries.
    """

    def __init__(self, row: PackedRow, device: Any) -> None:
        self.opening = row.opening
        ends = [row.opening, *((block.suffixes or [block.prefix])[-1][1] for block in row.blocks)]
        self.sizes = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        self.calls = [_Call(*call) for call in _calls(row, device)]
        self.parts: list[list[_Call]] = [[] for _size in self.sizes]
        for call in self.calls:
            self.parts[bisect_right(ends, call.start)].append(call)


def _calls(row: PackedRow, device: Any) -> Iterator[_RawCall]:
    opening = (0, row.opening)
    yield from _causal_calls([], opening, device)
    for block in row.blocks:
        yield from _causal_calls([opening], block.prefix, device)
        chunk: list[Span] = []
        for suffix in block.suffixes:
            if chunk and suffix[1] - chunk[0][0] > MAX_QUERIES:
                yield _suffix_call([opening, block.prefix], chunk, device)
                chunk = []
            chunk.append(suffix)
        if chunk:
            yield _suffix_call([opening, block.prefix], chunk, device)


def _causal_calls(context: list[Span], span: Span, device: Any) -> Iterator[_RawCall]:
    """Yield calls for tokens that see all of `context` and the span up to themselves."""
    import torch

    seen = sum(stop - start for start, stop in context)
    for begin in range(span[0], span[1], MAX_QUERIES):
        end = min(begin + MAX_QUERIES, span[1])
        mask = torch.ones(end - begin, seen + end - span[0], dtype=torch.bool, device=device)
        yield begin, end, [*context, (span[0], end)], mask.tril(seen + begin - span[0])


def _suffix_call(context: list[Span], suffixes: list[Span], device: Any) -> _RawCall:
    """Return a call for neighbouring suffixes: each token sees all of `context` and its own suffix up to itself."""
    import torch

    seen, begin, end = sum(stop - start for start, stop in context), suffixes[0][0], suffixes[-1][1]
    mask = torch.zeros(end - begin, seen + end - begin, dtype=torch.bool, device=device)
    mask[:, :seen] = True
    for start, stop in suffixes:
        own = torch.ones(stop - start, stop - start, dtype=torch.bool, device=device)
        mask[start - begin : stop - begin, seen + start - begin : seen + stop - begin] = own.tril()
    return begin, end, [*context, (begin, end)], mask


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    packed: _Plan,
    scaling: float | None = None,
    **_others: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention output (1, tokens, heads, size) of a packed row, each token over the tokens it may see.

    query (1, heads, tokens, size), key and value (1, key heads, tokens, size); attention_mask is not used.
    """
    import torch

    is_grouped = query.shape[1] != key.shape[1]
    queries, keys, values = (torch.functional.split(states, packed.sizes, dim=2) for states in (query, key, value))
    outputs, begin = [], 0
    for part, calls in enumerate(packed.parts):
        own_keys, own_values = (_with_opening(states, part) for states in (keys, values))
        shift = begin - packed.opening if part else 0  # from positions in the row to positions in own_keys
        for call in calls:
            spans = [(start - shift * (start >= begin), stop - shift * (start >= begin)) for start, stop in call.keys]
            outputs.append(
                torch.nn.functional.scaled_dot_product_attention(
                    queries[part][:, :, call.start - begin : call.stop - begin],
                    _at_spans(own_keys, spans),
                    _at_spans(own_values, spans),
                    attn_mask=call.mask,
                    scale=scaling,
                    enable_gqa=is_grouped,
                )
            )
        begin += packed.sizes[part]
    return torch.cat(outputs, dim=2).transpose(1, 2), None


def _with_opening(parts: Sequence[torch.Tensor], part: int) -> torch.Tensor:
    """Return the states of the opening and of one block: all that the block's tokens may see."""
    import torch

    if part == 0 or not parts[0].shape[2]:
        return parts[part]
    return torch.cat([parts[0], parts[part]], dim=2)


def _at_spans(states: torch.Tensor, spans: list[Span]) -> torch.Tensor:
    """Return the states at these spans; not copied where the spans follow each other."""
    import torch

    runs: list[Span] = []
    for start, stop in spans:
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], stop)
        elif start < stop:
            runs.append((start, stop))
    pieces = [states[:, :, start:stop] for start, stop in runs]
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=2)


@contextmanager
def _packed_attention_in(model: Any) -> Iterator[None]:
    """Let the model's layers use `packed_attention` inside the block."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION_NAME, packed_attention)
    config = model.config.get_text_config(decoder=True)
    before = config._attn_implementation
    config._attn_implementation = ATTENTION_NAME
    try:
        yield
    finally:
        config._attn_implementation = before
