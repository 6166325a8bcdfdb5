"""Scoring is saved and resumed like training, and a score that fails costs no row."""

import json
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.errors import InputError
from harness.evaluation import digit_classifier, scored_images
from harness.evaluation.scoring import ScorePart, Scorer, Scores
from harness.execution import trial
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins import registry, source_files
from harness.plugins.dataset import Data
from harness.plugins.metric import register_metric
from harness.scheduling.plan import is_fully_scored
from harness.storage import schema
from harness.storage.layout import log_key, scores_key, weights_key
from harness.storage.store import Store
from harness.training.task import Task, Update
from tests.conftest import ROOT, CellMaker, lasting
from tests.unit.harness.evaluation.test_elbo import Unweighted

IWAE = EvaluationConfig(iwae=(10,), samples=200)
PLAIN = EvaluationConfig(samples=200)


@pytest.fixture
def few(mnist: Data) -> Data:
    """MNIST with 300 test images."""
    return replace(mnist, test_x=mnist.test_x[:300], test_y=mnist.test_y[:300])


@pytest.fixture
def run(store: Store, few: Data) -> Callable[..., Generator[Update, None, None]]:
    """Run cells; the caller may stop at any update."""

    def updates(
        *cells: Cell, evaluation: EvaluationConfig = PLAIN, **values: Any
    ) -> Generator[Update, None, None]:
        task = Task(cells, str(store.root), evaluation=evaluation, report_seconds=0.0, **values)
        return trial.run(task, few)

    return updates


Run = Callable[..., Generator[Update, None, None]]


def never_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.training.trainer.PackTrainer.train_step", lambda *_: 1 / 0)


def broken(*_: object) -> None:
    raise RuntimeError("boom\nand more")


