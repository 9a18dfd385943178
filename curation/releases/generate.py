"""What a release answers from given passages: the same words whether a person asked or an evaluation did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from curation.engine.generation import ensemble
from curation.engine.generation.generator import DEFAULT_MAX_TOKENS, ApiGenerator, TextGenerator
from curation.engine.generation.prompts import build_prompt
from curation.models import Release
from curation.releases import lifecycle


@dataclass(frozen=True)
class Question:
    """A question with the passages it is to be answered from, best first, and their scores."""

    text: str
    passages: Sequence[str]
    scores: Sequence[float]


def write(release: Release, questions: Sequence[Question]) -> list[str]:
    """The release's answer to each question, in their order; from its best `answer_passages` passages.

    Together: one prompt holds them all. In parallel: one prompt a passage, and the answer kept is the likeliest
    over all of them (see mixing). A server that cannot score answers together.
    """
    return [text.replace("\x00", "") for text in _written(release, questions)]  # a database takes no NUL


def _written(release: Release, questions: Sequence[Question]) -> list[str]:
    generator = lifecycle.generator_for(release)
    if release.answer_mode == Release.AnswerMode.PARALLEL and can_mix(generator):
        return _in_parallel(release, generator, questions)
    kept = release.answer_passages
    return generator.generate([_prompt(release, generator, q.text, q.passages[:kept]) for q in questions])


def can_mix(generator: TextGenerator | ApiGenerator) -> bool:
    """Whether the generator can say how likely a given answer is. Raises ApiError where a server does not answer."""
    return not isinstance(generator, ApiGenerator) or generator.can_score


def _in_parallel(release: Release, generator: TextGenerator | ApiGenerator, questions: Sequence[Question]) -> list[str]:
    asked = []
    for question in questions:
        passages = question.passages[: release.answer_passages]
        scores = question.scores[: len(passages)]
        alone = [[passage] for passage in passages] or [[]]
        prompts = [_prompt(release, generator, question.text, some) for some in alone]
        asked.append((prompts, ensemble.shares(scores or [0.0])))
    return ensemble.write(generator, asked, DEFAULT_MAX_TOKENS)


def _prompt(release: Release, generator: TextGenerator | ApiGenerator, question: str, passages: Sequence[str]) -> str:
    return build_prompt(release.prompt, question, passages, count_tokens=generator.count_tokens)
