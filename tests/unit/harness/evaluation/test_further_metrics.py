"""Metrics of plug-ins and optional ones: what a run requests, and that none costs a row."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest

from harness.errors import InputError
from harness.evaluation.further_metrics import (
    check_metrics,
    list_optional_columns,
    list_own_columns,
    request_metrics,
)
from harness.execution import trial
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig, MetricRequest
from harness.plugins import registry, source_files
from harness.plugins.dataset import Data
from harness.plugins.metric import register_metric, registered_metrics
from harness.scheduling.plan import is_fully_scored
from harness.storage.schema import COLUMN_NAMES, Row
from harness.storage.store import TABLE, Store
from harness.training.task import Task
from tests.conftest import ROOT, CellMaker, lasting

PLAIN = EvaluationConfig(samples=200)
MANIFOLDS = ("precision", "recall", "density", "coverage")
OF_INCEPTION = ("fid", "fid_samples", "kid")
OF_FACTORS = ("mig", "sap", "dci_disentanglement", "dci_completeness")
DOCS = (ROOT / "docs" / "plug-ins.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```python\n(# decided\.py\n.*?)```", DOCS, re.DOTALL)[0]
HEAD = """
from harness.plugins.metric import register_metric
"""
FRAIL = """
@register_metric("ink", unit="pixels", better=None, meaning="mean ink")
def score_ink(inputs):
    return 1.5
"""
Run = Callable[..., Row]


@pytest.fixture
def few(mnist: Data) -> Data:
    """MNIST with 200 test images."""
    return replace(mnist, test_x=mnist.test_x[:200], test_y=mnist.test_y[:200])


@pytest.fixture
def run(store: Store, few: Data) -> Run:
    """Run a cell with a plug-in's text, scored for what the names and the plug-in request."""

    def row(one: Cell, text: str = "", names: tuple[str, ...] = (), **values: Any) -> Row:
        plugins = (source_files.plugin_from_text("metric.py", text),) if text else ()
        for plugin in plugins:
            registry.load(plugin)
        evaluation = replace(PLAIN, metrics=request_metrics(names, {one.model}), **values)
        task = Task((one,), str(store.root), evaluation=evaluation, plugins=plugins)
        list(trial.run(task, few))
        found = store.row(one.id)
        assert found is not None
        assert is_fully_scored(one, found, evaluation) == (found["error"] is None)
        return found

    return row


def test_the_documented_metric_has_its_column(run: Run, store: Store, cell: CellMaker) -> None:
    one = cell("vae", iterations=2)
    row = run(one, EXAMPLE)
    assert 0 <= row["decided"] <= 1
    assert (row["status"], row["evaluated"]) == ("ok", "decided,nelbo")
    meaning = "share of sample pixels below 0.1 or above 0.9"
    described = {"decided": {"unit": "", "better": "higher", "meaning": meaning}}
    assert json.loads(row["own_columns"]) == described
    store.compact()
    field = pq.read_schema(store.path(TABLE)).field("decided")
    assert field.metadata[b"meaning"].decode() == meaning


def test_a_finished_cell_is_scored_for_a_new_metric(
    run: Run, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cell("vae", iterations=2)
    before = run(one)
    assert tuple(before) == COLUMN_NAMES
    monkeypatch.setattr("harness.training.trainer.PackTrainer.train_step", lambda *_: 1 / 0)
    after = run(one, EXAMPLE)
    added = {
        name: after[name] for name in ("decided", "own_columns", "evaluated", "plugin_sources")
    }
    assert lasting(after) == lasting(before) | added
    first = source_files.plugin_from_text("metric.py", EXAMPLE).sha256
    assert json.loads(after["plugin_sources"]) == {"metric decided": first}
    registry._unload(registry._loaded["metric.py"])
    again = run(one, HEAD + FRAIL)
    assert (again["decided"], again["ink"]) == (after["decided"], 1.5)
    second = source_files.plugin_from_text("metric.py", HEAD + FRAIL).sha256
    sources = json.loads(again["plugin_sources"])
    assert sources == {"metric decided": first, "metric ink": second}
    assert sorted(json.loads(again["own_columns"])) == ["decided", "ink"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return 1 / 0", "ink: ZeroDivisionError: division by zero"),
        ("return float('nan')", "ink: ValueError: ink is nan; expected a number below 1e+12"),
        ("return -1e12", "ink: ValueError: ink is -1000000000000.0; expected a number"),
        ("return 'much'", "ink: ValueError: could not convert string to float: 'much'"),
        ("return {'nelbo': 1.0}", "ink: ValueError: it gave 'nelbo'; expected ink alone"),
        ("return inputs.model.nothing", "ink: AttributeError"),
        ("yield 0.5; raise RuntimeError('late')", "ink: RuntimeError: late"),
    ],
)
def test_a_metric_that_fails_costs_no_row(
    body: str, expected: str, run: Run, cell: CellMaker
) -> None:
    one = cell("vae", iterations=2)
    row = run(one, HEAD + FRAIL.replace("return 1.5", body))
    assert (row["status"], row["evaluated"]) == ("ok", "nelbo")
    assert row["nelbo"] is not None
    assert row["error"].startswith(expected)
    assert "ink" not in row


