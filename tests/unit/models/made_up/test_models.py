"""The models of the field keep the contract, train in packs, resume to the bit and are scored."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.data import loading
from harness.errors import InputError
from harness.evaluation import digit_classifier, samples, scored_images
from harness.evaluation.scoring import Scorer
from harness.execution import trial
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins import registry, source_files
from harness.plugins.dataset import Data
from harness.storage import tensor_file
from harness.storage.schema import Row
from harness.storage.store import Store
from harness.training.conformance import contract
from harness.training.task import Task
from harness.training.trainer import CellState, PackTrainer
from tests.conftest import ROOT
from tests.unit.models.made_up.conftest import EXAMPLES, NAMES, SHIPPED, ExampleCell, list_plugins

OVER_NAMES = pytest.mark.parametrize("name", NAMES)
STEPS = 20
EXACT, UNBOUNDED = {"made", "pixelcnn"}, {"gan", "wae_mmd"}
# images of another kind or shape than the model takes
REFUSED = {"pythae_model"}


def train(cells: Sequence[Cell], data: Data, steps: int = STEPS) -> PackTrainer:
    pack = PackTrainer(cells, data)
    for _ in range(steps):
        pack.train_step()
    return pack


def losses(pack: PackTrainer, index: int) -> Tensor:
    """The loss of a cell in every step: (steps,)."""
    return torch.stack(pack.learning_curves.recent_losses)[:, 0, index]


def tensors(pack: PackTrainer) -> dict[str, Tensor]:
    return {
        f"{kind}.{name}": value
        for kind, by_name in pack._state_tensors().items()
        for name, value in by_name.items()
    }


def restore(state: CellState) -> CellState:
    """A state that was written and read."""
    read, _ = tensor_file.parse(tensor_file.dump(state.tensors, {}))
    return CellState(read, state.step, state.seconds, state.curve)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_file_registers_one_model_of_its_name(name: str, example: ExampleCell) -> None:
    example(name)
    (plugin,) = source_files.read_plugins(list_plugins(name))
    assert [model for model in registry.cards() if registry.find_plugin(model) == plugin] == [name]


@OVER_NAMES
def test_the_file_says_how_it_is_run_and_what_it_is(name: str, example: ExampleCell) -> None:
    example(name)
    module = sys.modules[registry.lookup(name).__module__]
    assert "Source: " in (module.__doc__ or "") or name in EXAMPLES
    assert f"--plugin examples/{name}.py" in (module.__doc__ or "") or name in SHIPPED
    assert registry.cards()[name].story.startswith("p(")
    documented = (ROOT / "docs" / "plug-ins.md").read_text(encoding="utf-8")
    assert (f"examples/{name}.py" if name in EXAMPLES else f"| `{name}` |") in documented


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_gives_way_to_a_plugin_of_its_name(name: str) -> None:
    source = (
        "from harness.plugins.registry import register\nfrom models.vae import VAE\n"
        f'@register("{name}")\nclass Own(VAE):\n    """p(z) = N(0, I)"""\n'
    )
    shipped = registry.lookup(name)
    plugin = source_files.plugin_from_text("own.py", source)
    with registry.unload_afterwards():
        registry.load(plugin)
        assert registry.lookup(name).__name__ == "Own"
        assert registry.describe_replaced_models([plugin]) == [
            f"model '{name}' is that of plug-in 'own.py', not the shipped one"
        ]
        with pytest.raises(InputError, match=f"^model name '{name}' is taken by plugin_own_py"):
            registry.load_source("other.py", source)
    assert registry.lookup(name) is shipped


@OVER_NAMES
def test_an_example_keeps_the_contract(name: str, example: ExampleCell) -> None:
    faults = [fault for _, fault in contract.run_checks(example(name)) if fault]
    assert faults == []


@OVER_NAMES
def test_an_example_takes_colour_images(name: str, example: ExampleCell) -> None:
    cell = example(name, dataset="made_up_colour")
    if name in REFUSED:
        with pytest.raises(InputError, match="expected binary"):
            registry.build(cell)
    else:
        assert [fault for _, fault in contract.run_checks(cell) if fault] == []


@OVER_NAMES
def test_a_cell_loses_the_same_alone_and_in_a_pack(
    name: str, example: ExampleCell, data: Data
) -> None:
    cells = [example(name, seed) for seed in (0, 1)]
    pack = train(cells, data)
    assert pack.backend == ("eager" if pack.model.stackable else "loop")
    assert losses(pack, 0).isfinite().all()
    assert not torch.allclose(losses(pack, 0), losses(pack, 1), rtol=1e-4)
    for index, cell in enumerate(cells):
        alone = losses(train([cell], data), 0)
        torch.testing.assert_close(losses(pack, index), alone, rtol=1e-3, atol=1e-3)


@OVER_NAMES
def test_an_interrupted_training_ends_with_the_same_bits(
    name: str, example: ExampleCell, data: Data
) -> None:
    cells = [example(name, seed) for seed in (0, 1)]
    straight = train(cells, data, STEPS // 2)
    states = [restore(straight.extract_state(index)) for index in range(2)]
    resumed = PackTrainer(cells, data, states=states)
    for pack in (straight, resumed):
        while pack.step < STEPS:
            pack.train_step()
    expected = tensors(straight)
    for key, value in tensors(resumed).items():
        assert torch.equal(value, expected[key]), key


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with the classifier of the made-up data."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def store(tmp_path: Path, classifier: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(digit_classifier, "cache_folder", lambda: classifier)
    made = Store(tmp_path / "results")
    digit_classifier.provide(made, data)
    return made


def score(cell: Cell, store: Store, data: Data) -> Row:
    task = Task(
        (cell,),
        str(store.root),
        evaluation=EvaluationConfig(samples=200, iwae=(10,)),
        plugins=source_files.read_plugins(list_plugins(cell.model)),
        compile="never",
    )
    for _ in trial.run(task, data):
        pass
    row = store.row(cell.id)
    assert row is not None
    return row


@OVER_NAMES
def test_the_row_says_what_its_number_is(
    name: str, example: ExampleCell, store: Store, data: Data
) -> None:
    cell = example(name)
    row = score(cell, store, data)
    assert (row["status"], row["error"]) == ("ok", None)
    estimator = "exact" if name in EXACT else "none" if name in UNBOUNDED else "elbo"
    assert row["estimator"] == estimator
    assert (row["nelbo"] is not None) == (estimator == "elbo")
    assert (row["nll"] is not None) == (estimator == "exact")
    assert sum(row["digit_counts"]) == 200
    has_weights = hasattr(registry.lookup(name), "log_weight")
    assert (row["iwae_10"] is not None) == has_weights
    if has_weights:
        assert row["iwae_10"] < row["nelbo"]


def test_a_family_of_pythae_without_a_bound_has_no_nelbo(
    example: ExampleCell, store: Store, data: Data
) -> None:
    row = score(example("pythae_model", settings={"family": "WAE_MMD"}), store, data)
    assert (row["status"], row["estimator"], row["nelbo"]) == ("ok", "none", None)


def test_any_number_of_classes_is_counted(
    example: ExampleCell, tmp_path: Path, classifier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digit_classifier, "cache_folder", lambda: classifier)
    data, store = loading.load("made_up_letters"), Store(tmp_path / "results")
    digit_classifier.provide(store, data)
    row = score(example("cvae", dataset="made_up_letters"), store, data)
    assert (row["status"], row["error"]) == ("ok", None)
    assert (len(row["digit_counts"]), sum(row["digit_counts"])) == (47, 200)


def test_data_without_classes_have_no_counts(example: ExampleCell, tmp_path: Path) -> None:
    data, store = loading.load("made_up_photos"), Store(tmp_path / "results")
    row = score(example("iwae", dataset="made_up_photos"), store, data)
    assert (row["status"], row["error"]) == ("ok", None)
    assert row["nelbo"] > row["iwae_10"] > 0
    empty = ("digit_counts", "digit_counts_200", "judge_accuracy", "judge_accuracy_binary")
    assert [row[name] for name in empty] == [None] * 4


def test_pictures_of_a_model_that_draws_are_the_same_every_time(
    example: ExampleCell, data: Data
) -> None:
    model = registry.build(example("pythae_model")).eval()
    images = scored_images.prepare_test_images(data)
    first, second = (samples.reconstruct_images(model, images, 4, 5) for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


def test_bits_of_colour_images_are_those_of_a_direct_computation(
    example: ExampleCell, tmp_path: Path
) -> None:
    """The scored rec of `convvae`, by differences of the logistic function in double precision."""
    data = loading.load("made_up_photos")
    cell = example("convvae", dataset="made_up_photos")
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
