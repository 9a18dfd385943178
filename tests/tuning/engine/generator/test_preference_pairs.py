"""Drafts and edits as preferences: which ones count, and DPO's loss against numbers worked by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from curation.engine.generation.generator import TextGenerator
from tests.tiny import tiny_generator
from tuning.engine.data.examples import JudgedQuery
from tuning.engine.data.instances import Recipe
from tuning.engine.generator import preference_pairs
from tuning.engine.generator.generator_spec import Settings
from tuning.engine.generator.preference_pairs import Pair, Preference, Reference
from tuning.engine.generator.train_generator import _with_adapter

RECIPE = Recipe("{passages}|{question}", "No.", 2)
PASSAGES = {name: f"text of {name}" for name in "abc"}
PAIRS = [Pair([5, 6, 7, 8], [9, 10, 2], [11, 2]), Pair([5, 6, 12], [13, 2], [14, 15, 16, 2])]


def query(number: int, **changes: Any) -> JudgedQuery:
    values: dict[str, Any] = {"query_id": str(number), "text": f"why {number}?", "answer": "because of rain"}
    return JudgedQuery(**(values | {"draft": "nobody knows"} | changes))


def made(*queries: JudgedQuery, **drafted: list[str]) -> list[Preference]:
    return preference_pairs.make(
        queries, PASSAGES, drafted or {"1": ["b", "a", "c"]}, RECIPE, count_tokens=lambda text: len(text.split())
    )


def test_the_prompt_is_the_one_the_draft_was_written_from() -> None:
    expected = Preference("1", "text of b\n\ntext of a|why 1?", "because of rain", "nobody knows")
    assert made(query(1, answer=" because of rain ")) == [expected]


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
def test_what_was_not_really_edited_says_nothing(changes: dict[str, Any]) -> None:
    assert made(query(1, **changes)) == []


def test_a_draft_whose_passages_are_gone_or_unknown_says_nothing() -> None:
    drafted = {"1": ["a", "gone"], "2": ["c"]}
    found = preference_pairs.make(
        [query(1), query(2), query(3)], PASSAGES, drafted, RECIPE, count_tokens=lambda text: len(text.split())
    )
    assert [one.query_id for one in found] == ["2"]


def test_the_share_that_was_edited() -> None:
    # "abcd" and "abxd" share 3 characters of 4 each: 1 - 2·3/8
    assert preference_pairs.share_edited("abcd", "abxd") == pytest.approx(0.25)
    assert preference_pairs.share_edited("abcd", "abcd") == 0.0
    assert preference_pairs.share_edited("abcd", "wxyz") == 1.0


def test_the_loss_is_the_one_worked_by_hand() -> None:
    import torch

    chosen, rejected = torch.tensor([-4.0, -2.0]), torch.tensor([-7.0, -2.0])
    reference = [Reference(-5.0, -6.0), Reference(-2.0, -2.0)]
    found = preference_pairs.loss(chosen, rejected, reference, torch.tensor([4.0, 2.0]), beta=0.1, sft_weight=0.5)
    # margins (−4+5) − (−7+6) = 2 and 0: ln(1 + e^−0.2) + 0.5·4/4 and ln 2 + 0.5·2/2
    assert found.tolist() == pytest.approx([math.log(1 + math.exp(-0.2)) + 0.5, math.log(2) + 0.5])


def test_its_gradient_is_that_of_finite_differences() -> None:
    import torch

    torch.manual_seed(0)
    chosen, rejected = (torch.randn(3, dtype=torch.double, requires_grad=True) for _ in range(2))
    reference = [Reference(-0.3, 0.2), Reference(0.0, 0.0), Reference(1.0, -2.0)]
    lengths = torch.tensor([1.0, 2.0, 3.0], dtype=torch.double)
    assert torch.autograd.gradcheck(
        lambda one, other: preference_pairs.loss(one, other, reference, lengths, 0.7, 0.3), (chosen, rejected)
    )


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    generator = TextGenerator(tiny_generator(tmp_path_factory.mktemp("weights") / "tiny"))
    return _with_adapter(generator.model, Settings(), seed=0)


def test_before_the_first_step_nothing_is_preferred(adapted: Any) -> None:
    known = preference_pairs.references(adapted, PAIRS)
    loss, preferred = preference_pairs.dev_loss(adapted, list(zip(PAIRS, known, strict=True)), 0.1, 0.0)
    assert loss == pytest.approx(math.log(2), abs=1e-5)
    assert preferred <= 0.5  # rounding may prefer one


def test_steps_down_the_gradient_prefer_the_edit_and_parts_add_up(adapted: Any) -> None:
    import torch

    learning = [weight for weight in adapted.parameters() if weight.requires_grad]
    adapted.eval()
    batch = list(zip(PAIRS, preference_pairs.references(adapted, PAIRS), strict=True))

    def gradient(batch_tokens: int) -> tuple[float, torch.Tensor]:
        loss = preference_pairs.gradients(adapted, batch, batch_tokens, 0.5, 0.1)
        found = torch.cat([weight.grad.flatten() for weight in learning if weight.grad is not None])
        adapted.zero_grad()
        return loss, found

    (one, together), (other, apart) = gradient(10_000), gradient(1)
    assert one == pytest.approx(other, rel=1e-5)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-4)
    optimizer = torch.optim.SGD(learning, lr=0.05)
    for _ in range(5):
        preference_pairs.gradients(adapted, batch, 10_000, 0.5, 0.1)
        optimizer.step()
        optimizer.zero_grad()
    loss, preferred = preference_pairs.dev_loss(adapted, batch, 0.5, 0.1)
    assert preferred == 1.0
    assert loss < one


def test_each_pair_comes_once_an_epoch() -> None:
    train = [(pair, Reference(0.0, float(place))) for place, pair in enumerate(PAIRS * 3)]
    stream = preference_pairs.batches(train, 4, seed=1)
    first = [one for _ in range(2) for one in next(stream)]
    assert sorted(reference.rejected for _pair, reference in first) == [0, 1, 2, 3, 4, 5]


def test_what_drafts_were_written_from_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "drafted.jsonl").write_text('{"query_id": 7, "passages": [3, 1]}\n\n')
    assert preference_pairs.read_drafted(tmp_path / "drafted.jsonl") == {"7": ["3", "1"]}
