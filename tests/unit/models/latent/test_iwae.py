"""The bound of k draws against torch's densities; with one draw it is the VAE's."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal

from harness.data import loading
from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import Batch, draw_noise
from harness.storage.store import Store
from tests.conftest import CellMaker, given
from tests.unit.model_checks import score
from tests.unit.small_data import DOTS, make_cell


def as_batch(x: Tensor) -> Batch:
    return Batch(x, x[:0], torch.zeros(0).long())


def test_the_loss_is_the_bound_of_all_draws(datasets: None) -> None:
    cell = make_cell("iwae", dataset="made_up_dots", settings={"k": 7, "z": 3})
    model = registry.build(cell).double()
    x = DOTS.double()
    noise = {
        name: part.double()
        for name, part in draw_noise(model, 64, torch.Generator().manual_seed(0)).items()
    }
    assert noise["further"].shape == (6, 64, 3)
    mean, var = model.encoder(x)  # type: ignore[operator]
    posterior, prior, weights = Normal(mean, var.sqrt()), Normal(0.0, 1.0), []
    for draw in (noise["z"], *noise["further"]):
        z = mean + var.sqrt() * draw
        log_p = Bernoulli(logits=model.decoder(z)).log_prob(x).sum(-1)  # type: ignore[operator]
        log_p = log_p + prior.log_prob(z).sum(-1)
        weights.append((log_p - posterior.log_prob(z).sum(-1)).exp())
    expected = -torch.stack(weights).mean(0).log()
    ours = given(model.terms(as_batch(x), noise).loss)
    torch.testing.assert_close(ours, expected)
    parameters = list(model.parameters())
    gradients, theirs = (torch.autograd.grad(each.sum(), parameters) for each in (ours, expected))
    for a, b in zip(gradients, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_with_one_draw_it_is_the_bound_of_the_vae(cell: CellMaker) -> None:
    """The same weights of a seed, noise, rec and KL; the loss is the bound of one draw of z."""
    vae = registry.build(cell("vae", seed=3)).double()
    iwae = registry.build(cell("iwae", seed=3, settings={"k": 1})).double()
    x = torch.rand(5, 784, dtype=torch.double).round()
    assert vae.noise(5) == iwae.noise(5)
    noise = {"z": torch.randn(5, 10, dtype=torch.double)}
    ours, theirs = iwae.terms(as_batch(x), noise), vae.terms(as_batch(x), noise)
    torch.testing.assert_close(given(ours.rec), given(theirs.rec))
    torch.testing.assert_close(given(ours.kl), given(theirs.kl))
    expected = -vae.log_weight(x, noise)  # type: ignore[operator]
    torch.testing.assert_close(given(ours.loss), expected)


def test_more_draws_give_a_tighter_bound(cell: CellMaker, mnist: Data) -> None:
    model = registry.build(cell("iwae", settings={"k": 50}))
    x = (mnist.test_x.float() / 255).round()
    noise = draw_noise(model, len(x), torch.Generator().manual_seed(0))
    with torch.inference_mode():
        of_one, of_all = (
            float(given(model.terms(as_batch(x), each).loss).mean())
            for each in ({"z": noise["z"]}, noise)
        )
    assert of_all < of_one


def test_scoring_takes_one_draw(cell: CellMaker) -> None:
    model = registry.build(cell("iwae", settings={"k": 7, "z": 3}))
    assert model.noise(5) == {"z": (5, 3), "further": (6, 5, 3)}
    assert model.eval().noise(5) == {"z": (5, 3)}


@pytest.mark.parametrize("settings", [{"k": 0}, {"z": 0}])
def test_no_draw_or_no_variable_is_refused(settings: dict[str, int], cell: CellMaker) -> None:
    with pytest.raises(InputError, match="expected at least 1 dimension, got 0"):
        registry.build(cell("iwae", settings=settings))


def test_data_without_classes_have_no_counts(datasets: None, tmp_path: Path) -> None:
    data, store = loading.load("made_up_photos"), Store(tmp_path / "results")
    row = score(make_cell("iwae", dataset="made_up_photos"), store, data)
    assert (row["status"], row["error"]) == ("ok", None)
    assert row["nelbo"] > row["iwae_10"] > 0
    empty = ("digit_counts", "digit_counts_200", "judge_accuracy", "judge_accuracy_binary")
    assert [row[name] for name in empty] == [None] * 4
