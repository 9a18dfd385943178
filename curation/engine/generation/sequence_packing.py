"""Many prompts in one row of ids: no padding, and what they share computed once, in the same call.

A row is an opening that all prompts begin with, then block after block: a stem, which several prompts continue the
opening with, and behind it the tails in which they part. Everything but attention works on single tokens, so the row
goes through a model as it is; `attend` lets each token see its own prompt alone. It enters by the seam transformers
has for that (AttentionInterface), so the model's own code runs, and masks of a whole row squared never exist.
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

NAME = "tandem_packed"
# Queries in one attention call: its kernel computes every key for every query of a call, so a causal stem is
# taken in steps, and tails do not pay for many others.
STEP = 64


@dataclass(frozen=True)
class Block:
    """Places in the row: a stem, and the tails behind it, each [start, stop)."""

    stem: tuple[int, int]
    tails: list[tuple[int, int]]


@dataclass(frozen=True)
class Row:
    """What a call is given.

    ids, positions: (tokens,), positions as each prompt would have them alone. opening: how many tokens every
    block continues. wanted: places whose logits are asked for, in the order in which they were added.
    """

    opening: int
    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)


def start(opening: Sequence[int]) -> Row:
    """A row with nothing but its opening, which may be empty."""
    return Row(len(opening), list(opening), list(range(len(opening))))


def add(row: Row, stem: Sequence[int], tails: Sequence[tuple[Sequence[int], int]]) -> None:
    """Append a block: what follows the opening, then for each prompt how it ends and how many of its last logits
    are wanted."""
    begin = len(row.ids)
    row.ids.extend(stem)
    row.positions.extend(range(row.opening, row.opening + len(stem)))
    places = []
    for ids, wanted in tails:
        first = len(row.ids)
        row.ids.extend(ids)
        row.positions.extend(range(row.opening + len(stem), row.opening + len(stem) + len(ids)))
        places.append((first, len(row.ids)))
        row.wanted.extend(range(len(row.ids) - wanted, len(row.ids)))
    row.blocks.append(Block((begin, begin + len(stem)), places))


def can_pack(model: Any) -> bool:
    """Whether the model takes attention from outside, and its layers attend to all that came before and no less."""
    config = model.config.get_text_config(decoder=True)
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    is_plain = kinds == {"full_attention"} and not getattr(config, "sliding_window", None)
    is_capped = getattr(config, "attn_logit_softcapping", None) is not None
    return bool(getattr(model, "_supports_attention_backend", False)) and is_plain and not is_capped


def logits(model: Any, row: Row) -> torch.Tensor:
    """(wanted, vocabulary) of the row's wanted places. Nobody else may use the model meanwhile."""
    import torch

    device = model.device
    wanted = torch.zeros(1, len(row.ids), dtype=torch.bool, device=device)
    wanted[0, row.wanted] = True
    with _attending(model), answer_logits.states_at(model, wanted):
        out: torch.Tensor = model(
            input_ids=torch.tensor([row.ids], device=device),
            position_ids=torch.tensor([row.positions], device=device),
            use_cache=False,
            packed=_Plan(row, device),
        ).logits
    return out.view(-1, out.shape[-1])


class _Call:
    """One attention call: queries at [start, stop), the places of their keys, and what each query may see."""

    def __init__(self, start: int, stop: int, keys: list[tuple[int, int]], mask: torch.Tensor) -> None:
        self.start, self.stop, self.keys, self.mask = start, stop, keys, mask


class _Plan:
    """The attention calls of a row, worked out once for all layers.

    sizes: tokens of the opening and of each block, which follow each other. parts: the calls of each, in the order of
    their queries.
    """

    def __init__(self, row: Row, device: Any) -> None:
        self.opening = row.opening
        ends = [row.opening, *((block.tails or [block.stem])[-1][1] for block in row.blocks)]
        self.sizes = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        self.calls = [_Call(*call) for call in _calls(row, device)]
        self.parts: list[list[_Call]] = [[] for _size in self.sizes]
        for call in self.calls:
            self.parts[bisect_right(ends, call.start)].append(call)


