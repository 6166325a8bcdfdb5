"""Random streams: the numbers never change, and streams are independent."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.experiment import seeding
from harness.experiment.seeding import PURPOSES, Purpose, derive

GOLDEN: dict[tuple[int, Purpose, int], int] = {
    (0, "weights", 0): 664910812957149500,
    (0, "order", 1): 4489457307835839548,
    (7, "noise", 12345): 3374748636659104187,
    (3, "labels", 0): 5373304935542631904,
    (2**62, "binarisation", 9): 4250902360750948913,
    (0, "test binarisation", 0): 7009275678023457358,
}
ADDRESSES = st.tuples(st.integers(0, 2**63 - 1), st.sampled_from(PURPOSES), st.integers(0, 2**40))


@pytest.mark.parametrize(("address", "expected"), GOLDEN.items())
def test_streams_are_those_of_all_earlier_results(
    address: tuple[int, Purpose, int], expected: int
) -> None:
    """If this fails, earlier results cannot be repeated.

    Restore the streams.
    """
    assert derive(*address) == expected


@given(st.lists(ADDRESSES, unique=True, min_size=2, max_size=20))
def test_every_address_has_its_own_seed_that_torch_takes(
    addresses: list[tuple[int, Purpose, int]],
) -> None:
    found = [derive(*address) for address in addresses]
    assert len(set(found)) == len(found)
    assert all(0 <= value < 2**63 for value in found)


def test_streams_do_not_correlate() -> None:
    """10,000 normal draws each.

    The correlation of every pair of streams is within five standard errors of 0.
    """
    addresses = [
        (seed, purpose, index) for seed in (0, 1) for purpose in PURPOSES for index in (0, 1)
    ]
    streams = torch.stack(
        [torch.randn(10_000, generator=seeding.generator(*address)) for address in addresses]
    )
    off = torch.corrcoef(streams).fill_diagonal_(0)
    assert off.abs().max() < 5 / 100


def test_a_generator_does_not_depend_on_earlier_draws() -> None:
    def draw(index: int) -> torch.Tensor:
        return torch.randn(5, generator=seeding.generator(3, "noise", index))

    first = [draw(0), draw(1)]
    torch.manual_seed(0)
    again = [draw(1), draw(0)]
    assert torch.equal(first[0], again[1])
    assert torch.equal(first[1], again[0])
    assert not torch.equal(*first)
    assert seeding.generator(3, "noise", 1).initial_seed() == derive(3, "noise", 1)


def test_evaluation_draws_have_one_seed() -> None:
    assert seeding.evaluation_generator("samples", 2).initial_seed() == derive(0, "samples", 2)


def test_an_unknown_purpose_is_refused() -> None:
    with pytest.raises(ValueError, match="no purpose 'shuffle'; expected one of weights, order"):
        derive(0, "shuffle")  # type: ignore[arg-type]
