"""Sheets of images are cropped to whole images."""

import io

import numpy as np
import pytest
from PIL import Image

from analysis.rendering.sheet import crop_sheet, excerpt_sheet
from harness.storage.store import PictureKind

TILE = 29  # pixels of an image of MNIST and the line beside it


def sheet(rows: int = 10, columns: int = 20) -> bytes:
    """A sheet of digits, each as bright as its column."""
    tiles = np.kron(
        np.arange(columns, dtype=np.uint8)[None],
        np.ones((rows * TILE, TILE), np.uint8),
    )
    file = io.BytesIO()
    Image.fromarray(tiles[:-1, :-1]).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "columns"),
    [("samples", [0, 1, 2, 3, 4, 5, 6]), ("traversals", [0, 3, 6, 10, 13, 16, 19])],
)
def test_a_traversal_is_shown_from_end_to_end(kind: PictureKind, columns: list[int]) -> None:
    pixels = crop_sheet(sheet(), kind)
    assert pixels.shape == (10 * TILE - 1, 7 * TILE - 1)
    assert pixels[0, ::TILE].tolist() == columns


def test_a_picture_that_is_no_sheet_is_shown_whole() -> None:
    file = io.BytesIO()
    Image.new("L", (300, 10), 128).save(file, "PNG")
    assert crop_sheet(file.getvalue(), "samples").shape == (10, 300)
    assert crop_sheet(sheet(columns=4), "samples").shape == (289, 115)


def test_an_excerpt_is_a_png_of_the_first_rows() -> None:
    with Image.open(io.BytesIO(excerpt_sheet(sheet(), "samples", 8, 4))) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L")
        assert picture.size == (8 * TILE - 1, 4 * TILE - 1)


def test_an_excerpt_of_what_is_no_picture_is_the_same() -> None:
    assert excerpt_sheet(b"no picture", "samples", 8, 4) == b"no picture"