@pytest.mark.parametrize("field", ["applies", "label"])
def test_a_metric_that_cannot_say_whether_it_applies_costs_no_row(
    field: str, run: Run, cell: CellMaker
) -> None:
    text = FRAIL.replace('meaning="mean ink"', f'meaning="m", order=-1, {field}=lambda _: 1 / 0')
    row = run(cell("vae", iterations=2), HEAD + text)
    assert (row["status"], row["error"]) == ("ok", "ink: ZeroDivisionError: division by zero")


@pytest.mark.parametrize("supervision", ["supervised", "semi-supervised"])
def test_the_first_metric_of_a_plugin_decides_no_status(
    supervision: str, run: Run, cell: CellMaker
) -> None:
    text = FRAIL.replace('meaning="mean ink"', 'meaning="m", order=-1, applies=lambda _: True')
    one = cell("ssvae", iterations=2, supervision=supervision)
    row = run(one, HEAD + text.replace("1.5", "1 / 0"))
    assert (row["status"], row["error"]) == ("ok", "ink: ZeroDivisionError: division by zero")
    assert row["accuracy"] is not None


def test_a_metric_that_is_not_defined_here_is_null_and_done(run: Run, cell: CellMaker) -> None:
    row = run(cell("vae", iterations=2), HEAD + FRAIL.replace("return 1.5", "return None"))
    assert (row["ink"], row["error"], row["evaluated"]) == (None, None, "ink,nelbo")


def test_a_metric_that_does_not_apply_is_done(run: Run, cell: CellMaker) -> None:
    text = FRAIL.replace('meaning="mean ink"', 'meaning="m", applies=lambda _: False')
    row = run(cell("vae", iterations=2), HEAD + text)
    assert (row["evaluated"], row["own_columns"]) == ("ink,nelbo", None)


def test_a_supervised_cell_is_not_scored_for_a_metric_of_bounds(run: Run, cell: CellMaker) -> None:
    row = run(cell("ssvae", iterations=2, supervision="supervised"), HEAD + FRAIL)
    assert (row["evaluated"], "ink" in row) == ("accuracy", False)


OPTIONAL = FRAIL.replace('meaning="mean ink"', 'meaning="m", optional=True')


def test_an_optional_metric_is_computed_by_name(run: Run, cell: CellMaker) -> None:
    one = cell("vae", iterations=2)
    assert "ink" not in run(one, HEAD + OPTIONAL)
    assert run(one, HEAD + OPTIONAL, ("ink",))["ink"] == 1.5


def test_iwae_bounds_of_any_number_of_draws_have_a_column(run: Run, cell: CellMaker) -> None:
    row = run(cell("vae", iterations=2), iwae=(3, 10))
    assert row["iwae_10"] < row["iwae_3"] < row["nelbo"]
    described = {"unit": "nats", "better": "lower"}
    described["meaning"] = "importance-weighted bound of 3 draws, test images"
    assert json.loads(row["own_columns"]) == {"iwae_3": described}
    assert row["evaluated"] == "iwae_10,iwae_3,nelbo"


SHIPPED = {
    "active_units": (0, 10),
    "bits_per_dimension": (0.1, 1),
    "coverage": (0, 1),
    "density": (0, 9),
    "fd_judge": (0, 1e4),
    "kd_judge": (0, 1e5),
    "knn_accuracy": (0.2, 1),
    "linear_probe": (0.2, 1),
    "memorisation": (0, 1),
    "nelbo_se": (0.1, 10),
    "precision": (0, 1),
    "recall": (0, 1),
}


def test_the_shipped_optional_metrics_are_computed_by_name(run: Run, cell: CellMaker) -> None:
    """A column names its metric, which fills all of its columns."""
    one = cell("vae", iterations=60)
    assert list_optional_columns() == sorted(
        [*SHIPPED, *OF_FACTORS, *OF_INCEPTION, "class_accuracy"]
    )
    row = run(one, names=(*(set(SHIPPED) - set(MANIFOLDS)), "recall"))
    assert row["error"] is None
    described = json.loads(row["own_columns"])
    assert sorted(described) == sorted(SHIPPED)
    assert all(column["meaning"] for column in described.values())
    for name, (low, high) in SHIPPED.items():
        assert low <= row[name] <= high, name
    assert row["bits_per_dimension"] == pytest.approx(row["nelbo"] / 784 / math.log(2))


def test_a_metric_of_factors_says_that_there_are_none(run: Run, cell: CellMaker) -> None:
    row = run(cell("vae", iterations=2), names=("mig",))
    assert row["status"] == "ok"
    assert "data set 'mnist' has no known factors; expected some" in row["error"]


def test_a_model_without_codes_is_not_asked_for_them(run: Run, cell: CellMaker) -> None:
    one = cell("ssvae", iterations=2)
    row = run(one, names=("active_units", "nelbo_se"))
    assert (row["error"], "active_units" in row, row["nelbo_se"] > 0) == (None, False, True)