def test_a_kill_while_scoring_costs_no_training(
    run: Run, store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator is dropped without being closed, like in a killed process."""
    one = cell("vae", iterations=2)
    updates = run(one)
    while not next(updates).stage:
        assert store.row(one.id) is None
    assert store.read(weights_key(one)) is not None
    del updates
    never_train(monkeypatch)
    list(run(one))
    row = store.row(one.id)
    assert row is not None
    assert (row["status"], row["pack"], row["threads"]) == ("ok", 1, 1)
    assert row["train_seconds"] > 0
    assert store.read(scores_key(one.id)) is None


def test_scoring_says_which_score_of_how_many_it_is_at(run: Run, cell: CellMaker) -> None:
    updates = list(run(cell("vae", iterations=2), evaluation=IWAE))
    stages = [stage for stage in dict.fromkeys(update.stage for update in updates) if stage]
    assert stages == [
        "scoring, 1 of 4: bound",
        "scoring, 2 of 4: 200 samples",
        "scoring, 3 of 4: pictures",
        "scoring, 4 of 4: iwae 10",
    ]
    scored = [update.scored for update in updates]
    assert scored == sorted(scored)
    assert scored[-1] == 1.0
    assert (updates[-1].stage, updates[-1].score_seconds is not None) == ("", True)


@pytest.mark.parametrize("stop", [1, 3, 5, 7])
def test_a_scoring_that_was_interrupted_goes_on_where_it_stood(
    stop: int,
    run: Run,
    store: Store,
    cell: CellMaker,
    few: Data,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of the three chunks of the IWAE bound is computed once."""
    one, calm = cell("vae", iterations=2), Store(tmp_path_factory.mktemp("calm"))
    calm.write("judges/mnist.safetensors", store.read("judges/mnist.safetensors") or b"")
    list(trial.run(Task((one,), str(calm.root), evaluation=IWAE), few))
    chunks: list[int] = []
    original = seeding.evaluation_generator

    def counted(purpose: seeding.EvaluationPurpose, *words: int) -> torch.Generator:
        chunks.extend(words if purpose == "iwae noise" else ())
        return original(purpose, *words)

    monkeypatch.setattr(seeding, "evaluation_generator", counted)
    updates, seen = run(one, evaluation=IWAE), 0
    for update in updates:
        seen += update.stage != "" and update.scored > 0
        if seen == stop:
            break
    updates.close()
    assert store.row(one.id) is None
    list(run(one, evaluation=IWAE))
    assert lasting(store.row(one.id)) == lasting(calm.row(one.id))
    assert chunks == [0, 1, 2]


def with_broken_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.vae.VAE.log_weight", broken)


def test_a_further_score_that_fails_changes_no_row(
    run: Run, store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell("vae", iterations=2)
    list(run(one))
    before, weights = store.row(one.id), store.read(weights_key(one))
    with monkeypatch.context() as patch:
        with_broken_weights(patch)
        updates = list(run(one, evaluation=IWAE))
    assert updates[-1].ended == {one.id: "unscored"}
    assert store.row(one.id) == before
    assert store.read(weights_key(one)) == weights
    log = (store.read(log_key(one.id)) or b"").decode()
    assert log.startswith("RuntimeError: boom\n")
    assert "Traceback" in log
    never_train(monkeypatch)
    list(run(one, evaluation=IWAE))
    after = store.row(one.id)
    assert before is not None
    assert after is not None
    assert after["iwae_10"] is not None
    errors = {name: json.loads(row["evaluation_se"]) for name, row in (("b", before), ("a", after))}
    assert errors["a"].pop("iwae_10") > 0
    assert errors["a"] == errors["b"]
    added = {name: after[name] for name in ("iwae_10", "evaluation_se")}
    assert lasting(before) | added | {"evaluated": "iwae_10,nelbo"} == lasting(after)


def test_a_new_cell_keeps_the_scores_that_did_not_fail(
    run: Run, store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell("vae", iterations=2)
    with monkeypatch.context() as patch:
        with_broken_weights(patch)
        updates = list(run(one, evaluation=IWAE))
    assert updates[-1].ended == {one.id: "unscored"}
    row = store.row(one.id)
    assert row is not None
    assert (row["status"], row["evaluated"], row["iwae_10"]) == ("ok", "nelbo", None)
    assert row["error"] == "iwae 10: RuntimeError: boom"
    never_train(monkeypatch)
    list(run(one, evaluation=IWAE))
    row = store.row(one.id)
    assert row is not None
    assert (row["error"], row["evaluated"]) == (None, "iwae_10,nelbo")


class Narrower(registry.lookup("vae")):  # type: ignore[misc]
    """The VAE after a change of its architecture."""

    def __init__(self, z: int = 10):
        super().__init__(z - 1)


@pytest.mark.parametrize("status", ["ok", "failed", "none"])
def test_weights_that_do_not_fit_the_model_any_more(
    status: str, run: Run, store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good row is kept and the error logged; otherwise the cell is trained again."""
    one = cell("vae", iterations=2)
    list(run(one))
    before = store.row(one.id)
    assert before is not None
    if status == "failed":
        store.write_row(before | {"status": "failed", "nelbo": None, "kl": None, "rec": None})
    if status == "none":
        store.remove(f"rows/{one.id}.json")
    monkeypatch.setattr(registry, "_models", registry._models | {"vae": Narrower})
    monkeypatch.setattr(registry, "source_hash", lambda name: "another text")
    updates = list(run(one, evaluation=IWAE))
    row = store.row(one.id)
    assert row is not None
    if status == "ok":
        assert updates[-1].ended == {one.id: "unscored"}
        assert row == before
        said = (store.read(log_key(one.id)) or b"").decode()
        assert said.startswith("ValueError: the weights do not fit the model as it is now")
    else:
        assert updates[-1].ended == {one.id: "ok"}
        assert (row["status"], row["source"]) == ("ok", "another text")
        assert row["parameters"] < before["parameters"]


def test_edited_code_that_still_fits_scores_and_is_named(
    run: Run, store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell("vae", iterations=2)
    monkeypatch.setattr(registry, "source_hash", lambda name: "first")
    list(run(one))
    monkeypatch.setattr(registry, "source_hash", lambda name: "second")
    never_train(monkeypatch)
    list(run(one, evaluation=IWAE))
    row = store.row(one.id)
    assert row is not None
    assert (row["source"], row["iwae_10"] is not None) == ("first,second", True)


def test_an_older_failed_row_is_scored_from_its_weights(
    run: Run, store: Store, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a row holds only the error, and its weights only tensors."""
    one = cell("vae", iterations=2)
    list(run(one))
    before = store.row(one.id)
    store.write_row(
        schema.describe_cell(one)
        | {"status": "failed", "error": "RuntimeError: boom", "finished": "2027"}
    )
    never_train(monkeypatch)
    list(run(one, evaluation=IWAE))
    row = store.row(one.id)
    assert before is not None
    assert row is not None
    assert (row["status"], row["nelbo"], row["error"]) == ("ok", before["nelbo"], None)


def test_trial_prepares_the_scoring_once_for_all_cells(
    run: Run, store: Store, cell: CellMaker, few: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Image sets and digit classifier are prepared once a trial, not once a cell."""
    calls: Counter[str] = Counter()

    def count(module: ModuleType, name: str) -> None:
        original = getattr(module, name)

        def counted(*args: Any) -> Any:
            calls[name] += 1
            return original(*args)

        monkeypatch.setattr(module, name, counted)

    count(scored_images, "prepare_test_images")
    count(scored_images, "prepare_subset")
    count(digit_classifier, "load")
    evaluation = replace(
        IWAE, iwae_on=("test", "subset"), dataset="mnist", subset=(0, 1), subset_checksum="abc"
    )
    list(run(*(cell("vae", seed, iterations=2) for seed in range(3)), evaluation=evaluation))
    assert {row["status"] for row in store.rows().values()} == {"ok"}
    assert calls == {"prepare_test_images": 1, "prepare_subset": 1, "load": 1}


METRIC = """
from harness.evaluation.inputs import MetricInputs
from harness.plugins.metric import ScoreGenerator, register_metric


@register_metric("nll", unit="nats", better="lower")
def score_nll(inputs: MetricInputs) -> ScoreGenerator:
    yield 1.0
    return {"nll": float(inputs.shared.test_images.sum(-1).mean())}
"""


def test_metric_in_one_file_fills_its_column(run: Run, store: Store, cell: CellMaker) -> None:
    """A plug-in registers it for the runs that load the plug-in."""
    one, other = cell("vae", iterations=2), cell("vae", seed=1, iterations=2)
    plugin = source_files.plugin_from_text("nll.py", METRIC)
    updates = list(run(one, plugins=(plugin,)))
    assert "scoring, 4 of 4: nll" in {update.stage for update in updates}
    row = store.row(one.id)
    assert row is not None
    assert 50 < row["nll"] < 150
    registry._unload(registry._loaded["nll.py"])
    list(run(other))
    assert (store.row(other.id) or {})["nll"] is None


def score_nothing(_: object) -> Generator[float, None, dict[str, Any]]:
    yield 1.0
    return {}


def test_a_supervised_model_without_a_classifier_has_every_score(run: Run, store: Store) -> None:
    """It cannot have an accuracy, so the cell is done without one."""
    registry.load_source("noop.py", (ROOT / "benchmarks/speed/noop.py").read_text(encoding="utf-8"))
    one = Cell("noop", 0, 1, supervision="supervised", labels=10, label_draw="seed")
    list(run(one))
    row = store.row(one.id)
    assert row is not None
    assert (row["status"], row["accuracy"], row["error"]) == ("ok", None, None)
    assert is_fully_scored(one, row, PLAIN)


def test_metric_name_can_be_taken_once() -> None:
    with pytest.raises(InputError, match="'accuracy' is taken by harness"):
        register_metric("accuracy", unit="", better="higher")(score_nothing)


def test_every_chunk_meets_the_buffers_of_training(few: Data) -> None:
    class Counting(Unweighted):
        def __init__(self) -> None:
            super().__init__()
            self.asked: Tensor
            self.register_buffer("asked", torch.zeros(()))

    model, seen = Counting(), []

    def work() -> Generator[float, None, dict[str, Any]]:
        for share in (0.5, 1.0):
            seen.append(float(model.asked))
            model.asked += 1
            yield share
        return {}

    parts = [ScorePart(name, frozenset(), work) for name in ("one", "two")]
    list(Scorer(Store("nowhere"), few, PLAIN).compute(model, parts, Scores()))
    assert seen == [0.0] * 4
