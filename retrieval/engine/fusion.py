"""Two scores of one passage into one: a weighted mean, after both were put on the same footing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

DEFAULT_WEIGHT = 0.7  # the dense share


def fuse(dense: FloatArray, lexical: FloatArray, weight: float) -> FloatArray:
    """(m,) weight × dense + (1 − weight) × lexical, each between 0 and 1 over this query's m candidates.

    Both scores are known for every candidate, whichever list it came from.
    """
    fused = weight * _scaled(dense) + (1 - weight) * _scaled(lexical)
    return np.round(fused, 6).astype(np.float32)


def _scaled(scores: FloatArray) -> FloatArray:
    """Least → 0, greatest → 1; all 0 when they do not differ."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    scaled: FloatArray = (scores - low) / (high - low) if high > low else np.zeros_like(scores)
    return scaled
