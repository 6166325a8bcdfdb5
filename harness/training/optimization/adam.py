"""Adam (Kingma & Ba 2015) over the stacked parameters of a pack.

The step is fused, and each cell has its own learning rate.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor

# the function, as importing the class imports a compiler: a second in every process
from torch.optim.adam import adam

DECAY_RATES = (0.9, 0.999)  # β1 and β2
EPSILON = 1e-8


class Adam:
    """The state of Adam for parameters (cells, ...): two moments and the number of steps.

    The fused step reads the memory of parameter, gradient and moments from start to end, whatever
    their strides. So all four are passed with their dimensions in the order of the parameter's
    memory. `match_memory_layout` gives a parameter the layout of its gradients; a gradient of
    another layout is copied.
    """

    def __init__(self, params: Mapping[str, Tensor], learning_rates: Sequence[float]):
        self.exp_avg, self.exp_avg_sq = (
            {name: torch.zeros_like(p) for name, p in params.items()} for _ in DECAY_RATES
        )
        self._memory_orders = {name: memory_order(parameter) for name, parameter in params.items()}
        in_order = [
            self._in_memory_order(tensors) for tensors in (params, self.exp_avg, self.exp_avg_sq)
        ]
        self._groups = [
            _ParamGroup(cells, lr, *([tensor[cells] for tensor in tensors] for tensors in in_order))
            for cells, lr in _group_by_lr(learning_rates)
        ]

    @property
    def state(self) -> dict[str, dict[str, Tensor]]:
        """The moments, (cells, ...) each, by kind and name of the parameter."""
        return {"exp_avg": self.exp_avg, "exp_avg_sq": self.exp_avg_sq}

    @property
    def step(self) -> int:
        """Steps taken; set when a training is resumed."""
        return int(self._groups[0].steps[0])

    @step.setter
    def step(self, taken: int) -> None:
        for run in self._groups:
            for counter in run.steps:
                counter.fill_(taken)

    def apply_gradients(self, gradients: Mapping[str, Tensor]) -> None:
        """Take one step; neighbouring cells of one learning rate share a fused call."""
        in_order = [gradient.contiguous() for gradient in self._in_memory_order(gradients)]
        for group in self._groups:
            group.apply_gradients(
                in_order
                if len(self._groups) == 1
                else [gradient[group.cells] for gradient in in_order]
            )

    def _in_memory_order(self, tensors: Mapping[str, Tensor]) -> list[Tensor]:
        return [tensors[name].permute(order) for name, order in self._memory_orders.items()]


class _ParamGroup:
    """Neighbouring cells of one learning rate: views of their parameters and moments."""

    def __init__(
        self,
        cells: slice,
        lr: float,
        params: list[Tensor],
        exp_avg: list[Tensor],
        exp_avg_sq: list[Tensor],
    ):
        self.cells, self.lr, self.params, self.exp_avg, self.exp_avg_sq = (
            cells,
            lr,
            params,
            exp_avg,
            exp_avg_sq,
        )
        self.steps = [torch.zeros((), device=parameter.device) for parameter in params]

    def apply_gradients(self, gradients: list[Tensor]) -> None:
        adam(
            self.params,
            gradients,
            self.exp_avg,
            self.exp_avg_sq,
            max_exp_avg_sqs=[],
            state_steps=self.steps,
            lr=self.lr,
            beta1=DECAY_RATES[0],
            beta2=DECAY_RATES[1],
            eps=EPSILON,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
            fused=True,
        )


def match_memory_layout(parameter: Tensor, gradient: Tensor) -> Tensor:
    """A copy of a parameter (cells, ...) with the memory layout of its gradient.

    The memory of one cell is contiguous, as cells of one learning rate must be.
    """
    order = memory_order(gradient)
    dense = parameter.permute(order).clone(memory_format=torch.contiguous_format)
    return dense.permute([order.index(dimension) for dimension in range(parameter.ndim)])


def memory_order(tensor: Tensor) -> list[int]:
    """The dimensions ordered from the largest stride to the smallest; cells stay first."""
    strides = tensor.stride()
    return [0, *sorted(range(1, tensor.ndim), key=lambda dimension: -strides[dimension])]


def _group_by_lr(learning_rates: Sequence[float]) -> list[tuple[slice, float]]:
    """Groups of neighbouring cells of one learning rate.

    >>> _group_by_lr([0.1, 0.1, 0.2])
    [(slice(0, 2, None), 0.1), (slice(2, 3, None), 0.2)]
    """
    groups: list[tuple[slice, float]] = []
    start = 0
    for lr, same in groupby(learning_rates):
        stop = start + len(list(same))
        groups.append((slice(start, stop), lr))
        start = stop
    return groups
