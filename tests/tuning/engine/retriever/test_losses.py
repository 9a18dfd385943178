"""tuning/engine/retriever/losses.py: sums by hand, and gradients against finite differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tuning.engine.retriever import losses

if TYPE_CHECKING:
    from torch import Tensor


def scores(rows: list[list[float]]) -> Tensor:
    import torch

    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


def mask(rows: list[list[int]]) -> Tensor:
    import torch

    return torch.tensor(rows, dtype=torch.bool)


def values(rows: list[list[float]]) -> Tensor:
    import torch

    return torch.tensor(rows, dtype=torch.float64)


def ones(n: int) -> Tensor:
    import torch

    return torch.ones(n, dtype=torch.float64)


def test_kl_by_hand() -> None:
    # p = softmax(ln 1, ln 3) = 1/4, 3/4 over the support; t = 1/2, 1/2
    # KL = ½·ln(½ / ¼) + ½·ln(½ / ¾) = ½·0.693147 − ½·0.405465 = 0.143841
    batch_scores = scores([[0.0, math.log(3), 9.0]])
    loss = losses.listwise_kl(batch_scores, values([[0.5, 0.5, 0]]), mask([[1, 1, 0]]), ones(1))
    assert loss.item() == pytest.approx(0.143841, abs=1e-6)


def test_kl_is_zero_where_the_ranking_is_the_target_and_where_there_is_none() -> None:
    batch_scores = scores([[0.0, math.log(3)], [5.0, -5.0]])
    loss = losses.listwise_kl(batch_scores, values([[0.25, 0.75], [0, 0]]), mask([[1, 1], [0, 0]]), ones(2))
    assert loss.item() == pytest.approx(0.0, abs=1e-12)
    loss.backward()
    assert batch_scores.grad is not None and batch_scores.grad.abs().max() < 1e-12


def test_the_contrastive_loss_by_hand_sums_over_several_positives() -> None:
    # e^s = 1, 2, 5; positives 1 and 2, negative 5: −ln((1 + 2) / 8) = 0.980829. The fourth is neither.
    batch_scores = scores([[0.0, math.log(2), math.log(5), 99.0]])
    loss = losses.contrastive_loss(batch_scores, mask([[1, 1, 0, 0]]), mask([[0, 0, 1, 0]]), ones(1))
    assert loss.item() == pytest.approx(0.980829, abs=1e-6)


def test_the_contrastive_loss_with_one_positive_is_cross_entropy() -> None:
    import torch

    batch_scores = scores([[0.3, -0.2, 0.9], [1.0, 0.1, 0.4]])
    positives = mask([[1, 0, 0], [0, 1, 0]])
    ours = losses.contrastive_loss(batch_scores, positives, ~positives, ones(2))
    theirs = torch.nn.functional.cross_entropy(batch_scores, torch.tensor([0, 1]))
    assert ours.item() == pytest.approx(theirs.item())


def test_the_contrastive_loss_of_passages_by_hand() -> None:
    # Passage one, positive for the first query: e^s = 3 against 1: −ln(3/4) = 0.287682. Passage two, positive for both:
    # 0, having no negative. Passage three is positive for none and does not count. Mean over the two: 0.143841.
    batch_scores = scores([[math.log(3), 0.0, 7.0], [0.0, 0.0, 7.0]])
    positives, negatives = mask([[1, 1, 0], [0, 1, 0]]), mask([[0, 0, 1], [1, 0, 1]])
    assert losses.passage_contrastive_loss(batch_scores, positives, negatives, ones(2)).item() == pytest.approx(
        0.143841, abs=1e-6
    )
    weighted = losses.passage_contrastive_loss(batch_scores, positives, negatives, values([[3.0, 1.0]])[0])
    assert weighted.item() == pytest.approx(3 * 0.143841, abs=1e-6)
    assert losses.passage_contrastive_loss(batch_scores, mask([[0] * 3] * 2), negatives, ones(2)).item() == 0


def test_with_one_positive_a_row_both_directions_are_cross_entropies() -> None:
    import torch

    batch_scores = scores([[0.3, -0.2], [1.0, 0.1]])
    positives = mask([[1, 0], [0, 1]])
    theirs = torch.nn.functional.cross_entropy(batch_scores.T, torch.tensor([0, 1]))
    assert losses.passage_contrastive_loss(batch_scores, positives, ~positives, ones(2)).item() == pytest.approx(
        theirs.item()
    )


def test_a_row_without_positives_or_negatives_adds_nothing_but_counts_in_the_mean() -> None:
    batch_scores = scores([[0.0, 0.0], [0.0, 0.0]])
    # row one: −ln(1/2) = 0.693147; row two has no negative; mean over two = 0.346574
    loss = losses.contrastive_loss(batch_scores, mask([[1, 0], [1, 0]]), mask([[0, 1], [0, 0]]), ones(2))
    assert loss.item() == pytest.approx(0.346574, abs=1e-6)


def test_the_negatives_only_loss_lowers_passages_judged_not_relevant() -> None:
    # judged not relevant e^s = 3, others 1: −ln(1 − 3/4) = 1.386294
    batch_scores = scores([[math.log(3), 0.0]])
    loss = losses.negatives_only_loss(batch_scores, mask([[1, 0]]), mask([[0, 1]]), ones(1))
    assert loss.item() == pytest.approx(1.386294, abs=1e-6)
    loss.backward()
    assert batch_scores.grad is not None and batch_scores.grad[0, 0] > 0 > batch_scores.grad[0, 1]


def test_the_anchor_penalty_by_hand() -> None:
    # (0.6² + 0.2²) + 0 = 0.4, over two queries 0.2
    loss = losses.anchor_penalty(values([[0.6, 0.8], [1, 0]]), values([[0, 1.0], [1, 0]]))
    assert loss.item() == pytest.approx(0.2)


def test_weights_scale_their_row() -> None:
    batch_scores = scores([[0.0, 0.0], [0.0, 0.0]])
    positives = mask([[1, 0], [0, 1]])
    loss = losses.contrastive_loss(batch_scores, positives, ~positives, values([[2.0, 0.0]])[0])
    assert loss.item() == pytest.approx(2 * 0.693147 / 2, abs=1e-6)


@pytest.mark.parametrize(
    "name", ["listwise_kl", "contrastive_loss", "passage_contrastive_loss", "negatives_only_loss", "anchor_penalty"]
)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    import torch

    torch.manual_seed(3)
    batch_scores = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    first = mask([[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]])
    second = mask([[0, 0, 1, 1, 0], [1, 1, 0, 0, 1], [1, 1, 1, 1, 1]])
    weights = torch.tensor([0.5, 1.5, 1.0], dtype=torch.float64)
    target = torch.rand(3, 5, dtype=torch.float64) * second
    target = target / target.sum(dim=1, keepdim=True)
    calls = {
        "listwise_kl": lambda s: losses.listwise_kl(s, target, second, weights),
        "contrastive_loss": lambda s: losses.contrastive_loss(s, first, second, weights),
        "passage_contrastive_loss": lambda s: losses.passage_contrastive_loss(s, first, second, weights),
        "negatives_only_loss": lambda s: losses.negatives_only_loss(s, first, second, weights),
        "anchor_penalty": lambda s: losses.anchor_penalty(s, torch.zeros(3, 5, dtype=torch.float64)),
    }
    assert torch.autograd.gradcheck(calls[name], (batch_scores,), eps=1e-6, atol=1e-6)
