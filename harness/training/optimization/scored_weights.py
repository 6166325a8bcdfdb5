"""Which weights of a cell are scored: the last ones, their moving average, or the best ones."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from harness.experiment.recipe import Recipe
from harness.plugins.model_state import Tensors, clone_tensors


class ScoredWeights:
    """The averages of the weights and the best weights so far of the cells of a pack.

    average: of the parameters, (cells, ...) by name; empty if no cell has one
    best: parameters and state, (cells, ...) by name; empty unless the recipe keeps the best
    """

    def __init__(self, recipes: Sequence[Recipe], params: Tensors, state: Tensors):
        self._decays = [recipe.ema for recipe in recipes]
        self.keeps_best = recipes[0].keep == "best"
        self.average = clone_tensors(params) if any(self._decays) else {}
        self._shares = {  # of the new parameters in the average
            name: (1 - value.new_tensor(self._decays)).view(-1, *[1] * (value.ndim - 1))
            for name, value in self.average.items()
        }
        self.best = clone_tensors(params | state) if self.keeps_best else {}

    def has_average(self, index: int) -> bool:
        """Whether the averaged weights of a cell are scored."""
        return self._decays[index] > 0

    def average_params(self, params: Mapping[str, Tensor], step: int) -> None:
        """Take in the parameters after step `step`, counted from 0.

        average ← decay · average + (1 - decay) · parameters, which begins with the parameters after
        the first step, as torch.optim.swa_utils.AveragedModel does.
        """
        for name, average in self.average.items():
            average.lerp_(params[name], self._shares[name] if step else 1.0)

    def select_present(self, index: int, tensors: Mapping[str, Tensor]) -> Tensors:
        """The tensors (...) of a cell as they would be scored now; `tensors` are (cells, ...)."""
        averaged = self.average if self.has_average(index) else {}
        return {name: averaged.get(name, value)[index] for name, value in tensors.items()}

    def keep(self, index: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep tensors (...) of a cell as its best."""
        for name, value in self.best.items():
            value[index].copy_(tensors[name])

    def select_best(self, index: int) -> Tensors:
        """The best tensors (...) of a cell."""
        return {name: value[index] for name, value in self.best.items()}

    def state(self, index: int) -> dict[str, Tensors]:
        """The tensors (...) of a cell that a checkpoint needs, by kind and name."""
        average = self.average if self.has_average(index) else {}
        averages = {name: value[index] for name, value in average.items()}
        return {"average": averages, "best": self.select_best(index)}
