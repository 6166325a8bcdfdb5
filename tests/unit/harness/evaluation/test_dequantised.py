"""A Gaussian of ordinal data: what the model sees in training and scoring, and its bits."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.data import loading
from harness.data.preparation import scale
from harness.evaluation import digit_classifier, scored_images
from harness.evaluation.scoring import Scorer
from harness.execution import trial
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig, MetricRequest
from harness.plugins import registry
from harness.plugins.dataset import Data, Dataset, DataSpec, Splits, registered_datasets
from harness.storage.schema import Row
from harness.storage.store import Store
from harness.training.batches import BatchStream
from harness.training.task import Task
from harness.training.trainer import PackTrainer

LEVELS = 16
NAME = "made_up_levels"


class MadeUpLevels(Dataset):
    spec = DataSpec((6,), "ordinal", LEVELS)

    def load(self, folder: Path | None) -> Splits:
        x = np.random.RandomState(0).randint(LEVELS, size=(300, 6))
        return Splits(x[:200], None, x[200:], None)


@pytest.fixture(autouse=True)
def dataset(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(registered_datasets, NAME, MadeUpLevels())
    yield
    registry._specs.pop(NAME, None)


@pytest.fixture
def data() -> Data:
    return loading.load(NAME)


def cells(seeds: Sequence[int], likelihood: str = "gaussian_dequantised", **v: Any) -> list[Cell]:
    settings = (("likelihood", likelihood), ("z", 2))
    return [
        Cell("vae", seed, 10, settings=settings, dataset=NAME, batch_size=20, **v) for seed in seeds
    ]


def is_within_a_level(seen: torch.Tensor, levels: torch.Tensor) -> bool:
    """Whether values are at most half a level from the levels, and not on them."""
    offset = (seen * (LEVELS - 1) - levels).abs()
    return bool((offset <= 0.5 + 1e-4).all()) and float(offset.mean()) > 0.2


def test_training_adds_the_noise_of_the_cell_and_the_step(data: Data) -> None:
    pair = cells([0, 1])
    stream = BatchStream(pair, data, (), registry.build(pair[0]))
    seen = stream.draw(0)[0].x
    levels = data.train_x[stream.batch_indices(0)]
    assert is_within_a_level(seen, levels)
    uniform = torch.rand((20, 6), generator=seeding.generator(1, "binarisation", 0))
    expected = (levels[1] + uniform - 0.5) / (LEVELS - 1)
    torch.testing.assert_close(seen[1], expected)
    alone = BatchStream(pair[1:], data, (), registry.build(pair[1])).draw(0)[0].x
    assert torch.equal(alone[0], seen[1])
    assert not torch.equal(seen, stream.draw(10)[0].x)


def test_other_likelihoods_see_levels_as_before(data: Data) -> None:
    pair = cells([0, 1], "logistic")
    stream = BatchStream(pair, data, (), registry.build(pair[0]))
    assert torch.equal(stream.draw(0)[0].x, scale(data.train_x[stream.batch_indices(0)], data.spec))
    assert torch.equal(scored_images.prepare_test_images(data), scale(data.test_x, data.spec))


def test_test_and_validation_images_have_noise_that_all_cells_share(data: Data) -> None:
    first, again = (scored_images.prepare_test_images(data, dequantised=True) for _ in range(2))
    assert torch.equal(first, again)
    assert is_within_a_level(first, data.test_x)
    packs = [PackTrainer(cells([seed], validation=50), data) for seed in (0, 1)]
    one, two = (pack.validation for pack in packs)
    assert one is not None
    assert two is not None
    assert torch.equal(one.x, two.x)
    held_out = packs[0].data.validation_x
    assert held_out is not None
    assert is_within_a_level(one.x, held_out)


def score(cell: Cell, data: Data, folder: Path) -> tuple[Row, Store]:
    request = MetricRequest("bits_per_dimension", ("bits_per_dimension",), ("vae",))
    evaluation = EvaluationConfig(
        samples=200,
        iwae=(10,),
        iwae_on=("test", "subset"),
        dataset=NAME,
        subset=(3, 1, 4),
        metrics=(request,),
    )
    store = Store(folder / "results")
    list(trial.run(Task((cell,), str(store.root), evaluation=evaluation), data))
    row = store.row(cell.id)
    assert row is not None
    return row, store


def test_the_row_has_the_bits_of_a_direct_computation(data: Data, tmp_path: Path) -> None:
    (cell,) = cells([0])
    row, store = score(cell, data, tmp_path)
    assert (row["status"], row["error"]) == ("ok", None)
    assert (row["data_kind"], row["likelihood"]) == ("dequantised", "gaussian_dequantised")
    model: Any = Scorer(store, data, EvaluationConfig()).load(cell)
    uniform = torch.rand((100, 6), generator=seeding.evaluation_generator("test binarisation"))
    levels = data.test_x + uniform - 0.5
    noise = scored_images.draw_evaluation_noise(model, 100, "test noise", 0, data.device)
    with torch.no_grad():
        mean, var = model.encode(levels / (LEVELS - 1))
        raw = model.decoder(mean + var.sqrt() * noise["z"])
    center, raw_variance = raw.double().chunk(2, -1)
    sd = torch.nn.functional.softplus(raw_variance).sqrt()
    law = torch.distributions.Normal((LEVELS - 1) * center, (LEVELS - 1) * sd)
    prior = torch.distributions.Normal(0.0, 1.0)
    kl = torch.distributions.kl_divergence(torch.distributions.Normal(mean, var.sqrt()), prior)
    nelbo = float((kl.sum(-1) - law.log_prob(levels.double()).sum(-1)).mean())
    assert row["nelbo"] == pytest.approx(nelbo, rel=1e-4)
    assert row["bits_per_dimension"] == pytest.approx(nelbo / 6 / math.log(2), rel=1e-4)
    # levels are uniform here, so no model of them needs less than log2(LEVELS) bits on average
    assert row["bits_per_dimension"] > math.log2(LEVELS) - 0.1
    for column in ("iwae_10", "subset_nelbo", "subset_iwae_10"):
        assert row[column] == pytest.approx(row["nelbo"], rel=0.2)


def test_the_kinds_of_numbers_are_told_apart(data: Data, tmp_path: Path) -> None:
    kinds = {
        name: score(cells([0], name)[0], data, tmp_path / name)[0]["data_kind"]
        for name in ("logistic", "gaussian_dequantised:0.3")
    }
    assert kinds == {"logistic": "ordinal", "gaussian_dequantised:0.3": "dequantised"}


def test_no_classifier_is_needed(data: Data) -> None:
    assert not digit_classifier.can_classify(data.spec)
