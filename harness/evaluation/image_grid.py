"""Sheets of images as PNG: samples, reconstructions, traversals."""

import io

import numpy as np
from PIL import Image
from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec

SHEET_ROWS, SHEET_COLUMNS = 10, 20
LINE_LEVEL = 64  # grey level of the lines between images


def render_sheet(images: Tensor, spec: DataSpec = MNIST_SPEC) -> bytes:
    """A PNG of SHEET_ROWS × SHEET_COLUMNS images with a pixel between them.

    images: (n, dimensions) in [0, 1], SHEET_ROWS · SHEET_COLUMNS at most; other values are cut off,
        and missing images are black
    """
    channels, height, width = spec.shape
    levels = images.clamp(0, 1).mul(255).round().byte().cpu().numpy()
    tiles = np.zeros((SHEET_ROWS * SHEET_COLUMNS, channels, height, width), np.uint8)
    tiles[: len(levels)] = levels.reshape(-1, channels, height, width)
    tiles = tiles.reshape(SHEET_ROWS, SHEET_COLUMNS, channels, height, width)
    padding = ((0, 0), (0, 0), (0, 0), (0, 1), (0, 1))
    framed = np.pad(tiles, padding, constant_values=LINE_LEVEL)
    sheet = framed.transpose(0, 3, 1, 4, 2).reshape(
        SHEET_ROWS * (height + 1), SHEET_COLUMNS * (width + 1), channels
    )[:-1, :-1]
    file = io.BytesIO()
    Image.fromarray(sheet.squeeze(-1) if channels == 1 else sheet).save(file, "PNG")
    return file.getvalue()
