"""The data sets in IDX files: found or downloaded, and verified whenever they are loaded.

A file is used if its bytes have the SHA-256 listed here, or if its archive has the MD5 that
torchvision publishes; others are refused. `python -m harness.data NAME` downloads and verifies a
data set.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.data.download import SOURCES, cache_folder, fetch, read_emnist, read_files
from harness.errors import InputError, unknown_name_error
from harness.experiment.grid import DATASETS
from harness.plugins.dataset import Data
from harness.plugins.model import PIXELS


def load(name: str, folder: str | Path | None = None) -> Data:
    """A data set; every file is verified.

    folder: the only place to look; by default the cache, where missing files are downloaded

    InputError if a file is missing or altered.
    """
    if name not in SOURCES:
        raise unknown_name_error("dataset", name, DATASETS)
    if folder is not None:
        return _build_data(name, read_files(name, _check_folder(name, folder)))
    try:
        return _build_data(name, read_files(name, cache_folder()))
    except FileNotFoundError:
        return _build_data(name, fetch(name, cache_folder()))


def load_letters(folder: str | Path | None = None) -> Data:
    """The letters of EMNIST, classes 0 to 25; folder and errors as in `load`."""
    if folder is not None:
        files = read_emnist(_check_folder("emnist", folder), "letters")
    else:
        load("emnist")  # downloads the archive if it is not in the cache
        files = read_emnist(cache_folder(), "letters")
    data = _build_data("emnist", files)
    return replace(data, train_y=data.train_y - 1, test_y=data.test_y - 1)  # the file has 1 to 26


def _check_folder(name: str, folder: str | Path) -> Path:
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise InputError(
            f"data folder {str(folder)!r} does not exist; expected a folder with "
            f"{SOURCES[name].folder}/"
        )
    return root


def _build_data(name: str, files: list[bytes]) -> Data:
    train_x, train_y, test_x, test_y = (_parse_idx(content) for content in files)
    if name == "emnist":  # stored with rows and columns exchanged
        train_x, test_x = train_x.transpose(1, 2), test_x.transpose(1, 2)
    checksum = hashlib.sha256(
        "".join(hashlib.sha256(content).hexdigest() for content in files).encode()
    ).hexdigest()
    images = [x.reshape(-1, PIXELS).contiguous() for x in (train_x, test_x)]
    return Data(name, images[0], train_y.long(), images[1], test_y.long(), checksum)


def _parse_idx(content: bytes) -> Tensor:
    """The bytes of an IDX file -> a tensor of the shape in its header."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4).astype(int)
    return torch.from_numpy(
        np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
    )
