"""An answer ends where it begins to repeat itself, and not before."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from curation.engine.generation import repetition
from curation.engine.generation.generator import TextGenerator

CIRCLE = [7, 8, 9, 10, 11, 12, 13, 14]


@pytest.mark.parametrize(
    "ids, kept",
    [
        ([], 0),
        ([1, 2, *CIRCLE * 3], 10),
        ([1, 2, *CIRCLE * 9], 10),
        ([*CIRCLE * 2], 16),  # twice is said for emphasis
        ([1, 2, *CIRCLE * 3, 5], 27),  # it found its way out
        ([4] * 23, 23),  # a line of dashes
        ([4] * 24, 1),
        ([1, *range(100, 148), *range(100, 148), *range(100, 148)], 49),
        ([1, *range(100, 149), *range(100, 149), *range(100, 149)], 148),  # longer than LONGEST
    ],
)
def test_of_a_circle_one_round_is_kept(ids: list[int], kept: int) -> None:
    assert list(repetition.without(ids)) == ids[:kept]


def test_a_row_stops_by_itself_and_for_its_answer_alone() -> None:
    rows = torch.tensor([[4] * 30, [*range(27), 1, 2, 3]])
    assert repetition.Stop(0)(rows, None).tolist() == [True, False]
    assert repetition.Stop(10)(rows, None).tolist() == [False, False]  # what the prompt repeats does not count


def test_a_generator_that_goes_round_is_stopped(generator_folder: Path) -> None:
    generator = TextGenerator(generator_folder)
    word = generator.dialogue.answer_ids("tiger")[0]
    asked: list[int] = []

    def only(_module: object, _given: object, logits: torch.Tensor) -> torch.Tensor:
        asked.append(1)
        return logits + torch.nn.functional.one_hot(torch.tensor(word), logits.shape[-1]) * 1e4

    generator.model.get_output_embeddings().register_forward_hook(only)
    assert generator.generate(["Who sleeps?"], 400) == [generator.dialogue.text([word])]
    assert len(asked) == repetition.LEAST
