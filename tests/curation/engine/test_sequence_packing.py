"""Many prompts in one row: what each token may see, and what is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.engine.generation import log_likelihood, sequence_packing
from curation.engine.generation.generator import TextGenerator


def seen(row: sequence_packing.Row) -> list[list[int]]:
    """For each place of the row the places it may see, read from the calls."""
    found: list[list[int]] = [[] for _ in row.ids]
    for call in sequence_packing._Plan(row, "cpu").calls:
        places = [place for first, stop in call.keys for place in range(first, stop)]
        for query, line in zip(range(call.start, call.stop), call.mask.tolist(), strict=True):
            found[query] = [place for place, is_seen in zip(places, line, strict=True) if is_seen]
    return found


@pytest.mark.parametrize("step", [1, 2, 64])
def test_each_token_sees_its_own_prompt_alone(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_packing, "STEP", step)
    row = sequence_packing.start([7, 8])
    sequence_packing.add(row, [1, 2], [([3], 1), ([4, 5], 1)])
    sequence_packing.add(row, [6], [([9, 9], 2)])
    assert row.ids == [7, 8, 1, 2, 3, 4, 5, 6, 9, 9]
    assert row.positions == [0, 1, 2, 3, 4, 4, 5, 2, 3, 4]  # both tails go on after 7 8 1 2; the second block after 7 8
    assert row.wanted == [4, 6, 8, 9]
    assert seen(row) == [
        [0],
        [0, 1],
        [0, 1, 2],
        [0, 1, 2, 3],
        [0, 1, 2, 3, 4],
        [0, 1, 2, 3, 5],
        [0, 1, 2, 3, 5, 6],
        [0, 1, 7],
        [0, 1, 7, 8],
        [0, 1, 7, 8, 9],
    ]


def test_the_model_attends_as_before_afterwards(generator_folder: Path) -> None:
    model = TextGenerator(generator_folder).model
    before = model.config._attn_implementation
    row = sequence_packing.start([5])
    sequence_packing.add(row, [6], [([7], 1)])
    sequence_packing.logits(model, row)
    with pytest.raises(IndexError):  # an id the model does not know
        bad = sequence_packing.start([10**6])
        sequence_packing.add(bad, [6], [([7], 1)])
        sequence_packing.logits(model, bad)
    assert model.config._attn_implementation == before


def test_layers_with_a_window_are_scored_in_padded_batches(tmp_path: Path) -> None:
    """Mistral's window of eight tokens: whoever ignored it would get other numbers."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2}
    model = MistralForCausalLM(MistralConfig(vocab_size=50, sliding_window=8, **sizes, **heads)).eval()
    assert not sequence_packing.can_pack(model)
    chance = np.random.default_rng(0)
    pairs = [log_likelihood.Pair(chance.integers(3, 50, n).tolist(), [4, 5]) for n in (6, 20, 31)]
    with torch.inference_mode():
        whole = [model(input_ids=torch.tensor([pair.prompt + pair.answer])).logits[0].log_softmax(-1) for pair in pairs]
    expected = [
        (float(logs[len(pair.prompt) - 1, 4]) + float(logs[len(pair.prompt), 5])) / 2
        for pair, logs in zip(pairs, whole, strict=True)
    ]
    found = log_likelihood.gathered(log_likelihood.score_pairs(model, pairs), len(pairs))
    np.testing.assert_allclose(found, expected, atol=1e-4)
