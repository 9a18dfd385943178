"""One answer from several prompts: the mixture worked by hand, and a real generator's own numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from curation.engine.generation import ensemble
from curation.engine.generation.generator import TextGenerator


class Known(TextGenerator):
    """Writes and scores what it is told."""

    def __init__(self, writes: dict[str, str], likely: dict[tuple[str, str], float]) -> None:
        self.writes, self.likely = writes, likely
        self.scored = 0

    def generate(self, prompts: Sequence[str], max_tokens: int = 9, on_progress: object = None) -> list[str]:
        return [self.writes[prompt] for prompt in prompts]

    def score(self, pairs: Sequence[tuple[str, str]], on_progress: object = None):  # type: ignore[no-untyped-def]
        self.scored += len(pairs)
        return np.log([self.likely[pair] for pair in pairs])


def test_shares_are_the_softmax_over_the_temperature() -> None:
    # e^(1/0.5) : e^0 = 7.389 : 1
    assert ensemble.shares([1.0, 0.0], 0.5).tolist() == pytest.approx(
        [math.e**2 / (math.e**2 + 1), 1 / (math.e**2 + 1)]
    )
    assert ensemble.shares([1000.0, 0.0]).tolist() == [1.0, 0.0]  # no overflow


def test_the_answer_is_the_likeliest_over_all_passages() -> None:
    likely = {("a", "yes"): 0.6, ("b", "yes"): 0.1, ("a", "no"): 0.3, ("b", "no"): 0.9}
    generator = Known({"a": "yes", "b": "no"}, likely)
    # yes: 0.7·0.6 + 0.3·0.1 = 0.45; no: 0.7·0.3 + 0.3·0.9 = 0.48
    assert ensemble.write(generator, [(["a", "b"], np.array([0.7, 0.3]))], 9) == ["no"]
    # yes: 0.8·0.6 + 0.2·0.1 = 0.50; no: 0.8·0.3 + 0.2·0.9 = 0.42
    assert ensemble.write(generator, [(["a", "b"], np.array([0.8, 0.2]))], 9) == ["yes"]


def test_answers_that_agree_or_are_empty_are_not_scored() -> None:
    generator = Known({"a": "yes", "b": "yes", "c": "", "d": ""}, {})
    both = np.array([0.5, 0.5])
    asked = [(["a", "b"], both), (["c", "a"], both), (["c", "d"], both), (["b"], np.array([1.0]))]
    assert ensemble.write(generator, asked, 9) == ["yes", "yes", "", "yes"]
    assert generator.scored == 0
    assert ensemble.write(generator, [], 9) == []


def test_questions_together_are_answered_as_each_alone(generator_folder: Path) -> None:
    generator = TextGenerator(generator_folder)
    asked = [([f"{place} {word}?" for word in ("one", "two", "six")], np.array([0.5, 0.3, 0.2])) for place in "abc"]
    together = ensemble.write(generator, asked, 4)
    assert together == [ensemble.write(generator, [one], 4)[0] for one in asked]
    for answer, (prompts, weights) in zip(together, asked, strict=True):
        drafts = generator.generate(prompts, 4)
        mixed = {draft: weights @ np.exp(generator.score([(p, draft) for p in prompts])) for draft in drafts if draft}
        assert mixed[answer] == pytest.approx(max(mixed.values()))
