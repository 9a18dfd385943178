"""Sequence packing: which positions each token may see, and the model afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation.engine.generation import log_likelihood, sequence_packing
from curation.engine.generation.generator import TextGenerator


def visible_positions(row: sequence_packing.PackedRow) -> list[list[int]]:
    """Return for each position of the row the positions it may see, from the attention calls."""
    visible: list[list[int]] = [[] for _ in row.ids]
    for call in sequence_packing._Plan(row, "cpu").calls:
        positions = [position for start, stop in call.keys for position in range(start, stop)]
        for query, line in zip(range(call.start, call.stop), call.mask.tolist(), strict=True):
            visible[query] = [position for position, is_seen in zip(positions, line, strict=True) if is_seen]
    return visible


@pytest.mark.parametrize("max_queries", [1, 2, 64])
def test_each_token_sees_its_own_prompt_only(max_queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_packing, "MAX_QUERIES", max_queries)
    row = sequence_packing.start_row([7, 8])
    sequence_packing.add_block(row, [1, 2], [([3], 1), ([4, 5], 1)])
    sequence_packing.add_block(row, [6], [([9, 9], 2)])
    assert row.ids == [7, 8, 1, 2, 3, 4, 5, 6, 9, 9]
    assert row.positions == [0, 1, 2, 3, 4, 4, 5, 2, 3, 4]  # both suffixes follow 7 8 1 2; the second block follows 7 8
    assert row.target_positions == [4, 6, 8, 9]
    assert visible_positions(row) == [
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


def test_the_model_has_its_own_attention_again_afterwards(generator_folder: Path) -> None:
    model = TextGenerator(generator_folder).model
    before = model.config._attn_implementation
    row = sequence_packing.start_row([5])
    sequence_packing.add_block(row, [6], [([7], 1)])
    sequence_packing.packed_logits(model, row)
    with pytest.raises(IndexError):  # an id outside the vocabulary
        bad = sequence_packing.start_row([10**6])
        sequence_packing.add_block(bad, [6], [([7], 1)])
        sequence_packing.packed_logits(model, bad)
    assert model.config._attn_implementation == before


def test_layers_with_a_window_are_scored_in_padded_batches(tmp_path: Path) -> None:
    """Mistral's window of eight tokens: without it the scores would differ."""
    import torch
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2}
    model = MistralForCausalLM(MistralConfig(vocab_size=50, sliding_window=8, **sizes, **heads)).eval()
    assert not sequence_packing.can_pack(model)
    rng = np.random.default_rng(0)
    pairs = [log_likelihood.PromptAnswer(rng.integers(3, 50, n).tolist(), [4, 5]) for n in (6, 20, 31)]
    with torch.inference_mode():
        logits = [
            model(input_ids=torch.tensor([pair.prompt + pair.answer])).logits[0].log_softmax(-1) for pair in pairs
        ]
    expected = [
        (float(logs[len(pair.prompt) - 1, 4]) + float(logs[len(pair.prompt), 5])) / 2
        for pair, logs in zip(pairs, logits, strict=True)
    ]
    scores = log_likelihood.collect_scores(log_likelihood.score_pairs(model, pairs), len(pairs))
    np.testing.assert_allclose(scores, expected, atol=1e-4)
