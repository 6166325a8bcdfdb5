"""A model of version 0.1 runs unchanged, and one line says what to change in its imports."""

from pathlib import Path

import pytest

from harness import bench
from harness.plugins import registry
from harness.plugins.deprecation import NEW_PATHS, describe_old_imports
from harness.storage.store import Store
from tests.conftest import ROOT

OLD = '''
import torch
from torch import Tensor, nn

from harness.contract import PIXELS, Batch, Model, Noise, Terms
from harness.registry import register
from models import nets
from models.gaussian import bernoulli_nll, draw, kl_standard_normal


@register("of_0_1")
class Of01(Model):
    """p(z) = N(0, I);  p(x|z) = Bernoulli(W z + b);  q(z|x) = N(mean(x), var(x))"""

    def __init__(self, z: int = 2):
        super().__init__()
        self.z = z
        self.encoder, self.decoder = nets.Encoder(z), nn.Linear(z, PIXELS)

    def noise(self, batch: int):
        return {"z": (batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        x, labelled, targets = batch
        mean, var = self.encoder(x)
        rec = bernoulli_nll(self.decoder(draw(mean, var, noise["z"])), x)
        return Terms(rec, kl_standard_normal(mean, var), torch.zeros_like(rec))

    def sample(self, noise: Noise) -> Tensor:
        return self.decoder(noise["z"]).sigmoid()


@register("beside")
class Beside(Of01):
    """Another one of the file."""
'''
NOTE = (
    "model 'of_0_1' is written for version 0.1 and runs unchanged, but these import paths will go: "
    "change harness.contract to harness.plugins.model, harness.registry to "
    "harness.plugins.registry, models.gaussian to models.distributions, models.gaussian.draw to "
    "reparameterize, models.nets to models.networks\n"
)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("_models", "_loaded"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    file = tmp_path / "old.py"
    file.write_text(OLD, encoding="utf-8")
    return str(file)


@pytest.mark.usefixtures("unpainted")
def test_a_model_of_version_0_1_runs_with_one_note(
    plugin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = str(tmp_path / "results")
    command = ["--models", "of_0_1", "vae", "--plugin", plugin, "--launcher", "in-process"]
    command += ["--seeds", "2", "--iterations", "2", "--samples", "200", "--results", results]
    assert bench.main(command) == 0
    assert capsys.readouterr().err.count("written for version 0.1") == 1
    rows = [row for row in Store(results).rows().values() if row["model"] == "of_0_1"]
    assert [row["status"] for row in rows] == ["ok", "ok"]


def test_check_says_it_of_every_model(plugin: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--check", plugin]) == 0
    captured = capsys.readouterr()
    assert captured.err == NOTE.replace("of_0_1", "beside") + NOTE
    assert "2 models checked, 0 promises not kept" in captured.out


def test_nothing_is_said_of_models_with_the_present_paths() -> None:
    registry.load_plugins([str(ROOT / "examples" / "planar_flow.py")])
    assert describe_old_imports(registry.cards()) == []


def test_every_old_path_is_known_and_names_a_new_one() -> None:
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("harness", "models")
        for path in (ROOT / package).glob("*.py")
        if path.read_text(encoding="utf-8").startswith('"""Deprecated path')
    }
    assert paths == set(NEW_PATHS)
    for old, new in NEW_PATHS.items():
        assert f"`{new}`" in (ROOT / f"{old.replace('.', '/')}.py").read_text(encoding="utf-8")
