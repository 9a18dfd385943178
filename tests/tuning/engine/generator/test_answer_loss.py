"""The gradient of the answer loss against finite differences, on the tiny language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curation.engine.generation import log_likelihood
from tests.tiny_models import tiny_generator
from tuning.engine.generator import answer_loss


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoModelForCausalLM

    folder: Path = tiny_generator(tmp_path_factory.mktemp("tiny"))
    return AutoModelForCausalLM.from_pretrained(folder)


def loss_of(model: Any, batch: list[answer_loss.TokenizedInstance]) -> float:
    """Return the loss of the weights as they are; the gradient is dropped."""
    value = answer_loss.add_gradients(model, batch, 10_000)
    model.zero_grad()
    return value


@pytest.mark.parametrize("micro_batch_tokens", [10_000, 12])
def test_the_gradient_is_the_slope_of_the_loss(model: Any, micro_batch_tokens: int) -> None:
    import torch

    pairs = [([5, 9, 14, 20], [7, 8, 2]), ([30, 31], [40, 2]), ([11, 12, 13], [21, 22, 23, 24, 2])]
    batch = [answer_loss.TokenizedInstance(log_likelihood.PromptAnswer(prompt, answer)) for prompt, answer in pairs]
    torch.manual_seed(5)
    model.zero_grad()
    answer_loss.add_gradients(model, batch, micro_batch_tokens)
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    direction = [torch.randn_like(weight) * weight.detach().abs().mean() for weight in weights]
    expected = float(sum((weight.grad * step).sum() for weight, step in zip(weights, direction, strict=True)))
    model.zero_grad()
    size = 2e-3

    def moved(by: float) -> float:
        with torch.no_grad():
            for weight, step in zip(weights, direction, strict=True):
                weight += by * step
        return loss_of(model, batch)

    above = moved(size)
    below = moved(-2 * size)
    moved(size)
    # central difference: the error falls with the square of the step
    assert (above - below) / (2 * size) == pytest.approx(expected, rel=0.02)
    assert abs(expected) > 1e-3
