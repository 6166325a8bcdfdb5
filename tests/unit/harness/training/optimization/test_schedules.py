"""Learning rates and weights of the KL over a training."""

import pytest
import torch

from harness.experiment.recipe import Recipe
from harness.training.optimization.schedules import KLWarmup, learning_rate_factor


def factors(recipe: Recipe, total: int) -> list[float]:
    return [learning_rate_factor(recipe, step, total) for step in range(total)]


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Recipe(), [1, 1, 1, 1]),
        (Recipe(lr_warmup=2), [0.5, 1, 1, 1]),
        (Recipe(schedule="linear"), [1, 0.75, 0.5, 0.25]),
        (Recipe(schedule="cosine"), [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2]),
        (Recipe(schedule="linear", lr_warmup=2), [0.5, 1, 1, 0.5]),
        (Recipe(schedule="cosine", lr_warmup=8), [1 / 8, 2 / 8, 3 / 8, 4 / 8]),
    ],
)
def test_the_factors_of_the_learning_rate(recipe: Recipe, expected: list[float]) -> None:
    assert factors(recipe, 4) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_factors_are_above_0_and_at_most_1(schedule: str) -> None:
    for warmup in (0, 1, 5, 10, 30):
        found = factors(Recipe(schedule=schedule, lr_warmup=warmup), 20)
        assert all(0 < factor <= 1 for factor in found)
        assert found[warmup:] == sorted(found[warmup:], reverse=True)


def test_the_weight_of_the_kl_rises_to_beta() -> None:
    warmup = KLWarmup([Recipe(beta_warmup=4), Recipe(), Recipe(beta_warmup=1)], torch.device("cpu"))
    weights = {"kl": torch.tensor([2.0, 3.0, 5.0]), "tc": torch.ones(3)}
    found = [warmup.apply(weights, step) for step in range(6)]
    assert [step["kl"].tolist() for step in found] == [
        [0.5, 3.0, 5.0],
        [1.0, 3.0, 5.0],
        [1.5, 3.0, 5.0],
        *[[2.0, 3.0, 5.0]] * 3,
    ]
    assert all(step["tc"] is weights["tc"] for step in found)


def test_without_a_warmup_the_weights_are_as_they_are() -> None:
    weights = {"kl": torch.ones(2)}
    assert KLWarmup([Recipe(), Recipe()], torch.device("cpu")).apply(weights, 0) is weights
