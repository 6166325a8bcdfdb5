"""Models that break the contract are found before training, and described in a sentence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import bench
from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.model import PIXELS, Batch, Model, Noise, Shape, Terms
from harness.storage.store import Store
from harness.training.conformance import contract
from models.distributions import bernoulli_nll, kl_standard_normal, reparameterize, variance

Mess = Callable[["Sound", Tensor, Tensor, Batch], object]


class Sound(Model):
    """A small VAE whose terms a test can change."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(PIXELS, 4)
        self.decoder = nn.Linear(2, PIXELS)

    def noise(self, batch: int) -> dict[str, Shape]:
        return {"z": (batch, 2)}

    def spoil(self, rec: Tensor, kl: Tensor, batch: Batch) -> Terms:
        return Terms(rec, kl)

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        mean, raw = self.encoder(batch.x).chunk(2, -1)
        var = variance(raw)
        rec = bernoulli_nll(self.decoder(reparameterize(mean, var, noise["z"])), batch.x)
        return self.spoil(rec, kl_standard_normal(mean, var), batch)

    def sample(self, noise: Noise) -> Tensor:
        probabilities: Tensor = self.decoder(noise["z"]).sigmoid()
        return probabilities


def count(model: Sound, rec: Tensor, kl: Tensor, batch: Batch) -> Terms:
    vars(model)["calls"] = vars(model).get("calls", 0) + 1
    return Terms(rec, kl * min(1.0, vars(model)["calls"] / 10))


def accumulate(model: Sound, rec: Tensor, kl: Tensor, batch: Batch) -> Terms:
    total = torch.zeros(len(rec))
    total += rec
    return Terms(total, kl)


def erase(model: Sound, rec: Tensor, kl: Tensor, batch: Batch) -> Terms:
    batch.x.zero_()
    return Terms(rec, kl)


def fail(model: Sound, rec: Tensor, kl: Tensor, batch: Batch) -> Terms:
    raise KeyError("nothing here")


SPOILT: dict[str, tuple[Mess, str]] = {
    "a column": (
        lambda m, r, k, b: Terms(r[:, None], k),
        "gives rec of shape (2, 1); expected (2,) or one number",
    ),
    "pixels": (
        lambda m, r, k, b: Terms(b.x, k),
        "gives rec of shape (2, 784); expected (2,) or one number",
    ),
    "a tuple": (
        lambda m, r, k, b: (r, k),
        "gives tuple as terms; expected harness.plugins.model.Terms",
    ),
    "a dict": (
        lambda m, r, k, b: {"rec": r},
        "gives dict as terms; expected harness.plugins.model.Terms",
    ),
    "nothing": (
        lambda m, r, k, b: Terms(),
        "gives no terms at all; expected at least one of rec, kl, extra, nll",
    ),
    "two kinds": (lambda m, r, k, b: Terms(r, k, nll=r), "gives nll beside rec or kl"),
    "integers": (
        lambda m, r, k, b: Terms(r.long(), k),
        "gives rec as torch.int64; expected floats",
    ),
    "no tensor": (
        lambda m, r, k, b: Terms(r, 3.0),  # type: ignore[arg-type]
        "gives kl as float; expected a tensor",
    ),
    "NaN": (
        lambda m, r, k, b: Terms(r * torch.nan, k),
        "gives rec that is not finite, with fresh weights",
    ),
    "own draws": (
        lambda m, r, k, b: Terms(r + torch.randn_like(r), k),
        "draws random numbers itself: take them from",
    ),
    "numpy's draws": (
        # far apart: two draws that agree to the check's tolerance would be no fault
        lambda m, r, k, b: Terms(r + 1000 * float(np.random.randn()), k),
        "gives another rec for the same arg",
    ),
    "a counter": (count, "changes calls in a step: keep state in buffers"),
    "its input": (erase, "changes the images that it is given"),
    "item": (
        lambda m, r, k, b: Terms(r * k.sum().item(), k),
        "looks at the value of a tensor (.item())",
    ),
    "if": (
        lambda m, r, k, b: Terms(r if k.sum() > 5 else 2 * r, k),
        "decides by the value of a tensor",
    ),
    "a mask": (lambda m, r, k, b: Terms(r, k, r[r > 5].sum()), "makes a shape depend on values"),
    "in place": (accumulate, "adds in place to a tensor that it made"),
    "an error": (fail, "fails in terms: KeyError: 'nothing here'"),
    "no gradient": (
        lambda m, r, k, b: Terms(r.detach(), k.detach()),
        "fails in a step: RuntimeError: element 0",
    ),
}


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> type[Sound]:
    """The model, registered for one test."""
    monkeypatch.setattr(registry, "_models", registry._models | {"sound": Sound})
    return Sound


