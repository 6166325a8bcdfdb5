"""What changes over a training: the learning rate, and the weight of the KL."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from harness.experiment.recipe import Recipe


def learning_rate_factor(recipe: Recipe, step: int, total: int) -> float:
    """What the learning rate of step `step`, counted from 0, is multiplied by.

    total: steps of the whole training

    The factor rises linearly to 1 in `lr_warmup` steps. Over the rest of the training it stays
    there, or falls to 0 linearly or along half a cosine (Loshchilov & Hutter 2017, eq. 5).

    >>> recipe = Recipe(schedule="linear", lr_warmup=2)
    >>> [learning_rate_factor(recipe, step, 6) for step in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if step < recipe.lr_warmup:
        return (step + 1) / recipe.lr_warmup
    done = (step - recipe.lr_warmup) / max(1, total - recipe.lr_warmup)
    if recipe.schedule == "linear":
        return 1 - done
    if recipe.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    return 1.0


class KLWarmup:
    """The weight of the KL in each step: β · min(1, (step + 1) / beta_warmup), of each cell."""

    def __init__(self, recipes: Sequence[Recipe], device: torch.device):
        self.is_used = any(recipe.beta_warmup for recipe in recipes)
        steps = [max(1, recipe.beta_warmup) for recipe in recipes]
        self._steps = torch.tensor(steps, dtype=torch.float32, device=device)

    def apply(self, weights: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """The weights of the terms, (cells,) each, in step `step`, counted from 0."""
        if not self.is_used:
            return weights
        factor = ((step + 1) / self._steps).clamp(max=1.0)
        return weights | {"kl": weights["kl"] * factor}
