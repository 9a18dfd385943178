"""Drafts that people edited, as preferences: from the deployed prompt, the edit rather than the draft.

The loss is DPO's (Rafailov et al. 2023, arXiv 2305.18290, eq. 7) with an SFT term on the edit, which keeps its own
probability from falling with the draft's. It is TRL's; but that the SFT term is a mean over each pair's tokens, TRL's
over those of the batch. A prompt is computed once for both texts.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.engine.generation import log_likelihood
from curation.engine.generation.prompts import CountTokens, build_prompt
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.data.instances import Recipe
from tuning.engine.generator import answer_loss

if TYPE_CHECKING:
    import torch

LEAST_EDIT = 0.05  # of the characters: a smaller one says nothing about which text is better


@dataclass(frozen=True)
class Preference:
    """What the generator drafted from a prompt, and what people made of it."""

    query_id: str
    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True)
class Pair:
    """A preference as ids, both texts with the end mark, after one prompt."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def texts(self) -> list[log_likelihood.Pair]:
        return [log_likelihood.Pair(self.prompt, self.chosen), log_likelihood.Pair(self.prompt, self.rejected)]


@dataclass(frozen=True)
class Reference:
    """ln p of the chosen and the rejected text, summed over their tokens, by the weights DPO began with."""

    chosen: float
    rejected: float


def share_edited(draft: str, answer: str) -> float:
    """The share of the characters that are not common to both, in [0, 1]."""
    return 1 - SequenceMatcher(None, draft, answer, autojunk=False).ratio()


def is_edited(row: JudgedQuery) -> bool:
    """Whether the row has a draft and an answer that differ by more than a slip of the pen."""
    draft, answer = row.draft.strip(), row.answer.strip()
    return bool(draft and answer) and not row.is_unanswerable and share_edited(draft, answer) >= LEAST_EDIT


def make(
    queries: Iterable[JudgedQuery],
    passages: Mapping[str, str],
    drafted: Mapping[str, Sequence[str]],
    recipe: Recipe,
    *,
    count_tokens: CountTokens,
) -> list[Preference]:
    """A preference for each query whose draft was really edited, in their order.

    drafted: query_id → the passages its draft was written from, best first. A query of which they are not known,
    or of which one is gone, gives none: from another prompt the draft would not have been written.
    """
    made = []
    for query in queries:
        shown = list(drafted.get(query.query_id, ()))[: recipe.answer_passages]
        if not shown or not is_edited(query) or any(passage not in passages for passage in shown):
            continue
        texts = [passages[passage] for passage in shown]
        prompt = build_prompt(recipe.template, query.text, texts, count_tokens=count_tokens, budget=recipe.budget)
        made.append(Preference(query.query_id, prompt, query.answer.strip(), query.draft.strip()))
    return made


def read_drafted(path: Path) -> dict[str, list[str]]:
    """query_id → the passage ids its draft was written from, best first."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return {str(row["query_id"]): [str(passage) for passage in row["passages"]] for row in rows}


def references(model: Any, pairs: Sequence[Pair]) -> list[Reference]:
    """What the model as it is now thinks of both texts of each pair."""
    texts = [text for pair in pairs for text in pair.texts]
    means = log_likelihood.gathered(log_likelihood.score_pairs(model, texts), len(texts))
    sums = [float(mean) * len(text.answer) for mean, text in zip(means, texts, strict=True)]
    return [Reference(*sums[place : place + 2]) for place in range(0, len(sums), 2)]


def loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    reference: Sequence[Reference],
    lengths: torch.Tensor,
    beta: float,
    sft_weight: float,
) -> torch.Tensor:
    """(pairs,) -ln σ(β·(Δ chosen - Δ rejected)) - sft_weight · ln p(chosen) per token.

    chosen, rejected: (pairs,) ln p of the texts, summed over their tokens; Δ is the difference to the reference.
    lengths: (pairs,) tokens of the chosen text.
    """
    import torch

    before_chosen = torch.tensor([one.chosen for one in reference], dtype=chosen.dtype, device=chosen.device)
    before_rejected = torch.tensor([one.rejected for one in reference], dtype=chosen.dtype, device=chosen.device)
    margin = (chosen - before_chosen) - (rejected - before_rejected)
    return -torch.nn.functional.logsigmoid(beta * margin) - sft_weight * chosen / lengths


def gradients(
    model: Any, batch: Sequence[tuple[Pair, Reference]], batch_tokens: int, beta: float, sft_weight: float
) -> float:
    """Add the gradient of the batch's mean loss to the weights; the loss. The same for any `batch_tokens`."""
    total = 0.0
    for part in _parts(batch, batch_tokens):
        texts = [text for pair, _reference in part for text in pair.texts]
        sums = answer_loss.log_probs(model, texts).view(-1, 2)  # (pairs, chosen and rejected)
        lengths = sums.new_tensor([len(pair.chosen) for pair, _reference in part])
        reference = [one for _pair, one in part]
        share = loss(sums[:, 0], sums[:, 1], reference, lengths, beta, sft_weight).sum() / len(batch)
        share.backward()  # type: ignore[no-untyped-call]
        total += float(share.detach())
    return total


def dev_loss(model: Any, dev: Sequence[tuple[Pair, Reference]], beta: float, sft_weight: float) -> tuple[float, float]:
    """The mean loss of these pairs, and the share of them whose margin is above 0; of no pairs an error."""
    import torch

    model.eval()
    now = references(model, [pair for pair, _reference in dev])
    model.train()
    chosen, rejected = (torch.tensor([getattr(one, name) for one in now]) for name in ("chosen", "rejected"))
    lengths = torch.tensor([float(len(pair.chosen)) for pair, _reference in dev])
    before = [reference for _pair, reference in dev]
    found = loss(chosen, rejected, before, lengths, beta, sft_weight)
    wins = [(new.chosen - old.chosen) > (new.rejected - old.rejected) for new, old in zip(now, before, strict=True)]
    return float(found.mean()), sum(wins) / len(wins)


def batches(train: Sequence[tuple[Pair, Reference]], size: int, seed: int) -> Iterator[list[tuple[Pair, Reference]]]:
    """Batches without end: each epoch is every pair once, in an order of its own."""
    epoch = 0
    while True:
        order = list(train)
        random.Random(f"{seed} preferences {epoch}").shuffle(order)
        yield from (order[start : start + size] for start in range(0, len(order), size))
        epoch += 1


def _parts(batch: Sequence[tuple[Pair, Reference]], most_tokens: int) -> Iterator[list[tuple[Pair, Reference]]]:
    part: list[tuple[Pair, Reference]] = []
    tokens = 0
    for one in batch:
        cost = len(one[0].prompt) + len(one[0].chosen) + len(one[0].rejected)
        if part and tokens + cost > most_tokens:
            yield part
            part, tokens = [], 0
        part.append(one)
        tokens += cost
    yield part
