"""The fused step against torch's own Adam, one cell at a time, for any memory layout."""

from collections.abc import Sequence
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from harness.training.optimization.adam import Adam
from harness.training.optimization.adam import match_memory_layout as lying_as

Order = Sequence[int]
RATES = st.sampled_from([1e-3, 1e-2, 0.3])


def laid_out(values: Tensor, order: Order) -> Tensor:
    """The same numbers in another memory layout: dimensions ordered from the largest stride."""
    back = [list(order).index(dimension) for dimension in range(values.ndim)]
    return values.permute(*order).clone(memory_format=torch.contiguous_format).permute(*back)


def numbers(shape: Sequence[int], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def alone(start: Tensor, gradients: Sequence[Tensor], rate: float) -> Tensor:
    """The parameter of one cell after steps of torch's Adam."""
    parameter = torch.nn.Parameter(start.contiguous().clone())
    optimizer = torch.optim.Adam([parameter], lr=rate)
    for gradient in gradients:
        parameter.grad = gradient.contiguous()
        optimizer.step()
    return parameter.detach()


def same_as_alone(
    start: Tensor, gradients: Sequence[Tensor], rates: Sequence[float], order: Order, of: Order
) -> None:
    """Compare with each cell alone; parameter and gradients differ in memory layout."""
    parameter = laid_out(start, order)
    adam = Adam({"w": parameter}, rates)
    for gradient in gradients:
        adam.apply_gradients({"w": laid_out(gradient, of)})
    for index, rate in enumerate(rates):
        expected = alone(start[index], [gradient[index] for gradient in gradients], rate)
        assert_close(parameter[index], expected, rtol=1e-5, atol=1e-5 * len(gradients) * rate)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[list[int], list[float], list[int]]:
    """A stacked shape (cells, ...), learning rates of the cells, and a memory order."""
    rates = draw(st.lists(RATES, min_size=1, max_size=5))
    shape = draw(st.lists(st.integers(1, 6), max_size=3))
    order = draw(st.permutations(range(1, len(shape) + 1)))
    return [len(rates), *shape], rates, [0, *order]


@settings(deadline=None)
@given(shapes(), st.integers(1, 60))
def test_every_cell_steps_as_torchs_adam_at_its_learning_rate(
    given: tuple[list[int], list[float], list[int]], steps: int
) -> None:
    shape, rates, order = given
    gradients = [numbers(shape, step + 1) for step in range(steps)]
    same_as_alone(numbers(shape, 0), gradients, rates, order, of=order)


@settings(deadline=None)
@given(shapes(), st.data())
def test_gradients_may_have_another_memory_order(
    given: tuple[list[int], list[float], list[int]], data: st.DataObject
) -> None:
    shape, rates, order = given
    of = [0, *data.draw(st.permutations(range(1, len(shape))))]
    gradients = [numbers(shape, step + 1) for step in range(3)]
    same_as_alone(numbers(shape, 0), gradients, rates, order, of=of)


def test_an_expanded_gradient_reaches_every_element() -> None:
    """The gradient of a sum is such a view: one number expanded to all elements."""
    start, gradient = numbers((2, 4, 5), 0), torch.tensor([1.0, -2.0])
    parameter = start.clone()
    adam = Adam({"w": parameter}, [1e-2, 1e-2])
    adam.apply_gradients({"w": gradient[:, None, None].expand(2, 4, 5)})
    assert_close(parameter, start - 1e-2 * gradient.sign()[:, None, None])


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_parameter_takes_the_memory_layout_of_its_gradient(
    order: tuple[int, ...],
) -> None:
    """Each cell stays contiguous, even if the gradient interleaves the cells.

    The cells of one learning rate must be adjacent in memory.
    """
    parameter, gradient = numbers((3, 4, 5), 0), laid_out(numbers((3, 4, 5), 1), order)
    found = lying_as(parameter, gradient)
    assert_close(found, parameter, rtol=0, atol=0)
    assert all(cell.permute([d - 1 for d in order if d]).is_contiguous() for cell in found)
    assert found.stride(0) == 20
    assert found.data_ptr() != parameter.data_ptr()


def test_a_transposed_parameter_steps_like_a_contiguous_one() -> None:
    """The gradient of a layer may be transposed.

    A fused step that ignores strides would mix up its elements.
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


def test_parameters_move_in_place_by_their_own_gradients() -> None:
    params = {"a": numbers((2, 3), 0), "b": numbers((2, 5), 1)}
    held, start = dict(params), {name: value.clone() for name, value in params.items()}
    gradients = {"b": numbers((2, 5), 3), "a": numbers((2, 3), 2)}
    Adam(params, [1e-2, 1e-2]).apply_gradients(gradients)
    for name, value in params.items():
        assert value is held[name]
        assert_close(value, start[name] - 1e-2 * gradients[name].sign())


@pytest.mark.parametrize("steps", [1, 7])
def test_setting_the_step_resumes_the_bias_correction(steps: int) -> None:
    """A resumed optimiser gets moments and step, and continues as if uninterrupted."""
    shape, rates = (2, 3, 4), [1e-2, 1e-3]
    gradients = [numbers(shape, step + 1) for step in range(steps + 5)]
    straight, resumed = numbers(shape, 0), numbers(shape, 0)
    whole, first = Adam({"w": straight}, rates), Adam({"w": resumed}, rates)
    for gradient in gradients:
        whole.apply_gradients({"w": gradient})
    for gradient in gradients[:steps]:
        first.apply_gradients({"w": gradient})
    second = Adam({"w": resumed}, rates)
    second.exp_avg["w"].copy_(first.exp_avg["w"])
    second.exp_avg_sq["w"].copy_(first.exp_avg_sq["w"])
    second.step = first.step
    for gradient in gradients[steps:]:
        second.apply_gradients({"w": gradient})
    assert torch.equal(straight, resumed)
