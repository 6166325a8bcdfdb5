"""What must be true of every model, shipped or an example, after a short training on small data."""

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from harness.data import loading
from harness.execution import trial
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import (
    ImportanceWeighted,
    Model,
    draw_noise,
    own_draws_of,
    scored_batch,
    weigh_images,
)
from harness.plugins.source_files import Plugin
from harness.storage import tensor_file
from harness.storage.schema import Row
from harness.storage.store import Store
from harness.training.task import Task
from harness.training.trainer import CellState, PackTrainer
from tests.conftest import given
from tests.unit.small_data import DOTS, make_cell

STEPS = 6
DRAWS, DOT_STEPS = 200, 60
# few latent variables, so that the mean over draws is precise, and no term that presses q away from
# the true posterior
SMALL = {
    "free_nats": 0.0,
    "z": 2,
    "z1": 2,
    "z2": 2,
    "k": 3,
    "flows": 3,
    "positions": 2,
    "codes": 4,
    "steps": 8,
}


def train(cells: Sequence[Cell], data: Data, steps: int = STEPS) -> PackTrainer:
    """A pack after some steps."""
    pack = PackTrainer(cells, data)
    for _ in range(steps):
        pack.train_step()
    return pack


def train_on_dots(model: str) -> Model:
    """A model that knows a little about images of 2 × 3 pixels, with few latent variables."""
    known = registry.cards()[model].defaults
    settings = {key: value for key, value in SMALL.items() if key in known}
    cell = make_cell(model, dataset="made_up_dots", settings=settings, learning_rate=3e-3)
    return train([cell], loading.load("made_up_dots"), DOT_STEPS).extract_model(0)


def check_a_pack_is_as_alone(cells: Sequence[Cell], data: Data) -> None:
    """The losses of two seeds are those of each alone."""
    pack = train(cells, data)
    assert pack.backend == ("eager" if pack.model.stackable else "loop")
    assert losses(pack, 0).isfinite().all()
    assert not torch.allclose(losses(pack, 0), losses(pack, 1), rtol=1e-4)
    for index, cell in enumerate(cells):
        alone = losses(train([cell], data), 0)
        torch.testing.assert_close(losses(pack, index), alone, rtol=1e-3, atol=1e-3)


def losses(pack: PackTrainer, index: int) -> Tensor:
    """The loss of a cell in every step: (steps,)."""
    return torch.stack(pack.learning_curves.recent_losses)[:, 0, index]


def check_resuming(cells: Sequence[Cell], data: Data) -> None:
    """A training that is interrupted halfway, written and read ends with the same bits."""
    straight = train(cells, data, STEPS // 2)
    states = [_restore(straight.extract_state(index)) for index in range(2)]
    resumed = PackTrainer(cells, data, states=states)
    for pack in (straight, resumed):
        while pack.step < STEPS:
            pack.train_step()
    expected = _tensors(straight)
    for key, value in _tensors(resumed).items():
        assert torch.equal(value, expected[key]), key


def _tensors(pack: PackTrainer) -> dict[str, Tensor]:
    return {
        f"{kind}.{name}": value
        for kind, by_name in pack._state_tensors().items()
        for name, value in by_name.items()
    }


def _restore(state: CellState) -> CellState:
    """A state that was written and read."""
    read, _ = tensor_file.parse(tensor_file.dump(state.tensors, {}))
    return CellState(read, state.step, state.seconds, state.curve)


def score(cell: Cell, store: Store, data: Data, plugins: tuple[Plugin, ...] = ()) -> Row:
    """The row of a cell after its short training."""
    task = Task(
        (cell,),
        str(store.root),
        evaluation=EvaluationConfig(samples=200, iwae=(10,)),
        plugins=plugins,
        compile="never",
    )
    for _ in trial.run(task, data):
        pass
    row = store.row(cell.id)
    assert row is not None
    return row


def check_row(row: Row, estimator: str) -> None:
    """The row says what its number is: `elbo`, `exact` or `none`."""
    assert (row["status"], row["error"]) == ("ok", None)
    assert row["estimator"] == estimator
    assert (row["nelbo"] is not None) == (estimator == "elbo")
    assert (row["nll"] is not None) == (estimator == "exact")
    assert sum(row["digit_counts"]) == 200
    has_weights = hasattr(registry.lookup(row["model"]), "log_weight")
    assert (row["iwae_10"] is not None) == has_weights
    if has_weights:
        assert row["iwae_10"] < row["nelbo"]


def check_bound(model: Model, smallest: float = 0.5, spread: float = 0.05) -> None:
    """exp(-NELBO) is at most p(x), whose sum is 1; without its KL a bound would exceed it.

    The mean importance weight of an image is p(x); `spread` is how far that of few draws may be.
    """
    total = float((-score_dots(model)).exp().sum())
    assert smallest < total < 1.02
    if isinstance(model, ImportanceWeighted):
        assert sum_weights(model) == pytest.approx(1.0, abs=spread)


def score_dots(model: Model) -> Tensor:
    """The NELBO or exact -log p of every image of dots, the mean over draws: (64,), nats."""
    x = DOTS.repeat(DRAWS, 1)
    noise = draw_noise(model, len(x), torch.Generator().manual_seed(0))
    with torch.inference_mode(), own_draws_of(model, 0):
        terms = model.terms(scored_batch(model, x, torch.zeros(len(x)).long()), noise)
    nats = terms.nll if terms.nll is not None else given(terms.rec) + given(terms.kl)
    mean: Tensor = nats.unflatten(0, (DRAWS, -1)).mean(0)
    return mean


def sum_weights(model: Model) -> float:
    """The mean importance weight over draws, summed over all images of dots."""
    assert isinstance(model, ImportanceWeighted)
    x = DOTS.repeat(DRAWS, 1)
    noise = draw_noise(model, len(x), torch.Generator().manual_seed(0))
    with torch.inference_mode():
        weights = weigh_images(model, x, noise, torch.zeros(len(x)).long()).exp()
        return float(weights.sum()) / DRAWS


def check_draws_of_pixels(model: Model) -> None:
    """Each pixel of a sample is 1 where its number is below the probability, given those before."""
    noise = draw_noise(model, 200, torch.Generator().manual_seed(1))
    uniform = torch.special.ndtr(noise["pixels"]).flatten(1)
    with torch.inference_mode():
        x = model.sample(noise)
        ones, zeros = (
            torch.stack([_nll_up_to(model, _set_pixel(x, i, value), i) for i in range(6)], 1)
            for value in (1.0, 0.0)
        )
    assert torch.equal(x, (uniform < (zeros - ones).sigmoid()).float())


def _set_pixel(x: Tensor, place: int, value: float) -> Tensor:
    changed = x.clone()
    changed[:, place] = value
    return changed


def _nll_up_to(model: Model, x: Tensor, place: int) -> Tensor:
    """-log p(x_1..x_place) of each image: a sum over all pixels behind, (batch,)."""
    rest = torch.tensor(list(itertools.product([0.0, 1.0], repeat=5 - place)))
    full = torch.cat(
        [x[:, None, : place + 1].expand(-1, len(rest), -1), rest.expand(len(x), -1, -1)], -1
    )
    nll = given(model.terms(scored_batch(model, full.flatten(0, 1), torch.zeros(0).long()), {}).nll)
    together: Tensor = (-nll.unflatten(0, (len(x), -1))).logsumexp(1)
    return -together