def _calls(row: Row, device: Any) -> Iterator[tuple[int, int, list[tuple[int, int]], torch.Tensor]]:
    opening = (0, row.opening)
    yield from _causal([], opening, device)
    for block in row.blocks:
        yield from _causal([opening], block.stem, device)
        chunk: list[tuple[int, int]] = []
        for tail in block.tails:
            if chunk and tail[1] - chunk[0][0] > STEP:
                yield _parted([opening, block.stem], chunk, device)
                chunk = []
            chunk.append(tail)
        if chunk:
            yield _parted([opening, block.stem], chunk, device)


def _causal(
    before: list[tuple[int, int]], part: tuple[int, int], device: Any
) -> Iterator[tuple[int, int, list[tuple[int, int]], torch.Tensor]]:
    """Tokens that see all of `before` and each other up to themselves."""
    import torch

    seen = sum(stop - first for first, stop in before)
    for begin in range(part[0], part[1], STEP):
        end = min(begin + STEP, part[1])
        mask = torch.ones(end - begin, seen + end - part[0], dtype=torch.bool, device=device)
        yield begin, end, [*before, (part[0], end)], mask.tril(seen + begin - part[0])


def _parted(
    before: list[tuple[int, int]], tails: list[tuple[int, int]], device: Any
) -> tuple[int, int, list[tuple[int, int]], torch.Tensor]:
    """Neighbouring tails: each token sees all of `before` and its own tail up to itself."""
    import torch

    seen, begin, end = sum(stop - first for first, stop in before), tails[0][0], tails[-1][1]
    mask = torch.zeros(end - begin, seen + end - begin, dtype=torch.bool, device=device)
    mask[:, :seen] = True
    for first, stop in tails:
        own = torch.ones(stop - first, stop - first, dtype=torch.bool, device=device)
        mask[first - begin : stop - begin, seen + first - begin : seen + stop - begin] = own.tril()
    return begin, end, [*before, (begin, end)], mask


def attend(
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
    """(1, tokens, heads, size): what each token of a packed row takes from the tokens it may see.

    query (1, heads, tokens, size), key and value (1, key heads, tokens, size); attention_mask is not used.
    """
    import torch

    grouped = query.shape[1] != key.shape[1]
    queries, keys, values = (torch.functional.split(states, packed.sizes, dim=2) for states in (query, key, value))
    found, begin = [], 0
    for place, calls in enumerate(packed.parts):
        own_keys, own_values = (_after(states, place) for states in (keys, values))
        shift = begin - packed.opening if place else 0  # from places in the row to places in what the block sees
        for call in calls:
            ranges = [(first - shift * (first >= begin), stop - shift * (first >= begin)) for first, stop in call.keys]
            found.append(
                torch.nn.functional.scaled_dot_product_attention(
                    queries[place][:, :, call.start - begin : call.stop - begin],
                    _joined(own_keys, ranges),
                    _joined(own_values, ranges),
                    attn_mask=call.mask,
                    scale=scaling,
                    enable_gqa=grouped,
                )
            )
        begin += packed.sizes[place]
    return torch.cat(found, dim=2).transpose(1, 2), None


def _after(parts: Sequence[torch.Tensor], place: int) -> torch.Tensor:
    """What a block's tokens can see at all: the opening and the block."""
    import torch

    if place == 0 or not parts[0].shape[2]:
        return parts[place]
    return torch.cat([parts[0], parts[place]], dim=2)


def _joined(states: torch.Tensor, places: list[tuple[int, int]]) -> torch.Tensor:
    """The states at these places; not copied where they stand together."""
    import torch

    runs: list[tuple[int, int]] = []
    for first, stop in places:
        if runs and runs[-1][1] == first:
            runs[-1] = (runs[-1][0], stop)
        elif first < stop:
            runs.append((first, stop))
    parts = [states[:, :, first:stop] for first, stop in runs]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


@contextmanager
def _attending(model: Any) -> Iterator[None]:
    """Inside, the model's layers attend by `attend`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    config = model.config.get_text_config(decoder=True)
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
