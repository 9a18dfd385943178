"""What a release answers from given passages: the same words whether a person asked or an evaluation did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curation import serving
from curation.engine.generator import ApiGenerator, TextGenerator
from curation.engine.prompting import build_prompt
from curation.models import Release


@dataclass(frozen=True)
class Question:
    """A question with the passages it is to be answered from, best first, and their scores."""

    text: str
    passages: Sequence[str]
    scores: Sequence[float]


def write(release: Release, questions: Sequence[Question]) -> list[str]:
    """The release's answer to each question, in their order; from its best `answer_passages` passages.

    Together: one prompt holds them all. In parallel: one prompt a passage, and the answer kept is the one with
    the largest Σ_c p_R(c)·exp(ℓ_c), after RA-DIT (Lin et al. 2023, arXiv 2310.01352, §2.1); we take ℓ_c as the
    mean log-probability per token, so that long answers are not punished. A server that cannot score answers
    together.
    """
    return [text.replace("\x00", "") for text in _written(release, questions)]  # a database takes no NUL


def _written(release: Release, questions: Sequence[Question]) -> list[str]:
    generator = serving.generator_for(release)
    is_parallel = release.answering == Release.Answering.PARALLEL
    if is_parallel and (not isinstance(generator, ApiGenerator) or generator.can_score):
        return [_in_parallel(release, generator, question) for question in questions]
    kept = release.answer_passages
    return generator.generate([_prompt(release, generator, q.text, q.passages[:kept]) for q in questions])


def _in_parallel(release: Release, generator: TextGenerator | ApiGenerator, question: Question) -> str:
    passages = question.passages[: release.answer_passages]
    if not passages:
        return generator.generate([_prompt(release, generator, question.text, [])])[0]
    prompts = [_prompt(release, generator, question.text, [passage]) for passage in passages]
    answers = [answer for answer in dict.fromkeys(generator.generate(prompts)) if answer]
    if len(answers) < 2:
        return answers[0] if answers else ""
    means = generator.score([(prompt, answer) for answer in answers for prompt in prompts])
    likely = np.exp(np.asarray(means)).reshape(len(answers), len(prompts))  # (answers, passages)
    scores = np.asarray(question.scores[: len(passages)], dtype=float) / release.build.encoder.temperature
    shares = np.exp(scores - scores.max())
    return answers[int(np.argmax(likely @ (shares / shares.sum())))]


def _prompt(release: Release, generator: TextGenerator | ApiGenerator, question: str, passages: Sequence[str]) -> str:
    return build_prompt(release.prompt, question, passages, count_tokens=generator.count_tokens)
