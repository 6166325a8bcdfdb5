"""Held-out training images: the same for every cell, and never trained on."""

from dataclasses import replace

import pytest
import torch

from harness.data.labelled_subset import select_labelled
from harness.data.validation_split import check_validation, split_off_validation
from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from tests.conftest import CellMaker


def with_validation(size: int, label_draw: str = "file-abc") -> Cell:
    return Cell("ssvae", 0, 10, validation=size, label_draw=label_draw)


@pytest.fixture
def numbered(mnist: Data) -> Data:
    """Data whose images are their indices."""
    indices = torch.arange(len(mnist.train_x)).unsqueeze(1)
    return replace(mnist, train_x=indices, train_y=indices.squeeze(1) % 10)


def test_every_image_is_in_one_part(numbered: Data) -> None:
    data, _ = split_off_validation(numbered, with_validation(300))
    assert data.validation_x is not None
    assert (len(data.train_x), len(data.validation_x)) == (1700, 300)
    together = torch.cat([data.train_x, data.validation_x]).squeeze(1)
    assert torch.equal(together.sort().values, torch.arange(2000))
    assert data.validation_y is not None
    for x, y in ((data.train_x, data.train_y), (data.validation_x, data.validation_y)):
        assert torch.equal(x.squeeze(1), x.squeeze(1).sort().values)
        assert torch.equal(x.squeeze(1) % 10, y)


def test_a_larger_validation_set_holds_a_smaller_one(numbered: Data) -> None:
    small, large = (
        split_off_validation(numbered, with_validation(size))[0].validation_x for size in (50, 300)
    )
    assert small is not None
    assert large is not None
    assert set(small.flatten().tolist()) < set(large.flatten().tolist())


def test_without_validation_the_data_are_as_they_are(mnist: Data) -> None:
    data, listed = split_off_validation(mnist, with_validation(0), (3, 1))
    assert data is mnist
    assert listed == (3, 1)


def test_listed_images_are_found_again(numbered: Data) -> None:
    held_out = split_off_validation(numbered, with_validation(300))[0].validation_x
    assert held_out is not None
    listed = sorted(set(range(2000)) - set(held_out.flatten().tolist()))[::-400]
    data, positions = split_off_validation(numbered, with_validation(300), listed)
    assert data.train_x[positions].flatten().tolist() == listed


def test_labelled_images_are_drawn_from_the_others(numbered: Data, cell: CellMaker) -> None:
    data, _ = split_off_validation(numbered, with_validation(300))
    drawn = select_labelled(cell("ssvae"), data, ()).grey.flatten().tolist()
    assert len(drawn) == 100
    assert data.validation_x is not None
    assert not set(drawn) & set(data.validation_x.flatten().tolist())


def test_own_validation_images_are_used_whole(mnist: Data) -> None:
    own = replace(mnist, validation_x=mnist.test_x, validation_y=mnist.test_y)
    data, _ = split_off_validation(own, with_validation(400))
    assert data is own
    check_validation(own, with_validation(0))
    with pytest.raises(InputError, match=r"validation 399: .* has 400 .*; expected 0 or 400$"):
        check_validation(own, with_validation(399))


@pytest.mark.parametrize("size", [2000, 5000])
def test_some_images_are_left_to_train_on(mnist: Data, size: int) -> None:
    with pytest.raises(InputError, match=f"validation {size}: .* has 2000 training images; exp"):
        split_off_validation(mnist, with_validation(size))


def test_a_listed_image_that_is_held_out_is_refused(numbered: Data) -> None:
    held_out = split_off_validation(numbered, with_validation(300))[0].validation_x
    assert held_out is not None
    with pytest.raises(InputError, match=f"image {int(held_out[7])} of the listed .* is held out"):
        check_validation(numbered, with_validation(300), [int(held_out[7])])


def test_a_cell_that_draws_its_labels_does_not_mind_a_list(numbered: Data) -> None:
    """The list of a run is given to all its cells, of other data sets too."""
    drawn = with_validation(300, "seed")
    data, positions = split_off_validation(numbered, drawn, range(5000))
    assert (len(data.train_x), positions) == (1700, [])


def test_another_split_is_another_draw(numbered: Data) -> None:
    held_out = []
    for number in (0, 1, 1):
        data, _ = split_off_validation(numbered, replace(with_validation(300), split=number))
        assert data.validation_x is not None
        held_out.append(set(data.validation_x.flatten().tolist()))
        assert not held_out[-1] & set(data.train_x.flatten().tolist())
    assert held_out[1] == held_out[2]
    assert len(held_out[0] & held_out[1]) < 100


def test_own_validation_images_are_not_drawn_anew(mnist: Data) -> None:
    own = replace(mnist, validation_x=mnist.test_x, validation_y=mnist.test_y)
    size = len(mnist.test_x)
    with pytest.raises(InputError, match=r"search\.split study: .* expected shared"):
        check_validation(own, replace(with_validation(size, "none"), split=1))
