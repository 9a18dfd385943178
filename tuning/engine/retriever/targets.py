"""Target distributions over passages: from people's grades and, in LM-supervised retrieval, from the language model.

An unjudged passage never gets a grade here: the human target covers judged passages alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curation.engine.statistics import relevance

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def human_target(grades: Floats, temperature: float) -> Floats | None:
    """Return t_H = softmax(ḡ / T_g) over the judged passages; None when none of them is relevant.

    grades: (m,) consensus grades ḡ of the judged passages, fractions allowed (ListNet's top-one
    probabilities, Cao et al. 2007, doi:10.1145/1273496.1273513, over grades divided by T_g).
    A query without a relevant passage has no target: only its negatives train the retriever.
    """
    if not relevance.has_relevant(grades):
        return None
    return softmax(grades / temperature)


def lm_target(scores: Floats, temperature: float, without_passage: float | None = None) -> Floats | None:
    """Return t_L = softmax(ℓ / τ) over the scored passages; None when no passage helps the language model.

    scores: (k,) mean log-probability per token of the settled answer given each passage. The mean, and
    not the sum of Lin et al. 2023 (arXiv 2310.01352, §2.4): with a sum divided by τ = 0.01 the target of a
    five-token answer is one-hot and that of a long one uniform. without_passage: ℓ_∅; when no passage beats
    it the answer needs none, and the query has no such target.
    """
    if not len(scores) or (without_passage is not None and scores.max() <= without_passage):
        return None
    return softmax(scores / temperature)


def positives(grades: Floats) -> Bools:
    """Return which judged passages (m,) are positives: nearest grade 2 or more, or 1 when none reaches 2.

    All false when no passage is relevant. Beside a passage of grade 2, a related one is neither positive nor negative.
    """
    min_grade = relevance.min_positive_grade(grades)
    return np.array([relevance.is_positive(grade, min_grade) for grade in grades], dtype=np.bool_)


def query_weights(reliabilities: Floats) -> Floats:
    """Return w_q (n,) with mean 1 over the training queries, so that the weights do not change the step size."""
    mean = float(reliabilities.mean()) if len(reliabilities) else 0.0
    if mean <= 0:
        raise ValueError("At least one query must have a reliability above 0.")
    weights: Floats = reliabilities / mean
    return weights


def softmax(values: Floats) -> Floats:
    """Return (n,) positive numbers of sum 1."""
    powers = np.exp(values - values.max())
    probabilities: Floats = powers / powers.sum()
    return probabilities
