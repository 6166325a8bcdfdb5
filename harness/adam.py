"""Adam over the stacked parameters of a pack (Kingma & Ba 2015), fused, each cell with its own learning rate."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.optim.adam import adam  # the function: the class would import a compiler, a second in every process

DECAY = (0.9, 0.999)  # of the two moments
EPSILON = 1e-8


class Adam:
    """The two moments, `first` and `second`, of parameters (cells, ...), and the step that all of them stand at.

    The fused step walks through parameter, slope and moments from end to end, and copies what does not lie in memory in
    the order of its dimensions; so all four are shown to it with the dimensions in the order of the parameter's memory.
    """

    def __init__(self, params: Mapping[str, Tensor], rates: Sequence[float]):
        self.first, self.second = ({name: torch.zeros_like(p) for name, p in params.items()} for _ in DECAY)
        self.step = 0
        self._orders = {name: _memory_order(parameter) for name, parameter in params.items()}
        self._held = [self._walks(of) for of in (params, self.first, self.second)]
        self._runs = _runs(rates)

    def descend(self, slopes: Mapping[str, Tensor]) -> None:
        """One step; neighbours of one learning rate take it in one fused call."""
        lists = (*self._held, self._walks(slopes))
        counters = [torch.tensor(float(self.step), device=parameter.device) for parameter in lists[0]]
        for cells, rate in self._runs:
            params, first, second, grads = ([tensor[cells] for tensor in tensors] for tensors in lists)
            adam(
                params,
                grads,
                first,
                second,
                max_exp_avg_sqs=[],
                state_steps=[counter.clone() for counter in counters],
                lr=rate,
                beta1=DECAY[0],
                beta2=DECAY[1],
                eps=EPSILON,
                weight_decay=0.0,
                amsgrad=False,
                maximize=False,
                fused=True,
            )
        self.step += 1

    def _walks(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        return [tensors[name].permute(order) for name, order in self._orders.items()]


def _memory_order(tensor: Tensor) -> list[int]:
    """The dimensions from the slowest in memory to the fastest; cells stay first."""
    strides = tensor.stride()
    return [0, *sorted(range(1, tensor.ndim), key=lambda dimension: -strides[dimension])]


def _runs(rates: Sequence[float]) -> list[tuple[slice, float]]:
    """Neighbours of one learning rate.

    >>> _runs([0.1, 0.1, 0.2])
    [(slice(0, 2, None), 0.1), (slice(2, 3, None), 0.2)]
    """
    runs: list[tuple[slice, float]] = []
    start = 0
    for rate, same in groupby(rates):
        stop = start + len(list(same))
        runs.append((slice(start, stop), rate))
        start = stop
    return runs
