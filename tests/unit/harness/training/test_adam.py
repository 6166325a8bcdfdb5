"""The fused step against torch's own Adam, a cell at a time, however the stacked tensors lie in
memory.
"""

from collections.abc import Sequence
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from harness.training.adam import Adam
from harness.training.adam import match_memory_layout as lying_as

Order = Sequence[int]
RATES = st.sampled_from([1e-3, 1e-2, 0.3])


def laid_out(values: Tensor, order: Order) -> Tensor:
    """The same numbers, in memory with the dimensions in this order, slowest first."""
    back = [list(order).index(dimension) for dimension in range(values.ndim)]
    return values.permute(*order).clone(memory_format=torch.contiguous_format).permute(*back)


def numbers(shape: Sequence[int], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def alone(start: Tensor, slopes: Sequence[Tensor], rate: float) -> Tensor:
    """A cell's parameter after torch's Adam."""
    parameter = torch.nn.Parameter(start.contiguous().clone())
    optimizer = torch.optim.Adam([parameter], lr=rate)
    for slope in slopes:
        parameter.grad = slope.contiguous()
        optimizer.step()
    return parameter.detach()


def same_as_alone(
    start: Tensor, slopes: Sequence[Tensor], rates: Sequence[float], order: Order, of: Order
) -> None:
    """A parameter in one memory order, its slopes in another, against each cell by itself."""
    parameter = laid_out(start, order)
    adam = Adam({"w": parameter}, rates)
    for slope in slopes:
        adam.apply_gradients({"w": laid_out(slope, of)})
    for index, rate in enumerate(rates):
        expected = alone(start[index], [slope[index] for slope in slopes], rate)
        assert_close(parameter[index], expected, rtol=1e-5, atol=1e-5 * len(slopes) * rate)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[list[int], list[float], list[int]]:
    """A stacked shape, (cells, ...), the learning rates of its cells, and a memory order that keeps
    cells slowest.
    """
    rates = draw(st.lists(RATES, min_size=1, max_size=5))
    shape = draw(st.lists(st.integers(1, 6), max_size=3))
    order = draw(st.permutations(range(1, len(shape) + 1)))
    return [len(rates), *shape], rates, [0, *order]


@settings(deadline=None)
@given(shapes(), st.integers(1, 60))
def test_every_cell_takes_the_steps_of_torchs_adam_at_its_learning_rate(
    given: tuple[list[int], list[float], list[int]], steps: int
) -> None:
    shape, rates, order = given
    slopes = [numbers(shape, step + 1) for step in range(steps)]
    same_as_alone(numbers(shape, 0), slopes, rates, order, of=order)


@settings(deadline=None)
@given(shapes(), st.data())
def test_slopes_may_lie_in_another_order_than_their_parameter(
    given: tuple[list[int], list[float], list[int]], data: st.DataObject
) -> None:
    shape, rates, order = given
    of = [0, *data.draw(st.permutations(range(1, len(shape))))]
    slopes = [numbers(shape, step + 1) for step in range(3)]
    same_as_alone(numbers(shape, 0), slopes, rates, order, of=of)


def test_a_slope_that_is_one_number_for_all_of_a_parameter_is_spread_over_it() -> None:
    """As the slope of a sum comes: a view that has no memory of its own for every element."""
    start, slope = numbers((2, 4, 5), 0), torch.tensor([1.0, -2.0])
    parameter = start.clone()
    adam = Adam({"w": parameter}, [1e-2, 1e-2])
    adam.apply_gradients({"w": slope[:, None, None].expand(2, 4, 5)})
    assert_close(parameter, start - 1e-2 * slope.sign()[:, None, None])


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_parameter_is_laid_out_as_its_slope_one_cell_after_another(
    order: tuple[int, ...],
) -> None:
    """Also where the slope has its cells side by side: the cells of one learning rate must lie
    together.
    """
    parameter, slope = numbers((3, 4, 5), 0), laid_out(numbers((3, 4, 5), 1), order)
    found = lying_as(parameter, slope)
    assert_close(found, parameter, rtol=0, atol=0)
    assert all(cell.permute([d - 1 for d in order if d]).is_contiguous() for cell in found)
    assert found.stride(0) == 20
    assert found.data_ptr() != parameter.data_ptr()


def test_a_transposed_parameter_takes_the_steps_of_a_contiguous_one() -> None:
    """As in a layer whose slope comes transposed: read from end to end in the wrong order, the
    numbers would differ.
    """
    start, plain, transposed = numbers((3, 40, 30), 0), (0, 1, 2), (0, 2, 1)
    found = []
    for order in (plain, transposed):
        parameter = laid_out(start, order)
        adam = Adam({"w": parameter}, [1e-2] * 3)
        for step in range(20):
            adam.apply_gradients({"w": laid_out(numbers((3, 40, 30), step + 1), order)})
        found.append((parameter, adam.exp_avg["w"], adam.exp_avg_sq["w"]))
    for ours, theirs in zip(*found, strict=True):
        assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


def test_parameters_move_in_place_and_each_by_its_own_slopes() -> None:
    params = {"a": numbers((2, 3), 0), "b": numbers((2, 5), 1)}
    held, start = dict(params), {name: value.clone() for name, value in params.items()}
    slopes = {"b": numbers((2, 5), 3), "a": numbers((2, 3), 2)}
    Adam(params, [1e-2, 1e-2]).apply_gradients(slopes)
    for name, value in params.items():
        assert value is held[name]
        assert_close(value, start[name] - 1e-2 * slopes[name].sign())


@pytest.mark.parametrize("steps", [1, 7])
def test_a_step_that_is_set_is_the_step_that_the_moments_stand_at(steps: int) -> None:
    """A resumed optimiser takes over moments and step, and goes on as if never stopped."""
    shape, rates = (2, 3, 4), [1e-2, 1e-3]
    slopes = [numbers(shape, step + 1) for step in range(steps + 5)]
    straight, resumed = numbers(shape, 0), numbers(shape, 0)
    whole, first = Adam({"w": straight}, rates), Adam({"w": resumed}, rates)
    for slope in slopes:
        whole.apply_gradients({"w": slope})
    for slope in slopes[:steps]:
        first.apply_gradients({"w": slope})
    second = Adam({"w": resumed}, rates)
    second.exp_avg["w"].copy_(first.exp_avg["w"])
    second.exp_avg_sq["w"].copy_(first.exp_avg_sq["w"])
    second.step = first.step
    for slope in slopes[steps:]:
        second.apply_gradients({"w": slope})
    assert torch.equal(straight, resumed)
