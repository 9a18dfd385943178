"""Repetition: an answer ends where it begins to repeat itself, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from curation.engine.generation import repetition
from curation.engine.generation.generator import TextGenerator

PHRASE = [7, 8, 9, 10, 11, 12, 13, 14]


@pytest.mark.parametrize(
    "ids, length",
    [
        ([], 0),
        ([1, 2, *PHRASE * 3], 10),
        ([1, 2, *PHRASE * 9], 10),
        ([*PHRASE * 2], 16),  # twice is no repetition
        ([1, 2, *PHRASE * 3, 5], 27),  # the repetition has ended
        ([4] * 23, 23),  # 23 tokens: a line of dashes
        ([4] * 24, 1),
        ([1, *range(100, 148), *range(100, 148), *range(100, 148)], 49),
        ([1, *range(100, 149), *range(100, 149), *range(100, 149)], 148),  # the phrase is longer than MAX_PERIOD
    ],
)
def test_of_a_repetition_one_copy_stays(ids: list[int], length: int) -> None:
    assert list(repetition.trim_repetition(ids)) == ids[:length]


def test_each_row_stops_by_itself_and_only_for_a_repetition_in_its_answer() -> None:
    rows = torch.tensor([[4] * 30, [*range(27), 1, 2, 3]])
    assert repetition.StopOnRepetition(0)(rows, None).tolist() == [True, False]
    assert repetition.StopOnRepetition(10)(rows, None).tolist() == [
        False,
        False,
    ]  # what the prompt repeats does not count


def test_a_generator_that_repeats_itself_is_stopped(generator_folder: Path) -> None:
    generator = TextGenerator(generator_folder)
    word = generator.prompt_tokenizer.answer_ids("tiger")[0]
    steps: list[int] = []

    def prefer_one_word(_module: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        return logits + torch.nn.functional.one_hot(torch.tensor(word), logits.shape[-1]) * 1e4

    generator.model.get_output_embeddings().register_forward_hook(prefer_one_word)
    assert generator.generate(["Who sleeps?"], 400) == [generator.prompt_tokenizer.decode([word])]
    assert len(steps) == repetition.MIN_REPEATED_TOKENS
