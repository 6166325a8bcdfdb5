"""The latent means of one cell as the data of another."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import bench
from harness.data.own import latents
from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.dataset import Data, registered_datasets
from harness.storage.store import Store

SHORT = ("--seeds", "1", "--iterations", "5", "--samples", "200", "--launcher", "in-process")


@pytest.fixture(autouse=True)
def small_data(mnist: Data, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MNIST's first images, wherever it is loaded."""
    monkeypatch.setattr("harness.data.idx_sets.load", lambda name, folder=None: mnist)
    registry.lookup_dataset("mnist")  # registers the shipped ones
    before = dict(registered_datasets)
    yield
    registered_datasets.clear()
    registered_datasets.update(before)


@pytest.fixture
def entry(tmp_path: Path) -> str:
    """The latents of a trained `vae`."""
    assert bench.main(["--models", "vae", *SHORT, "--results", str(tmp_path / "m1")]) == 0
    (cell,) = Store(tmp_path / "m1").rows()
    return f"latents:{tmp_path / 'm1'}/{cell}"


def test_a_second_stage_trains_on_the_means_of_the_first(entry: str, tmp_path: Path) -> None:
    flags = ["--models", "ssvae", "--dataset", entry, *SHORT, "--results", str(tmp_path / "m2")]
    assert bench.main(flags) == 0
    rows = list(Store(tmp_path / "m2").rows().values())
    assert {row["dataset"] for row in rows} == {latents.name_of(entry)}
    assert {row["data_kind"] for row in rows if row["nelbo"] is not None} == {"continuous"}
    assert all(len(row["data_version"]) == 12 and row["accuracy"] is not None for row in rows)
    assert bench.main(flags) == 0  # nothing is left to do


def test_latents_are_the_means_that_the_model_gives(entry: str, mnist: Data) -> None:
    spec, splits = latents.read_latents(entry)
    assert (spec.shape, spec.kind, spec.classes) == ((10,), "continuous", 10)
    assert splits.train_x.shape == (len(mnist.train_x), 10)
    assert splits.test_y.tolist() == mnist.test_y.tolist()
    again = latents.read_latents(entry)[1]
    assert np.array_equal(splits.test_x, again.test_x)
    assert torch.as_tensor(splits.test_x).std(0).min() > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry: entry[:-1], "expected latents:RESULTS/CELL"),
        (lambda entry: entry[:-16] + 16 * "0", "that cell has no row with weights there"),
    ],
)
def test_what_is_not_there_is_refused(entry: str, change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(InputError, match=rf"\Adata set [^\n]*{message}[^\n]*\Z"):
        latents.read_latents(change(entry))
