"""The start of a model from training images, before its first step."""

import torch
from torch import Tensor

from harness.data.preparation import prepare
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from harness.plugins.model import Model, StartsFromData, TrainingImages, own_draws


class SeededImages(TrainingImages):
    """The training images of a data set, in an order of the cell's own stream "start".

    dequantised: whether the model sees ordinal images so
    """

    def __init__(self, cell: Cell, data: Data, dequantised: bool = False):
        self.seed, self.data, self.dequantised = cell.seed, data, dequantised
        self.count = len(data.train_x)
        self._draws = 0

    def draw(self, images: int) -> Tensor:
        """The first images of a new order, on the CPU; a short data set is gone through again."""
        self._draws += 1
        generator = seeding.generator(self.seed, "start", self._draws)
        rounds = -(-images // self.count)
        orders = [torch.randperm(self.count, generator=generator) for _ in range(rounds)]
        stored, indices = self.data.train_x, torch.cat(orders)[:images]
        chosen = stored.index_select(0, indices.to(stored.device)).cpu()
        return prepare(chosen, self.data.spec, generator, self.dequantised)


@torch.no_grad()
def start_model(model: Model, seed: int, images: TrainingImages) -> None:
    """Let a model on the CPU set itself up from images, if it does so.

    It may draw from torch's generator, which is at the cell's seed.
    """
    if isinstance(model, StartsFromData):
        with own_draws(seeding.derive(seed, "start")):
            model.start_from_data(images)
