"""Adam over the stacked parameters of a pack (Kingma & Ba 2015), fused, each cell with its own
learning rate.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor

# the function: the class would import a compiler, a second in every process
from torch.optim.adam import adam

DECAY = (0.9, 0.999)  # of the two moments
EPSILON = 1e-8


class Adam:
    """The two moments, `first` and `second`, of parameters (cells, ...), and the step that all of
    them stand at.

    The fused step walks through the memory of parameter, slope and moments from end to end,
    whatever their strides; so all four are shown to it with their dimensions in the order of the
    parameter's memory. `laid_out` gives a parameter the memory that its slopes have; a slope that
    lies otherwise is copied.
    """

    def __init__(self, params: Mapping[str, Tensor], rates: Sequence[float]):
        self.first, self.second = (
            {name: torch.zeros_like(p) for name, p in params.items()} for _ in DECAY
        )
        self._orders = {name: _memory_order(parameter) for name, parameter in params.items()}
        held = [self._walks(of) for of in (params, self.first, self.second)]
        self._runs = [
            _Run(cells, rate, *([tensor[cells] for tensor in of] for of in held))
            for cells, rate in _runs(rates)
        ]

    @property
    def step(self) -> int:
        """Steps taken; set when a training is taken up again."""
        return int(self._runs[0].steps[0])

    @step.setter
    def step(self, taken: int) -> None:
        for run in self._runs:
            for counter in run.steps:
                counter.fill_(taken)

    def descend(self, slopes: Mapping[str, Tensor]) -> None:
        """One step; neighbours of one learning rate take it in one fused call."""
        walks = [walk.contiguous() for walk in self._walks(slopes)]
        for run in self._runs:
            run.descend(walks if len(self._runs) == 1 else [walk[run.cells] for walk in walks])

    def _walks(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        return [tensors[name].permute(order) for name, order in self._orders.items()]


class _Run:
    """Neighbouring cells of one learning rate: views of their parameters and moments, and their
    counters of steps.
    """

    def __init__(
        self,
        cells: slice,
        rate: float,
        params: list[Tensor],
        first: list[Tensor],
        second: list[Tensor],
    ):
        self.cells, self.rate, self.params, self.first, self.second = (
            cells,
            rate,
            params,
            first,
            second,
        )
        self.steps = [torch.zeros((), device=parameter.device) for parameter in params]

    def descend(self, slopes: list[Tensor]) -> None:
        adam(
            self.params,
            slopes,
            self.first,
            self.second,
            max_exp_avg_sqs=[],
            state_steps=self.steps,
            lr=self.rate,
            beta1=DECAY[0],
            beta2=DECAY[1],
            eps=EPSILON,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
            fused=True,
        )


def laid_out(parameter: Tensor, slope: Tensor) -> Tensor:
    """A copy of a parameter (cells, ...) that lies in memory as its slope does, one cell after
    another.
    """
    order = _memory_order(slope)
    dense = parameter.permute(order).clone(memory_format=torch.contiguous_format)
    return dense.permute([order.index(dimension) for dimension in range(parameter.ndim)])


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
