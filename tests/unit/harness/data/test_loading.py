"""Data sets as plug-ins: what they may be, and what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.data import loading
from harness.data.loading import DatasetLoader
from harness.data.preparation import prepare, prepare_batch, scale
from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.experiment.grid import DATASETS
from harness.plugins import registry
from harness.plugins.dataset import (
    Data,
    Dataset,
    DataSpec,
    Splits,
    add_dataset,
    register_dataset,
    registered_datasets,
)

SPEC = DataSpec((3, 4, 5), "ordinal", levels=8, classes=3)
RNG = np.random.default_rng(0)
SPLITS = Splits(
    RNG.integers(0, 8, (40, 3, 4, 5)), RNG.integers(0, 3, 40), RNG.integers(0, 8, (9, 3, 4, 5)),
    RNG.integers(0, 3, 9),
)  # fmt: skip


class Given(Dataset):
    """Data that a test gives."""

    def __init__(self, spec: DataSpec = SPEC, splits: Splits = SPLITS):
        self.spec, self.splits = spec, splits

    def load(self, folder: Path | None) -> Splits:
        return self.splits


@pytest.fixture(autouse=True)
def clean_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    registry.lookup_dataset("mnist")  # loads the shipped ones
    before, specs = dict(registered_datasets), dict(registry._specs)
    yield
    registered_datasets.clear()
    registered_datasets.update(before)
    registry._specs.clear()
    registry._specs.update(specs)


def load(spec: DataSpec = SPEC, splits: Splits = SPLITS) -> Data:
    registered_datasets.pop("mine", None)
    add_dataset("mine", Given(spec, splits))
    return loading.load("mine")


def test_the_data_sets_of_the_first_version_are_pinned() -> None:
    loader = DatasetLoader("/nowhere")
    assert [loader.version(name) for name in DATASETS] == [""] * 4  # nothing is loaded for this


def test_arrays_become_vectors_of_their_kind() -> None:
    data = load()
    assert data.train_x.shape == (40, 60)
    assert data.train_x.dtype == torch.uint8
    assert data.test_y.tolist() == SPLITS.test_y.tolist()
    x = scale(data.train_x, SPEC)
    assert torch.equal((x * 7).round().long(), torch.tensor(SPLITS.train_x).reshape(40, 60))
    assert float(x.max()) == 1.0


@pytest.mark.parametrize(
    ("spec", "values", "expected"),
    [
        (DataSpec((4,), "binary", binarisation="static"), [0, 1, 1, 0], [0.0, 1.0, 1.0, 0.0]),
        (DataSpec((4,), "continuous"), [-1.5, 0.0, 2.0, 9.0], [-1.5, 0.0, 2.0, 9.0]),
        (DataSpec((4,), "ordinal", levels=5), [0, 1, 2, 4], [0.0, 0.25, 0.5, 1.0]),
    ],
)
def test_what_is_not_drawn_is_the_same_in_every_step(
    spec: DataSpec, values: list[float], expected: list[float]
) -> None:
    x = np.array([values] * 3)
    data = load(spec, Splits(x, None, x, None))
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    seen = prepare_batch(torch.stack([data.train_x] * 2), spec, generators)
    assert seen.tolist() == [[expected] * 3] * 2
    assert prepare(data.test_x, spec, generators[0]).tolist() == [expected] * 3
    assert data.train_y.tolist() == [0, 0, 0]


def test_grey_levels_are_drawn() -> None:
    spec = DataSpec((1, 100, 100))
    data = load(spec, Splits(np.full((1, 10_000), 51), None, np.full((1, 10_000), 51), None))
    one = prepare(data.train_x, spec, torch.Generator().manual_seed(1))
    assert set(one.unique().tolist()) == {0.0, 1.0}
    assert one.mean().item() == pytest.approx(0.2, abs=0.02)
    assert float(scale(data.train_x, spec)[0, 0]) == pytest.approx(0.2)


def test_the_id_of_a_cell_holds_the_content_of_its_data() -> None:
    first = load().checksum
    assert first == load().checksum
    other = SPLITS.train_x.copy()
    other[0, 0, 0, 0] += 1
    assert load(splits=replace(SPLITS, train_x=other % 8)).checksum != first
    ids = {Cell("vae", 0, 1, dataset="mine", data_version=v).id for v in ("", "a", "b")}
    assert len(ids) == 3


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "shape": ({"train_x": np.zeros((40, 2, 2))}, "train images: shape .* expected .n, 3, 4, 5."),
    "no images": ({"test_x": np.zeros((0, 3, 4, 5)), "test_y": np.zeros(0)}, "test images: shape"),
    "nan": ({"train_x": np.full((40, 3, 4, 5), np.nan)}, "train images: a value is nan"),
    "level": ({"train_x": SPLITS.train_x + 1}, "values from 1 to 8; expected integers from 0 to 7"),
    "fraction": ({"train_x": SPLITS.train_x / 2}, "expected integers from 0 to 7"),
    "text": ({"train_x": np.full((40, 60), "a")}, "type <U1; expected numbers"),
    "no labels": ({"test_y": None}, "test classes: there are none; expected 9 of 3 classes"),
    "label": ({"train_y": SPLITS.train_y + 1}, "values from 1 to 3; expected integers from 0 to 2"),
    "lengths": ({"train_y": SPLITS.train_y[1:]}, r"train classes: shape \(39,\); expected \(40,\)"),
    "factors": ({"test_factors": np.zeros((9, 1))}, r"factors: shape \(9, 1\); expected \(9, 0\)"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_wrong_data_are_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"\Adata set 'mine'[^\n]*{message}[^\n]*\Z"):
        load(splits=replace(SPLITS, **changes))


def test_two_data_sets_of_one_name_are_refused() -> None:
    add_dataset("mine", Given())
    with pytest.raises(InputError, match="data set name 'mine' is taken by"):

        @register_dataset("mine")
        class Other(Given):
            """Another class."""


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(InputError, match="no dataset 'mnits'; did you mean 'mnist'"):
        loading.load("mnits")


def test_a_model_of_the_first_contract_is_refused_other_data() -> None:
    source = """
from harness.plugins.model import Model
from harness.plugins.registry import register

@register("fixed")
class Fixed(Model):
    def noise(self, batch): return {}
    def terms(self, batch, noise): ...
    def sample(self, noise): ...
"""
    load()
    registry.load_source("fixed.py", source)
    with pytest.raises(InputError, match="takes images of 784 binary values; data set 'mine' has"):
        registry.build(Cell("fixed", 0, 1, dataset="mine"))
