"""Training with held-out images: they are watched, never trained on, and may choose the weights."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from harness.data.validation_split import split_off_validation
from harness.evaluation import digit_classifier
from harness.execution import trial
from harness.experiment.cell import Cell
from harness.plugins.dataset import Data
from harness.plugins.model import Model
from harness.storage.layout import weights_key
from harness.storage.store import Store
from harness.training.task import Task
from harness.training.trainer import PackTrainer
from harness.training.validation import ValidationScorer
from tests.conftest import CellMaker, lasting
from tests.unit.harness.training.optimization.recipes import as_saved, train

BEST = {"validation": 300, "recipe": (("ema", 0.5), ("keep", "best"))}


def weights(model: Model) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


def assert_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def without_seconds(pack: PackTrainer, index: int = 0) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in point.items() if name != "seconds"}
        for point in pack.curves[index]
    ]


def test_training_is_that_on_the_other_images(mnist: Data, cell: CellMaker) -> None:
    """Over two epochs of order, and with labelled images."""
    held_out = cell("ssvae", iterations=20, validation=300)
    whole = split_off_validation(mnist, Cell("vae", 0, 1, validation=300))[0]
    others = replace(whole, validation_x=None, validation_y=None)
    ours = train(PackTrainer([held_out], mnist))
    theirs = train(PackTrainer([replace(held_out, validation=0)], others))
    assert_equal(weights(ours.extract_model(0)), weights(theirs.extract_model(0)))
    assert ours.batches.batch_indices(0).max() < 1700


def test_curves_see_validation_images_and_no_test_images(
    mnist: Data, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the interval of the accuracy, and at the end."""
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_POINTS", 2)
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_STEPS", 2)
    one = cell("ssvae", iterations=5, validation=300)
    blank = replace(mnist, test_x=torch.zeros_like(mnist.test_x))
    pack, other = (train(PackTrainer([one], data)) for data in (mnist, blank))
    watched = [point for point in pack.curves[0] if point.get("validation_nelbo") is not None]
    assert [point["step"] for point in watched] == [2, 4, 5]
    assert all(0 < point["validation_accuracy"] < 1 for point in watched)
    assert {point["accuracy"] for point in pack.curves[0]} == {None}
    assert without_seconds(pack) == without_seconds(other)
    last = watched[-1]
    assert pack.validation_columns(0) == {
        "validation_nelbo": last["validation_nelbo"],
        "validation_accuracy": last["validation_accuracy"],
        "best_step": None,
    }


class Watched(torch.Tensor):
    """A tensor that records what looks at its values."""

    looks: ClassVar[list[str]] = []

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__qualname__", str(function))
        if function not in (torch.Tensor.device.__get__, torch.Tensor.to):
            cls.looks.append(name)
        base: Any = super()
        return base.__torch_function__(function, types, args, kwargs or {})


@pytest.mark.parametrize("kept", [{"validation": 300}, BEST, {"validation": 0}])
def test_test_images_are_first_looked_at_in_scoring(
    kept: dict[str, Any], mnist: Data, cell: CellMaker, store: Store
) -> None:
    """Without validation images the accuracies of the learning curve are those of the test."""
    one = cell("ssvae", iterations=5, **kept)
    parts = {name: getattr(mnist, name).as_subclass(Watched) for name in ("test_x", "test_y")}
    watched, looks = replace(mnist, **parts), 0
    Watched.looks.clear()
    updates = trial.run(Task((one,), str(store.root), report_seconds=0), watched)
    for update in updates:
        if update.stage.startswith("scoring"):
            break
        looks = len(Watched.looks)
    assert (looks > 0) == (one.validation == 0)
    list(updates)
    assert len(Watched.looks) > looks
    row = store.row(one.id)
    assert row is not None
    assert row["status"] == "ok"


def test_without_validation_curves_see_what_they_saw(mnist: Data, cell: CellMaker) -> None:
    own = replace(mnist, validation_x=mnist.test_x, validation_y=mnist.test_y)
    pack = train(PackTrainer([cell("ssvae", iterations=2)], own))
    assert pack.curves[0][-1]["accuracy"] is not None
    assert "validation_nelbo" not in pack.curves[0][-1]
    assert pack.validation_columns(0) == {}


# --- keep: best -----------------------------------------------------------------------------------


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """Scores every step, best at step 3 of seed 0 and at step 5 of others; gives the weights."""
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_POINTS", 1)
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_STEPS", 1)
    seen: list[dict[str, torch.Tensor]] = []
    scores = {0: (9, 8, 5, 7, 6, 5), 1: (9, 8, 7, 6, 5, 6)}
    steps: dict[int, int] = {}

    def score(self: ValidationScorer, cell: Cell, model: Model) -> dict[str, float | None]:
        seen.append(weights(model))
        steps[cell.seed] = steps.get(cell.seed, 0) + 1
        return {"validation_nelbo": float(scores[cell.seed][steps[cell.seed] - 1])}

    monkeypatch.setattr(ValidationScorer, "score", score)
    return seen


