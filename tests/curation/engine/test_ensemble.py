"""The ensemble of several prompts: the mixture by hand, and with a real generator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from curation.engine.generation import ensemble
from curation.engine.generation.generator import TextGenerator


class FakeGenerator(TextGenerator):
    """A generator with given answers and given likelihoods."""

    def __init__(self, answers: dict[str, str], likelihoods: dict[tuple[str, str], float]) -> None:
        self.answers, self.likelihoods = answers, likelihoods
        self.scored = 0

    def generate(self, prompts: Sequence[str], max_tokens: int = 9, on_progress: object = None) -> list[str]:
        return [self.answers[prompt] for prompt in prompts]

    def score(self, pairs: Sequence[tuple[str, str]], on_progress: object = None):  # type: ignore[no-untyped-def]
        self.scored += len(pairs)
        return np.log([self.likelihoods[pair] for pair in pairs])


def test_retrieval_probabilities_are_the_softmax_over_the_temperature() -> None:
    # e^(1/0.5) : e^0 = 7.389 : 1
    assert ensemble.retrieval_probabilities([1.0, 0.0], 0.5).tolist() == pytest.approx(
        [math.e**2 / (math.e**2 + 1), 1 / (math.e**2 + 1)]
    )
    assert ensemble.retrieval_probabilities([1000.0, 0.0]).tolist() == [1.0, 0.0]  # no overflow


def test_the_answer_is_the_most_likely_one_over_all_passages() -> None:
    likelihoods = {("a", "yes"): 0.6, ("b", "yes"): 0.1, ("a", "no"): 0.3, ("b", "no"): 0.9}
    generator = FakeGenerator({"a": "yes", "b": "no"}, likelihoods)
    # yes: 0.7·0.6 + 0.3·0.1 = 0.45; no: 0.7·0.3 + 0.3·0.9 = 0.48
    assert ensemble.generate(generator, [(["a", "b"], np.array([0.7, 0.3]))], 9) == ["no"]
    # yes: 0.8·0.6 + 0.2·0.1 = 0.50; no: 0.8·0.3 + 0.2·0.9 = 0.42
    assert ensemble.generate(generator, [(["a", "b"], np.array([0.8, 0.2]))], 9) == ["yes"]


def test_answers_that_agree_or_are_empty_are_not_scored() -> None:
    generator = FakeGenerator({"a": "yes", "b": "yes", "c": "", "d": ""}, {})
    both = np.array([0.5, 0.5])
    questions = [(["a", "b"], both), (["c", "a"], both), (["c", "d"], both), (["b"], np.array([1.0]))]
    assert ensemble.generate(generator, questions, 9) == ["yes", "yes", "", "yes"]
    assert generator.scored == 0
    assert ensemble.generate(generator, [], 9) == []


def test_questions_in_one_call_get_the_answers_of_single_calls(generator_folder: Path) -> None:
    generator = TextGenerator(generator_folder)
    questions = [([f"{place} {word}?" for word in ("one", "two", "six")], np.array([0.5, 0.3, 0.2])) for place in "abc"]
    together = ensemble.generate(generator, questions, 4)
    assert together == [ensemble.generate(generator, [question], 4)[0] for question in questions]
    for answer, (prompts, weights) in zip(together, questions, strict=True):
        drafts = generator.generate(prompts, 4)
        mixed = {draft: weights @ np.exp(generator.score([(p, draft) for p in prompts])) for draft in drafts if draft}
        assert mixed[answer] == pytest.approx(max(mixed.values()))
