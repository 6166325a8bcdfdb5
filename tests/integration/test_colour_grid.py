"""A grid of a convolutional VAE on colour patches, from the command to the page."""

import math
from pathlib import Path

import pytest
import torch

from analysis import report
from harness import bench
from harness.data import loading
from harness.data.preparation import scale
from harness.evaluation.scoring import Scorer
from harness.experiment.evaluation import EvaluationConfig
from harness.experiment.seeding import evaluation_generator
from harness.plugins.model import draw_noise, scored_batch
from harness.storage.schema import cell_of
from harness.storage.store import Store

FLAGS = [
    *("--models", "convvae"),
    *("--dataset", "patches", "--seeds", "2", "--iterations", "10", "--batch-size", "16"),
    *("--metrics", "bits_per_dimension", "--samples", "200", "--validation", "200"),
    *("--launcher", "in-process"),
]


@pytest.mark.slow
@pytest.mark.usefixtures("unpainted")
def test_bits_per_dimension_reach_the_page_and_are_those_of_a_direct_computation(
    tmp_path: Path,
) -> None:
    assert bench.main([*FLAGS, "--results", str(tmp_path / "results")]) == 0
    store = Store(tmp_path / "results")
    rows = list(store.rows().values())
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert {(row["data_kind"], row["likelihood"]) for row in rows} == {("ordinal", "logistic")}
    row, data = rows[0], loading.load("patches")
    model = Scorer(store, data, EvaluationConfig()).load(cell_of(row))
    bits = []
    with torch.inference_mode():
        for index, images in enumerate(scale(data.test_x, data.spec).split(1000)):
            noise = draw_noise(model, len(images), evaluation_generator("test noise", index))
            batch = scored_batch(model, images, torch.zeros(len(images), dtype=torch.long))
            terms = model.terms(batch, noise)
            assert terms.rec is not None
            assert terms.kl is not None
            bits.append((terms.rec + terms.kl).double() / (3 * 32 * 32 * math.log(2)))
    assert row["bits_per_dimension"] == pytest.approx(float(torch.cat(bits).mean()), rel=1e-6)
    assert 0 < row["bits_per_dimension"] < 12
    assert report.main([str(tmp_path / "results")]) == 0
    page = (tmp_path / "results" / "report" / "report.html").read_text(encoding="utf-8")
    assert "bits_per_dimension (bits)" in page
    assert "NELBO of the validation images" in page