def test_the_best_weights_are_scored(
    mnist: Data, cell: CellMaker, scripted: list[dict[str, torch.Tensor]]
) -> None:
    """They are averages where there is one, and each cell has its own best step."""
    cells = [cell("vae", seed, iterations=6, **BEST) for seed in (0, 1)]
    pack = train(PackTrainer(cells, mnist))
    assert [pack.validation_columns(index)["best_step"] for index in (0, 1)] == [3, 5]
    assert [pack.validation_columns(index)["validation_nelbo"] for index in (0, 1)] == [5.0, 5.0]
    assert_equal(weights(pack.extract_model(0)), scripted[2 * 2])
    assert_equal(weights(pack.extract_model(1)), scripted[2 * 4 + 1])


@pytest.mark.parametrize("model", ["vae", "ssvae"])
def test_the_best_weights_survive_interruptions(
    model: str, mnist: Data, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after every step; at this learning rate the last weights are not the best."""
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_POINTS", 1)
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_STEPS", 1)
    supervision = "supervised" if model == "ssvae" else "none"
    cells = [
        cell(model, seed, iterations=6, learning_rate=0.03, supervision=supervision, **BEST)
        for seed in (0, 1)
    ]
    straight, states = PackTrainer(cells, mnist), []
    while straight.running:
        states.append([as_saved(straight.extract_state(index)) for index in (0, 1)])
        straight.advance()
    states.append([as_saved(straight.extract_state(index)) for index in (0, 1)])
    for state in states:
        pack = train(PackTrainer(cells, mnist, states=state))
        for index in (0, 1):
            assert_equal(weights(pack.extract_model(index)), weights(straight.extract_model(index)))
            assert pack.validation_columns(index) == straight.validation_columns(index)
            assert without_seconds(pack, index) == without_seconds(straight, index)
    assert any(straight.validation_columns(index)["best_step"] < 6 for index in (0, 1))


def test_an_interrupted_trial_ends_with_the_same_row_and_weights(
    tmp_path: Path, store: Store, mnist: Data, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closed after each of four reports; the best step is not the last one."""
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_POINTS", 1)
    monkeypatch.setattr("harness.training.pack.learning_curves.ACCURACY_EVERY_STEPS", 1)
    cells = tuple(cell("vae", seed, iterations=6, learning_rate=0.03, **BEST) for seed in (0, 1))
    other = Store(tmp_path / "other")
    digit_classifier.provide(other, mnist)
    for place, stops in ((store, 0), (other, 4)):
        while len(place.rows()) < len(cells):
            updates = trial.run(Task(cells, str(place.root), report_seconds=0.0), mnist)
            for _ in updates:
                if stops:
                    stops -= 1
                    updates.close()
    for one in cells:
        assert lasting(store.rows()[one.id]) == lasting(other.rows()[one.id])
        assert store.read(weights_key(one)) == other.read(weights_key(one))
    assert min(row["best_step"] for row in store.rows().values()) < 6


def test_a_model_without_scores_cannot_keep_its_best(
    mnist: Data, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ValidationScorer, "score", lambda *_: {})
    with pytest.raises(ValueError, match="model 'vae' has neither a bound nor classes"):
        train(PackTrainer([cell("vae", iterations=2, **BEST)], mnist))


def test_rows_hold_the_scores_of_the_kept_weights(
    store: Store, mnist: Data, cell: CellMaker
) -> None:
    kept = cell("vae", iterations=3, **BEST)
    last, plain = replace(kept, recipe=()), replace(kept, recipe=(), validation=0)
    for cells in ((kept,), (last,), (plain,)):
        assert list(trial.run(Task(cells, str(store.root)), mnist))
    rows = [store.rows()[one.id] for one in (kept, last, plain)]
    names = ("validation", "validation_nelbo", "validation_accuracy", "best_step")
    found = [[row[name] for name in names] for row in rows]
    assert [row["status"] for row in rows] == ["ok"] * 3
    assert found[0][0] == found[1][0] == 300
    assert found[0][1:] == [pytest.approx(rows[0]["nelbo"], rel=0.1), None, 3]
    assert found[1][1:] == [pytest.approx(rows[1]["nelbo"], rel=0.1), None, None]
    assert found[2] == [0, None, None, None]
    curve = store.curve(kept.id)
    assert curve is not None
    assert curve["validation_nelbo"].iloc[-1] == found[0][1]