# --- what is requested ----------------------------------------------------------------------------


def load(text: str) -> None:
    registry.load(source_files.plugin_from_text("metric.py", HEAD + text))


def test_a_loaded_metric_is_requested_of_every_model() -> None:
    load(FRAIL)
    assert request_metrics((), ["vae", "ssvae"]) == (
        MetricRequest("ink", ("ink",), ("ssvae", "vae"), needs_bound=True),
    )
    assert "ink" in list_own_columns()


def test_a_metric_is_requested_of_models_that_offer_what_it_needs() -> None:
    needing = FRAIL.replace('meaning="mean ink"', 'meaning="m", needs=(Classifier,)')
    load("from harness.plugins.model import Classifier\n" + needing)
    (request,) = request_metrics((), ["vae", "ssvae"])
    assert request.models == ("ssvae",)
    vae = Cell("vae", 0, 10)
    ssvae = Cell("ssvae", 0, 10, supervision="semi-supervised")
    assert [request.covers(one) for one in (vae, ssvae)] == [False, True]
    assert not request.covers(replace(ssvae, supervision="supervised"))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    load(OPTIONAL)
    with pytest.raises(InputError, match="no optional metric 'inc'; did you mean 'ink'"):
        request_metrics(("inc",), ["vae"])


def test_ray_cannot_compute_a_metric_that_this_process_alone_defines() -> None:
    load(FRAIL)
    registry.refuse_local_metrics(["ink", "fd_judge"])
    register_metric("local", unit="", better=None)(lambda inputs: 1.0)
    try:
        with pytest.raises(InputError, match="metric 'local' is defined in this process alone"):
            registry.refuse_local_metrics(["local"])
    finally:
        del registered_metrics["local"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FRAIL.replace('"ink"', '"Ink"'), "fills a column 'Ink'; expected a lower-case letter"),
        (FRAIL.replace('"ink"', '"arm"'), "fills a column 'arm'; expected a lower-case letter"),
        (FRAIL.replace('"ink"', '"iwae_7"'), "fills a column 'iwae_7'; expected a lower-case"),
        (FRAIL.replace("mean ink", ""), "does not say what ink means"),
        (
            FRAIL.replace("better=None", 'better=None, columns=["fd_judge"]'),
            "metrics '(ink|fd_judge)' and '(ink|fd_judge)' both fill the column fd_judge",
        ),
    ],
)
def test_a_column_that_cannot_be_in_the_table_is_refused(text: str, expected: str) -> None:
    load(text)
    with pytest.raises(InputError, match=expected):
        request_metrics((), ["vae"])


@pytest.mark.parametrize("change", ['"bound", unit=""', '"ink", unit="", better="left"'])
def test_a_metric_that_cannot_be_one_is_refused_at_once(change: str) -> None:
    text = f"@register_metric({change}{'' if 'better' in change else ', better=None'})\n"
    with pytest.raises(InputError, match="expected a name besides bound and weights"):
        load(text + "def score(inputs): return 1.0\n")


CHECKED = FRAIL.replace('meaning="mean ink"', 'meaning="m", check=check')


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise InputError('no ink here')", "^no ink here$"),
        ("import nothing_of_this_name", "^metric 'ink' cannot be checked: ModuleNotFoundError: No"),
    ],
)
def test_a_metric_that_cannot_be_computed_here_is_refused(
    body: str, expected: str, cell: CellMaker
) -> None:
    load(f"from harness.errors import InputError\ndef check():\n    {body}\n{CHECKED}")
    requests = request_metrics((), ["vae", "ssvae"])
    with pytest.raises(InputError, match=expected):
        check_metrics(requests, [cell("vae")])
    check_metrics(requests, [])
    check_metrics(requests, [cell("ssvae", supervision="supervised")])


def test_a_column_may_have_a_unit_and_a_direction_of_its_own(run: Run, cell: CellMaker) -> None:
    column = 'OwnColumn("images", "higher", "counted")'
    text = FRAIL.replace('meaning="mean ink"', f'columns={{"ink": "mean ink", "seen": {column}}}')
    text = text.replace("return 1.5", 'return {"ink": 1.5, "seen": 7}')
    imports = "from harness.experiment.own_columns import OwnColumn\n"
    row = run(cell("vae", iterations=2), HEAD + imports + text)
    assert (row["ink"], row["seen"], row["error"]) == (1.5, 7, None)
    assert json.loads(row["own_columns"]) == {
        "ink": {"unit": "pixels", "better": None, "meaning": "mean ink"},
        "seen": {"unit": "images", "better": "higher", "meaning": "counted"},
    }


def test_a_docstring_says_what_a_metric_means() -> None:
    load(
        FRAIL.replace(', meaning="mean ink"', "").replace(
            "return", '"""Ink.\n\n    More."""; return'
        )
    )
    column = registered_metrics["ink"].describe("ink")
    assert column is not None
    assert column.meaning == "Ink."
