"""Preference pairs for DPO: from the deployed prompt, the edit that people made is preferred to the draft.

The loss is DPO's (Rafailov et al. 2023, arXiv 2305.18290, eq. 7) with an SFT term on the edit, which keeps its own
probability from falling with the draft's. It is TRL's, with one difference: the SFT term is a mean over the tokens of
each pair, TRL's over those of the batch. A prompt is computed once for both texts.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from curation.engine.generation import log_likelihood
from curation.engine.generation.log_likelihood import PromptAnswer
from curation.engine.generation.prompts import CountTokens, build_prompt
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.data.instances import Recipe
from tuning.engine.generator import answer_loss

if TYPE_CHECKING:
    import torch

MIN_EDITED_SHARE = 0.05  # of the characters: a smaller edit does not show which text is better


@dataclass(frozen=True)
class PreferencePair:
    """A prompt with the answer people settled on (`chosen`) and the generator's draft (`rejected`)."""

    query_id: str
    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True)
class TokenizedPair:
    """A preference pair as token ids; both texts have the end token."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def prompt_answers(self) -> list[PromptAnswer]:
        """The chosen text after the prompt, and the rejected one."""
        return [PromptAnswer(self.prompt, self.chosen), PromptAnswer(self.prompt, self.rejected)]


@dataclass(frozen=True)
class ReferenceLogProbs:
    """ln p of the chosen and the rejected text, summed over their tokens, by the weights before DPO."""

    chosen: float
    rejected: float


PairWithReference = tuple[TokenizedPair, ReferenceLogProbs]


def edited_share(draft: str, answer: str) -> float:
    """Return the share of the characters that the two texts do not have in common, in [0, 1]."""
    return 1 - SequenceMatcher(None, draft, answer, autojunk=False).ratio()


def is_edited(row: JudgedQuery) -> bool:
    """Return whether the row has a draft and an answer that differ by MIN_EDITED_SHARE or more."""
    draft, answer = row.draft.strip(), row.answer.strip()
    return bool(draft and answer) and not row.is_unanswerable and edited_share(draft, answer) >= MIN_EDITED_SHARE


def build_preference_pairs(
    queries: Iterable[JudgedQuery],
    passages: Mapping[str, str],
    draft_passages: Mapping[str, Sequence[str]],
    recipe: Recipe,
    *,
    count_tokens: CountTokens,
) -> list[PreferencePair]:
    """Return a preference pair for each query whose draft was edited (see `is_edited`), in their order.

    draft_passages: query_id → the passages its draft was generated from, best first. A query for which they are not
    known, or one of them is gone, gives no pair: with another prompt the draft would be another text.
    """
    pairs = []
    for query in queries:
        shown = list(draft_passages.get(query.query_id, ()))[: recipe.answer_passages]
        if not shown or not is_edited(query) or any(passage not in passages for passage in shown):
            continue
        texts = [passages[passage] for passage in shown]
        prompt = build_prompt(recipe.template, query.text, texts, count_tokens=count_tokens, budget=recipe.budget)
        pairs.append(PreferencePair(query.query_id, prompt, query.answer.strip(), query.draft.strip()))
    return pairs


def reference_log_probs(model: Any, pairs: Sequence[TokenizedPair]) -> list[ReferenceLogProbs]:
    """Return the log-probabilities of both texts of each pair under the model as it is now."""
    texts = [text for pair in pairs for text in pair.prompt_answers]
    means = log_likelihood.collect_scores(log_likelihood.score_pairs(model, texts), len(texts))
    sums = [float(mean) * len(text.answer) for mean, text in zip(means, texts, strict=True)]
    return [ReferenceLogProbs(*sums[start : start + 2]) for start in range(0, len(sums), 2)]


def dpo_loss(
    chosen: torch.Tensor,
    rejected: torch.Tensor,
    references: Sequence[ReferenceLogProbs],
    lengths: torch.Tensor,
    beta: float,
    sft_weight: float,
) -> torch.Tensor:
    """Return (pairs,) -ln σ(β·(Δ chosen - Δ rejected)) - sft_weight · ln p(chosen) per token.

    chosen, rejected: (pairs,) ln p of the texts, summed over their tokens; Δ is the difference to the reference.
    lengths: (pairs,) tokens of the chosen text.
    """
    import torch

    ref_chosen = torch.tensor([one.chosen for one in references], dtype=chosen.dtype, device=chosen.device)
    ref_rejected = torch.tensor([one.rejected for one in references], dtype=chosen.dtype, device=chosen.device)
    margin = (chosen - ref_chosen) - (rejected - ref_rejected)
    return -torch.nn.functional.logsigmoid(beta * margin) - sft_weight * chosen / lengths


def add_gradients(
    model: Any, batch: Sequence[PairWithReference], micro_batch_tokens: int, beta: float, sft_weight: float
) -> float:
    """Add the gradient of the batch's mean loss to the weights; return the loss. The same for any micro-batch size."""
    total = 0.0
    for micro_batch in _micro_batches(batch, micro_batch_tokens):
        texts = [text for pair, _reference in micro_batch for text in pair.prompt_answers]
        sums = answer_loss.log_probs(model, texts).view(-1, 2)  # (pairs, chosen and rejected)
        lengths = sums.new_tensor([len(pair.chosen) for pair, _reference in micro_batch])
        references = [reference for _pair, reference in micro_batch]
        losses = dpo_loss(sums[:, 0], sums[:, 1], references, lengths, beta, sft_weight)  # (pairs,)
        part = losses.sum() / len(batch)
        part.backward()  # type: ignore[no-untyped-call]
        total += float(part.detach())
    return total


def dev_loss(model: Any, dev: Sequence[PairWithReference], beta: float, sft_weight: float) -> tuple[float, float]:
    """Return the mean loss of these pairs, at least one, and the share of them whose margin is above 0."""
    import torch

    model.eval()
    log_probs = reference_log_probs(model, [pair for pair, _reference in dev])
    model.train()
    references = [reference for _pair, reference in dev]
    chosen, rejected = (torch.tensor([getattr(one, name) for one in log_probs]) for name in ("chosen", "rejected"))
    lengths = torch.tensor([float(len(pair.chosen)) for pair, _reference in dev])
    losses = dpo_loss(chosen, rejected, references, lengths, beta, sft_weight)
    wins = [
        (now.chosen - before.chosen) > (now.rejected - before.rejected)
        for now, before in zip(log_probs, references, strict=True)
    ]
    return float(losses.mean()), sum(wins) / len(wins)


def endless_batches(pairs: Sequence[PairWithReference], size: int, seed: int) -> Iterator[list[PairWithReference]]:
    """Yield batches without end: each epoch is every pair once, in a new order."""
    epoch = 0
    while True:
        order = list(pairs)
        random.Random(f"{seed} preferences {epoch}").shuffle(order)
        yield from (order[start : start + size] for start in range(0, len(order), size))
        epoch += 1


def _micro_batches(batch: Sequence[PairWithReference], max_tokens: int) -> Iterator[list[PairWithReference]]:
    """Yield the pairs in parts of at most `max_tokens`, one pair at least."""
    micro_batch: list[PairWithReference] = []
    tokens = 0
    for pair, reference in batch:
        own_tokens = len(pair.prompt) + len(pair.chosen) + len(pair.rejected)
        if micro_batch and tokens + own_tokens > max_tokens:
            yield micro_batch
            micro_batch, tokens = [], 0
        micro_batch.append((pair, reference))
        tokens += own_tokens
    yield micro_batch