def misfit(weights: bool = False) -> str | None:
    return contract.find_violation(Cell("sound", 0, 10), weights)


@pytest.mark.parametrize("fault", SPOILT)
def test_what_does_not_fit_is_told_in_a_sentence(
    fault: str, sound: type[Sound], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, sentence = SPOILT[fault]
    monkeypatch.setattr(sound, "spoil", spoil)
    found = misfit()
    assert found is not None
    assert found.startswith(f"model 'sound' {sentence}")
    assert "\n" not in found


@pytest.mark.usefixtures("sound")
def test_a_model_that_fits_is_told_nothing() -> None:
    assert misfit(weights=True) is None


@pytest.mark.parametrize("shape", [lambda part: part.mean(), lambda part: part])
def test_one_number_is_as_good_as_one_an_image(
    shape: Callable[[Tensor], Tensor], sound: type[Sound], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "spoil", lambda m, r, k, b: Terms(shape(r), shape(k)))
    assert misfit() is None


def test_scores_are_called_before_training(
    sound: type[Sound], monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*_: object) -> Tensor:
        raise RuntimeError("boom")

    monkeypatch.setattr(sound, "log_weight", boom, raising=False)
    assert misfit() is None  # it was not asked for
    assert misfit(weights=True) == "model 'sound' fails in log_weight: RuntimeError: boom"
    monkeypatch.setattr(sound, "sample_classes", lambda m, noise, y: noise["z"], raising=False)
    assert misfit() == ("model 'sound' gives samples of classes of shape (2, 2); expected (2, 784)")
    monkeypatch.setattr(sound, "sample", lambda m, noise: 10 + m.decoder(noise["z"]))
    assert misfit() == "model 'sound' gives samples outside [0, 1]; expected means of pixels"


def test_a_model_that_cannot_be_built_breaks_the_contract(
    sound: type[Sound], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(error: Exception) -> None:
        def init(model: Model) -> None:
            raise error

        monkeypatch.setattr(sound, "__init__", init)

    build(AttributeError("no attribute 'nope'"))
    assert misfit() == "model 'sound' cannot be built: AttributeError: no attribute 'nope'"
    build(ValueError("no"))
    with pytest.raises(InputError, match=r"model 'sound' refuses \{\}: no"):
        misfit()


# --- at the command line --------------------------------------------------------------------------

PLUGIN = '''
import torch
from harness.plugins.model import Terms
from harness.plugins.registry import register
from tests.unit.harness.training.test_conformance import Sound as Base


@register("fits")
class Fits(Base):
    """p(x|z) = Bernoulli(W z + b)"""

    iterations = 3


@register("fits_not")
class FitsNot(Fits):
    """Its reconstruction is a column."""

    def spoil(self, rec, kl, batch):
        return Terms(rec[:, None], kl)
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in ("_models", "_loaded"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    file = tmp_path / "plugin.py"
    file.write_text(PLUGIN, encoding="utf-8")
    return str(file)


def test_check_says_of_every_promise_whether_it_is_kept(
    plugin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["--check", plugin]) == 1
    out = capsys.readouterr().out
    assert out.index("fits\n") < out.index("fits_not\n")
    assert out.count("NO ") == 1
    assert "It gives rec of shape (6, 1); expected (6,) or one number." in out
    assert out.endswith("2 models checked, 1 promises not kept\n")


def test_a_model_that_breaks_the_contract_is_a_failed_row(
    plugin: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "--models",
        "fits",
        "fits_not",
        "--seeds",
        "1",
        "--plugin",
        plugin,
        "--launcher",
        "in-process",
    ]
    command += ["--samples", "200", "--results", str(tmp_path / "results")]
    assert bench.main([*command, "--dry-run"]) == 1
    assert "does not fit: model 'fits_not' gives rec of shape (2, 1)" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()
    assert bench.main(command) == 1
    rows = {row["model"]: row for row in Store(tmp_path / "results").rows().values()}
    assert (rows["fits"]["status"], sum(rows["fits"]["digit_counts"])) == ("ok", 200)
    assert (
        rows["fits_not"]["error"]
        == "model 'fits_not' gives rec of shape (2, 1); expected (2,) or one number"
    )
    assert "1 of 2 cells done, 1 failed, 0 missing" in capsys.readouterr().out
