"""Sheets of images of any size, and of few images."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from harness.evaluation.image_grid import LINE_LEVEL, SHEET_COLUMNS, SHEET_ROWS, render_sheet
from harness.evaluation.samples import reconstruct_images
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import DataSpec

ALL = SHEET_ROWS * SHEET_COLUMNS


def pixels(images: torch.Tensor, spec: DataSpec) -> np.ndarray:
    with Image.open(io.BytesIO(render_sheet(images, spec))) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("shape", [(1, 5, 4), (3, 6, 7)])
@pytest.mark.parametrize("count", [ALL, 33])
def test_every_image_has_its_place(shape: tuple[int, int, int], count: int) -> None:
    spec = DataSpec(shape, "ordinal", 256)
    images = torch.rand(count, spec.dimensions, generator=torch.Generator().manual_seed(0))
    sheet = pixels(images, spec)
    channels, height, width = shape
    assert sheet.shape[:2] == (SHEET_ROWS * (height + 1) - 1, SHEET_COLUMNS * (width + 1) - 1)
    row, column = divmod(32, SHEET_COLUMNS)
    top, left = row * (height + 1), column * (width + 1)
    found = sheet[top : top + height, left : left + width].reshape(height, width, channels)
    expected = (images[32] * 255).round().reshape(shape).permute(1, 2, 0)
    assert np.array_equal(found, expected.numpy())
    assert (sheet[height] == LINE_LEVEL).all()
    last = sheet[-height:, -width:]
    assert bool(last.any()) == (count == ALL)


@pytest.mark.parametrize(("images", "lines"), [(250, 10), (59, 4), (20, 2), (19, None)])
def test_few_images_give_fewer_lines_of_reconstructions(images: int, lines: int | None) -> None:
    model = registry.build(Cell("vae", 0, 1, settings=(("z", 2),)))
    x = torch.rand(images, 784).round()
    found = reconstruct_images(model, x, SHEET_ROWS, SHEET_COLUMNS)
    assert (None if found is None else len(found) // SHEET_COLUMNS) == lines
