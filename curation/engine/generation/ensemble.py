"""One answer from several passages, each in a prompt of its own: p(y|x) = Σ_c p_LM(y|c∘x)·p_R(c|x).

RA-DIT's ensemble (Lin et al. 2023, arXiv 2310.01352, §2.1). We differ in two ways: y is taken from the answers that
the single prompts give, not grown token by token, so any generator that can score will do; and p_LM(y|c∘x) is
exp of the mean log-probability per token, so that long answers are not punished.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from curation.engine.generation.generator import Generator

# Standard scores are fused (retrieval.engine.indexes.score_fusion): one standard deviation is a factor of e.
FUSED_TEMPERATURE = 1.0


def shares(scores: Sequence[float], temperature: float = FUSED_TEMPERATURE) -> NDArray[np.float64]:
    """(n,) p_R: the softmax of the retriever's scores over its temperature; at least one score."""
    scaled = np.asarray(scores, dtype=float) / temperature
    weights = np.exp(scaled - scaled.max())
    found: NDArray[np.float64] = weights / weights.sum()
    return found


def write(
    generator: Generator,
    questions: Sequence[tuple[Sequence[str], NDArray[np.float64]]],
    max_tokens: int,
) -> list[str]:
    """The likeliest answer to each question, which is its prompts, one a passage, and their p_R.

    Equal ones: that of the better passage. Empty where every prompt is answered with nothing.
    """
    prompts = [prompt for some, _shares in questions for prompt in some]
    written = iter(generator.generate(prompts, max_tokens))
    drafts = [[next(written) for _prompt in some] for some, _shares in questions]
    answers = [[answer for answer in dict.fromkeys(given) if answer] for given in drafts]
    open_ones = [place for place, different in enumerate(answers) if len(different) > 1]
    pairs = [(prompt, answer) for place in open_ones for answer in answers[place] for prompt in questions[place][0]]
    likely = iter(np.exp(np.asarray(generator.score(pairs)))) if pairs else iter(())
    chosen = [different[0] if different else "" for different in answers]
    for place in open_ones:
        weight = questions[place][1]
        mixed = [float(sum(share * next(likely) for share in weight)) for _answer in answers[place]]
        chosen[place] = answers[place][int(np.argmax(mixed))]
    return chosen
