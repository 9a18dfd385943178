"""Preference pairs of drafts and edits: which drafts count, and the DPO loss by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from curation.engine.generation.generator import TextGenerator
from tests.tiny_models import tiny_generator
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.data.instances import Recipe
from tuning.engine.generator import preference_pairs
from tuning.engine.generator.generator_spec import GeneratorSettings
from tuning.engine.generator.preference_pairs import PreferencePair, ReferenceLogProbs, TokenizedPair
from tuning.engine.generator.train_generator import _add_lora

RECIPE = Recipe("{passages}|{question}", "No.", 2)
PASSAGES = {name: f"text of {name}" for name in "abc"}
PAIRS = [TokenizedPair([5, 6, 7, 8], [9, 10, 2], [11, 2]), TokenizedPair([5, 6, 12], [13, 2], [14, 15, 16, 2])]


def query(number: int, **changes: Any) -> JudgedQuery:
    values: dict[str, Any] = {"query_id": str(number), "text": f"why {number}?", "answer": "because of rain"}
    return JudgedQuery(**(values | {"draft": "nobody knows"} | changes))


def built(*queries: JudgedQuery, **drafted: list[str]) -> list[PreferencePair]:
    return preference_pairs.build_preference_pairs(
        queries, PASSAGES, drafted or {"1": ["b", "a", "c"]}, RECIPE, count_tokens=lambda text: len(text.split())
    )


def test_the_prompt_is_the_one_of_the_draft() -> None:
    expected = PreferencePair("1", "text of b\n\ntext of a|why 1?", "because of rain", "nobody knows")
    assert built(query(1, answer=" because of rain ")) == [expected]


@pytest.mark.parametrize(
    "changes",
    [
        {"draft": ""},
        {"answer": ""},
        {"draft": "because of rain"},
        {"is_unanswerable": True},
        # one character of 28 inserted: 1 - 2·28 / (28 + 29) = 0.018, less than a twentieth
        {"answer": "because of the rain in March", "draft": "because of the rain in March."},
    ],
)
def test_a_draft_without_a_real_edit_gives_no_pair(changes: dict[str, Any]) -> None:
    assert built(query(1, **changes)) == []


def test_a_draft_with_missing_or_unknown_passages_gives_no_pair() -> None:
    drafted = {"1": ["a", "gone"], "2": ["c"]}
    pairs = preference_pairs.build_preference_pairs(
        [query(1), query(2), query(3)], PASSAGES, drafted, RECIPE, count_tokens=lambda text: len(text.split())
    )
    assert [pair.query_id for pair in pairs] == ["2"]


def test_the_edited_share_by_hand() -> None:
    # "abcd" and "abxd" share 3 characters of 4 each: 1 - 2·3/8
    assert preference_pairs.edited_share("abcd", "abxd") == pytest.approx(0.25)
    assert preference_pairs.edited_share("abcd", "abcd") == 0.0
    assert preference_pairs.edited_share("abcd", "wxyz") == 1.0


def test_the_dpo_loss_by_hand() -> None:
    import torch

    chosen, rejected = torch.tensor([-4.0, -2.0]), torch.tensor([-7.0, -2.0])
    reference = [ReferenceLogProbs(-5.0, -6.0), ReferenceLogProbs(-2.0, -2.0)]
    losses = preference_pairs.dpo_loss(chosen, rejected, reference, torch.tensor([4.0, 2.0]), beta=0.1, sft_weight=0.5)
    # margins (−4+5) − (−7+6) = 2 and 0: ln(1 + e^−0.2) + 0.5·4/4 and ln 2 + 0.5·2/2
    assert losses.tolist() == pytest.approx([math.log(1 + math.exp(-0.2)) + 0.5, math.log(2) + 0.5])


def test_the_gradient_of_the_dpo_loss_is_that_of_finite_differences() -> None:
    import torch

    torch.manual_seed(0)
    chosen, rejected = (torch.randn(3, dtype=torch.double, requires_grad=True) for _ in range(2))
    reference = [ReferenceLogProbs(-0.3, 0.2), ReferenceLogProbs(0.0, 0.0), ReferenceLogProbs(1.0, -2.0)]
    lengths = torch.tensor([1.0, 2.0, 3.0], dtype=torch.double)
    assert torch.autograd.gradcheck(
        lambda one, other: preference_pairs.dpo_loss(one, other, reference, lengths, 0.7, 0.3), (chosen, rejected)
    )


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    generator = TextGenerator(tiny_generator(tmp_path_factory.mktemp("weights") / "tiny"))
    return _add_lora(generator.model, GeneratorSettings(), seed=0)


def test_before_the_first_step_no_text_is_preferred(adapted: Any) -> None:
    references = preference_pairs.reference_log_probs(adapted, PAIRS)
    loss, preferred = preference_pairs.dev_loss(adapted, list(zip(PAIRS, references, strict=True)), 0.1, 0.0)
    assert loss == pytest.approx(math.log(2), abs=1e-5)
    assert preferred <= 0.5  # rounding may prefer one


def test_gradient_steps_prefer_the_edit_and_micro_batches_add_up(adapted: Any) -> None:
    import torch

    trainable = [weight for weight in adapted.parameters() if weight.requires_grad]
    adapted.eval()
    batch = list(zip(PAIRS, preference_pairs.reference_log_probs(adapted, PAIRS), strict=True))

    def gradient(micro_batch_tokens: int) -> tuple[float, torch.Tensor]:
        loss = preference_pairs.add_gradients(adapted, batch, micro_batch_tokens, 0.5, 0.1)
        gradients = torch.cat([weight.grad.flatten() for weight in trainable if weight.grad is not None])
        adapted.zero_grad()
        return loss, gradients

    (one, together), (other, apart) = gradient(10_000), gradient(1)
    assert one == pytest.approx(other, rel=1e-5)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-4)
    optimizer = torch.optim.SGD(trainable, lr=0.05)
    for _ in range(5):
        preference_pairs.add_gradients(adapted, batch, 10_000, 0.5, 0.1)
        optimizer.step()
        optimizer.zero_grad()
    loss, preferred = preference_pairs.dev_loss(adapted, batch, 0.5, 0.1)
    assert preferred == 1.0
    assert loss < one


def test_each_pair_occurs_once_an_epoch() -> None:
    train = [(pair, ReferenceLogProbs(0.0, float(number))) for number, pair in enumerate(PAIRS * 3)]
    batches = preference_pairs.endless_batches(train, 4, seed=1)
    epoch = [pair for _ in range(2) for pair in next(batches)]
    assert sorted(reference.rejected for _pair, reference in epoch) == [0, 1, 2, 3, 4, 5]
