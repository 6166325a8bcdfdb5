"""Sheets of digits as PNG: samples, reconstructions, traversals."""

import io

import numpy as np
from PIL import Image
from torch import Tensor

SHEET_ROWS, SHEET_COLUMNS, IMAGE_SIDE = 10, 20, 28


def render_sheet(images: Tensor) -> bytes:
    """A PNG of SHEET_ROWS × SHEET_COLUMNS digits with a pixel between them.

    images: (SHEET_ROWS · SHEET_COLUMNS, PIXELS) in [0, 1]
    """
    tiles = (
        images.reshape(SHEET_ROWS, SHEET_COLUMNS, IMAGE_SIDE, IMAGE_SIDE)
        .mul(255)
        .round()
        .byte()
        .cpu()
        .numpy()
    )
    framed = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=64)
    sheet = framed.transpose(0, 2, 1, 3).reshape(
        SHEET_ROWS * (IMAGE_SIDE + 1), SHEET_COLUMNS * (IMAGE_SIDE + 1)
    )
    file = io.BytesIO()
    Image.fromarray(sheet[:-1, :-1]).save(file, "PNG")
    return file.getvalue()
