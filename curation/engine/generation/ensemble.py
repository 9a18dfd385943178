"""The ensemble: one answer from several passages, each in a prompt of its own: p(y|x) = Σ_c p_LM(y|c∘x)·p_R(c|x).

RA-DIT's ensemble (Lin et al. 2023, arXiv 2310.01352, §2.1). Two differences: y is chosen among the answers to the
single prompts, not generated token by token, so any generator that can score will do; and p_LM(y|c∘x) is exp of the
mean log-likelihood per token, so that long answers are not punished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from curation.engine.generation.generator import Generator

Floats = NDArray[np.float64]

# Scores of a fused ranking are standard scores (retrieval.engine.indexes.score_fusion): one standard deviation is a
# factor of e.
FUSED_TEMPERATURE = 1.0


def retrieval_probabilities(scores: Sequence[float], temperature: float = FUSED_TEMPERATURE) -> Floats:
    """Return (n,) p_R: the softmax of the retriever's scores over its temperature; at least one score."""
    scaled = np.asarray(scores, dtype=float) / temperature
    powers = np.exp(scaled - scaled.max())
    probabilities: Floats = powers / powers.sum()
    return probabilities


def generate(
    generator: Generator,
    questions: Sequence[tuple[Sequence[str], Floats]],
    max_tokens: int,
) -> list[str]:
    """Return the most likely answer to each question, in their order.

    questions: for each its prompts, one a passage and best passage first, and their (prompts,) p_R. Of equally
    likely answers the one from the better passage. Empty where every prompt gives an empty answer.
    """
    prompts = [prompt for own_prompts, _probabilities in questions for prompt in own_prompts]
    drafts = iter(generator.generate(prompts, max_tokens))
    answers = [_distinct([next(drafts) for _prompt in own_prompts]) for own_prompts, _probabilities in questions]
    undecided = [row for row, candidates in enumerate(answers) if len(candidates) > 1]
    pairs = [(prompt, answer) for row in undecided for answer in answers[row] for prompt in questions[row][0]]
    likelihoods = iter(np.exp(np.asarray(generator.score(pairs)))) if pairs else iter(())
    chosen = [candidates[0] if candidates else "" for candidates in answers]
    for row in undecided:
        chosen[row] = _most_likely(answers[row], questions[row][1], likelihoods)
    return chosen


def _most_likely(answers: Sequence[str], probabilities: Floats, likelihoods: Iterator[np.float64]) -> str:
    """Return the answer with the largest Σ_c p_LM·p_R; likelihoods: for each answer one a prompt, consumed here."""
    mixtures = [float(sum(p * next(likelihoods) for p in probabilities)) for _answer in answers]
    return answers[int(np.argmax(mixtures))]


def _distinct(drafts: Sequence[str]) -> list[str]:
    """Return the different answers in order, without empty ones."""
    return [answer for answer in dict.fromkeys(drafts) if answer]
