"""The latent means of a trained cell as data: the second stage of a model such as M1+M2.

`latents:RESULTS/CELL` names the means of q(z|x) of the cell with the id CELL in the results folder
RESULTS: of its training and test images, with their classes, as continuous data. Source of the
idea: Kingma et al. 2014, Semi-supervised Learning with Deep Generative Models, section 2.3.
"""

import re

import numpy as np
import torch
from torch import Tensor

from harness.data import loading
from harness.data.preparation import prepare
from harness.errors import InputError
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.experiment.seeding import EvaluationPurpose
from harness.plugins import registry
from harness.plugins.dataset import DataSpec, Splits
from harness.plugins.model import Encoding, Model, sees_dequantised
from harness.plugins.model_state import load_tensors
from harness.storage import tensor_file
from harness.storage.layout import weights_key
from harness.storage.schema import cell_of
from harness.storage.store import Store

PREFIX = "latents:"
EXPECTED = f"expected {PREFIX}RESULTS/CELL, with the id of a cell in a results folder"
CHUNK_SIZE = 1000  # images encoded at a time


def name_of(entry: str) -> str:
    """The name of such a data set: `latents-` and the id of the cell.

    >>> name_of("latents:results/m1/0123456789abcdef")
    'latents-0123456789abcdef'
    """
    return f"latents-{_split_entry(entry)[1]}"


def read_latents(entry: str) -> tuple[DataSpec, Splits]:
    """The description and the arrays of `latents:RESULTS/CELL`; InputError if there are none."""
    address, cell_id = _split_entry(entry)
    cell, model = _load_model(entry, Store(address), cell_id)
    data = loading.load(cell.dataset)
    train = _encode(model, data.train_x, data.spec, "training images")
    test = _encode(model, data.test_x, data.spec, "test binarisation")
    spec = DataSpec((train.shape[1],), "continuous", classes=data.spec.classes)
    return spec, Splits(train, data.train_y.numpy(), test, data.test_y.numpy())


def _split_entry(entry: str) -> tuple[str, str]:
    match = re.fullmatch(rf"{PREFIX}(.+)/([0-9a-f]{{16}})", entry)
    if match is None:
        raise InputError(f"data set {entry!r}: {EXPECTED}")
    return match[1], match[2]


def _load_model(entry: str, store: Store, cell_id: str) -> tuple[Cell, Encoding]:
    row = store.row(cell_id)
    content = None if row is None else store.read(weights_key(cell_of(row)))
    if row is None or content is None:
        raise InputError(f"data set {entry!r}: that cell has no row with weights there; {EXPECTED}")
    cell = cell_of(row)
    model = registry.build(cell)
    try:
        load_tensors(model, tensor_file.parse(content)[0])
    except ValueError as error:
        expected = "expected the code that trained it"
        raise InputError(f"data set {entry!r}: {error}; {expected}") from None
    if not isinstance(model, Encoding):
        raise InputError(
            f"data set {entry!r}: model '{cell.model}' has no `encode`; expected a model that "
            "gives the mean and variance of q(z|x)"
        )
    model.eval()
    return cell, model


@torch.inference_mode()
def _encode(
    model: Encoding, stored: Tensor, spec: DataSpec, purpose: EvaluationPurpose
) -> np.ndarray:
    assert isinstance(model, Model)
    dequantised = sees_dequantised(model)
    x = prepare(stored, spec, seeding.evaluation_generator(purpose), dequantised)
    return torch.cat([model.encode(images)[0] for images in x.split(CHUNK_SIZE)]).numpy()
