"""The bits of colour images against a direct computation."""

import math
from pathlib import Path

import pytest
import torch

from harness.data import loading
from harness.evaluation import scored_images
from harness.evaluation.scoring import Scorer
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins.dataset import Data
from harness.storage.store import Store
from tests.unit.model_checks import score
from tests.unit.small_data import make_cell


def test_bits_of_colour_images_are_those_of_a_direct_computation(
    datasets: None, tmp_path: Path
) -> None:
    """The scored rec of `convvae`, by differences of the logistic function in double precision."""
    data = loading.load("made_up_photos")
    cell = make_cell("convvae", dataset="made_up_photos")
    row = score(cell, Store(tmp_path / "results"), data)
    bits = row["nelbo"] / data.spec.dimensions / math.log(2)
    assert 0 < bits < 16
    assert row["nelbo"] == pytest.approx(compute_nelbo(cell, data, tmp_path), rel=1e-4)


def compute_nelbo(cell: Cell, data: Data, folder: Path) -> float:
    """The NELBO of the stored weights over the test images, with torch's densities."""
    model = Scorer(Store(folder / "results"), data, EvaluationConfig()).load(cell)
    x = data.test_x.float() / 255
    noise = scored_images.draw_evaluation_noise(model, len(x), "test noise", 0, x.device)
    with torch.no_grad():
        mean, var = model._encode(x, noise)  # type: ignore[operator]
        posterior = torch.distributions.Normal(mean, var.sqrt())
        raw = model._decode(mean + var.sqrt() * noise["z"])  # type: ignore[operator]
    location, log_scale = (part.double() for part in raw.unflatten(-1, (2, -1)).unbind(1))
    location, scale = location + 0.5, (log_scale - 2).clamp(min=-7).exp()
    level = data.test_x.double()
    below = torch.where(level == 0, -torch.inf, (level - 0.5) / 255)
    above = torch.where(level == 255, torch.inf, (level + 0.5) / 255)
    p = ((above - location) / scale).sigmoid() - ((below - location) / scale).sigmoid()
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    return float((kl - p.log().sum(-1)).mean())
