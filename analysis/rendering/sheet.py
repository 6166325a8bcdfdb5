"""Sheets of images: PNGs that the harness writes, of 10 rows of 20 images of one size, grey or in
colour, one pixel apart.
"""

import io

import numpy as np
from PIL import Image

from harness.storage.store import PictureKind

SHEET_ROWS, SHEET_COLUMNS = 10, 20
MAX_COLUMNS = 7  # of a sheet in a plot


def crop_sheet(
    png: bytes, kind: PictureKind, columns: int = MAX_COLUMNS, rows: int = SHEET_ROWS
) -> np.ndarray:
    """Crop a sheet to so many columns and rows: (height, width), or (height, width, 3), in 0..255.

    Columns of a traversal are spread from end to end, else they are the first; rows are the first.
    A picture of another size is returned uncropped.
    """
    with Image.open(io.BytesIO(png)) as picture:
        pixels = np.asarray(picture.convert("RGB" if picture.mode == "RGB" else "L"))
    height, width = pixels.shape[0] + 1, pixels.shape[1] + 1  # with the line after the last image
    if height % SHEET_ROWS or width % SHEET_COLUMNS:
        return pixels
    tile = width // SHEET_COLUMNS
    chosen = (
        np.linspace(0, SHEET_COLUMNS - 1, columns).round().astype(int)
        if kind == "traversals"
        else np.arange(columns)
    )
    pixel_columns = (chosen[:, None] * tile + np.arange(tile)).ravel()[:-1]
    return pixels[: rows * (height // SHEET_ROWS) - 1, pixel_columns]


def excerpt_sheet(png: bytes, kind: PictureKind, columns: int, rows: int) -> bytes:
    """The PNG of `crop_sheet`; the same PNG where it cannot be decoded."""
    try:
        pixels = crop_sheet(png, kind, columns, rows)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return png
    with io.BytesIO() as cropped:
        Image.fromarray(pixels).save(cropped, "PNG")
        return cropped.getvalue()
