"""Answers of a release from given passages: the same for a person's question and for an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curation.engine.generation import ensemble
from curation.engine.generation.generator import DEFAULT_MAX_TOKENS, ApiGenerator, TextGenerator
from curation.engine.generation.prompts import build_prompt
from curation.models import Release
from curation.releases import lifecycle


@dataclass(frozen=True)
class QuestionWithPassages:
    """A question, the passages to answer it from, best first, and the scores of these passages."""

    text: str
    passages: Sequence[str]
    scores: Sequence[float]


def write_answers(release: Release, questions: Sequence[QuestionWithPassages]) -> list[str]:
    """Return the release's answer to each question, in their order, from its first `answer_passages` passages.

    Mode "together": one prompt holds all passages. Mode "parallel": one prompt per passage, and the answer is the
    most likely one under the ensemble of the prompts (curation.engine.generation.ensemble). A server that cannot
    score given answers always answers together.
    """
    return [text.replace("\x00", "") for text in _generate(release, questions)]  # PostgreSQL stores no NUL


def _generate(release: Release, questions: Sequence[QuestionWithPassages]) -> list[str]:
    generator = lifecycle.load_generator(release)
    if release.answer_mode == Release.AnswerMode.PARALLEL and can_ensemble(generator):
        return _generate_ensemble(release, generator, questions)
    depth = release.answer_passages
    return generator.generate([_prompt(release, generator, q.text, q.passages[:depth]) for q in questions])


def can_ensemble(generator: TextGenerator | ApiGenerator) -> bool:
    """Whether the generator can score a given answer. Raises ApiError where a server does not respond."""
    return not isinstance(generator, ApiGenerator) or generator.can_score


def _generate_ensemble(
    release: Release, generator: TextGenerator | ApiGenerator, questions: Sequence[QuestionWithPassages]
) -> list[str]:
    """Generate with one prompt per passage; a question without passages gets one prompt without."""
    inputs = []
    for question in questions:
        passages = question.passages[: release.answer_passages]
        scores = question.scores[: len(passages)]
        contexts = [[passage] for passage in passages] or [[]]
        prompts = [_prompt(release, generator, question.text, context) for context in contexts]
        inputs.append((prompts, ensemble.retrieval_probabilities(scores or [0.0])))
    return ensemble.generate(generator, inputs, DEFAULT_MAX_TOKENS)


def _prompt(release: Release, generator: TextGenerator | ApiGenerator, question: str, passages: Sequence[str]) -> str:
    return build_prompt(release.prompt, question, passages, count_tokens=generator.count_tokens)
