"""Metrics that the rows describe: in tables, verdicts, plots and the page, without a plug-in."""

import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import Results, compare, report
from analysis.frames.metrics import METRICS, describe_metrics, find_scored_metrics
from analysis.frames.number_kinds import fill_estimators
from analysis.reproduction import references
from analysis.sections.beta import select_metrics
from harness.errors import InputError
from harness.experiment.own_columns import Better, OwnColumn, format_descriptions
from harness.storage.store import Store
from tests.unit.analysis.conftest import HOSTILE, FrameMaker, made, row

NOISE = np.random.default_rng(1).normal(scale=0.001, size=(9, 2))


def own(value: float | None, name: str = "sharpness", **changes: Any) -> dict[str, Any]:
    """A row's value of a metric, and its description."""
    usual: dict[str, Any] = {"unit": "edges", "better": "higher", "meaning": "edges of samples"}
    return {name: value, "own_columns": format_descriptions({name: OwnColumn(**usual | changes)})}


def folder(path: Path, gmvae: float = 0.03, seeds: int = 6, **changes: Any) -> Path:
    """A VAE whose sharpness is 0.05 and a GMVAE with another one, over some seeds."""
    store = Store(path)
    for seed in range(seeds):
        for side, (model, mean) in enumerate({"vae": 0.05, "gmvae": gmvae}.items()):
            values = own(mean + float(NOISE[seed, side]), **changes)
            store.write_row(row(made(model, seed), **values))
    return path


def verdict(path: Path | list[Path], metric: str = "sharpness", margin: float | None = None) -> Any:
    paths = [str(each) for each in (path if isinstance(path, list) else [path])]
    return compare.compare_two_arms(paths, ("model=gmvae", "model=vae"), metric, margin)


def test_the_metrics_of_rows_follow_those_of_every_table(results: FrameMaker) -> None:
    rows = results(row(made("vae"), **own(0.5)), row(made("gmvae"), **own(1.0, "iwae_7")))
    assert list(describe_metrics(rows)) == [*(m.column for m in METRICS), "iwae_7", "sharpness"]
    bound, sharpness = list(describe_metrics(rows).values())[-2:]
    assert (bound.title, bound.evaluation) == ("IWAE bound, 7 draws", "test")
    assert (sharpness.heading, sharpness.title_with_set) == ("sharpness (edges)", "sharpness")
    scored = [metric.column for metric in find_scored_metrics(rows, describe_metrics(rows))]
    assert scored == ["nelbo", "kl", "rec", "iwae_7", "sharpness"]


@pytest.mark.parametrize(
    ("better", "word"), [("higher", "worse"), ("lower", "better"), (None, "lower")]
)
def test_the_direction_of_a_verdict_is_the_described_one(
    better: Better | None, word: str, tmp_path: Path
) -> None:
    found = verdict(folder(tmp_path / "results", better=better))
    assert found["verdict"] == word
    assert found["text"].startswith(f"{word} by 0.0")
    assert " edges [0.0" in found["text"]


def test_a_metric_without_a_unit_has_no_empty_brackets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder(tmp_path / "results", unit="")
    sides = ["--a", "model=gmvae", "--b", "model=vae", "--metric", "sharpness"]
    assert compare.main([str(path), *sides, "--margin", "0.001"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("sharpness: gmvae against vae: worse by 0.0")
    assert "mean of a: 0.03" in printed
    assert "  [" not in printed
    found = report.build_report(Store(path), "results", references.load())
    texts = [
        str(table.text.columns) for content in found.contents.values() for table in content.tables
    ]
    assert not any("()" in text for text in texts)


def test_a_margin_makes_arms_equivalent(tmp_path: Path) -> None:
    found = verdict(folder(tmp_path / "results", gmvae=0.05), margin=0.01)
    assert found["text"].startswith("equivalent within 0.01 edges:")


def test_a_folder_without_the_column_is_pooled_with_one_that_has_it(tmp_path: Path) -> None:
    with_it = folder(tmp_path / "1")
    for seed in range(9):
        for model in ("vae", "gmvae"):
            Store(tmp_path / "2").write_row(row(made(model, seed)))
    for order in ([with_it, tmp_path / "2"], [tmp_path / "2", with_it]):
        found = verdict(order)
        assert (found["verdict"], found["n_pairs"]) == ("worse", 6)


def test_columns_that_are_described_differently_are_not_compared(tmp_path: Path) -> None:
    store = Store(folder(tmp_path / "results"))
    for seed in range(6):
        store.write_row(row(made("gmvae", seed), **own(0.5, unit="shades")))
    found = verdict(tmp_path / "results")
    expected = "cannot be compared: sharpness is described in different ways"
    assert (found["verdict"], found["text"]) == ("cannot be compared", expected)


def test_arms_that_cannot_have_the_metric_are_left_out(tmp_path: Path) -> None:
    store = Store(folder(tmp_path / "results"))
    for seed in range(6):
        store.write_row(row(made("ssvae", seed, supervision="semi-supervised")))
    declare(store, ["sharpness"])
    found = Results.read(tmp_path / "results").comparisons
    assert found[["a", "b"]].to_numpy().tolist() == [["gmvae", "vae"]]


def declare(store: Store, metrics: list[str]) -> None:
    """A run whose grid declares comparisons of these metrics."""
    grid = {"name": "made-up", "compare": {"metrics": metrics}}
    record = {"command": "bench", "started": "2025", "run": "r", "grid": grid}
    store.write("provenance/r.json", json.dumps(record).encode())


def test_an_unknown_metric_is_refused_with_those_of_the_rows(tmp_path: Path) -> None:
    path = folder(tmp_path / "results")
    with pytest.raises(InputError, match="no metric 'sharpnes'; did you mean 'sharpness'"):
        verdict(path, "sharpnes")
    with pytest.raises(InputError, match="no metric 'sharpnes'; did you mean 'sharpness'"):
        Results.read(path).compare("gmvae", "vae", "sharpnes")
    assert Results.read(path).compare("gmvae", "vae", "sharpness").word == "worse"


def test_a_declared_metric_that_no_row_has_is_compared_nowhere(tmp_path: Path) -> None:
    store = Store(folder(tmp_path / "results"))
    declare(store, ["missing_metric", "sharpness", "iwae_7"])
    found = Results.read(tmp_path / "results").comparisons
    assert found["metric"].tolist() == ["sharpness"]


@pytest.mark.usefixtures("unpainted")
def test_the_report_shows_the_metric_everywhere(tmp_path: Path) -> None:
    store = Store(folder(tmp_path / "results", meaning=HOSTILE))
    declare(store, ["nelbo", "sharpness"])
    found = report.build_report(store, "results", references.load())
    summary = {table.name: table for table in found.contents["results"].tables}["summary-own"]
    assert summary.title == "Further metrics"
    assert summary.text["sharpness (edges)"].str.startswith("0.0").all()
    assert f"sharpness: {HOSTILE} (higher is better)" in summary.caption
    estimates = {table.name: table for table in found.contents["estimates"].tables}["estimates"]
    assert "sharpness (edges)" in estimates.text["Metric"].tolist()
    assert [family.title for family in found.data.families] == [
        "NELBO on the test images",
        "sharpness",
    ]
    page = report.write(found, tmp_path / "out").read_text(encoding="utf-8")
    for figure in ("further-metrics", "differences-sharpness"):
        assert (tmp_path / "out" / "figures" / f"{figure}.png").is_file()
    assert HOSTILE not in page
    assert html.escape(HOSTILE, quote=False)[:30] in page.replace("&#39;", "'")


def test_a_number_that_no_statistic_can_hold_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "results").write_row(row(made("vae"), **own(1e13)))
    with pytest.raises(InputError, match="has a sharpness beyond 1e"):
        report.build_report(Store(tmp_path / "results"), "results", references.load())


def test_bounds_of_other_numbers_of_draws_are_bounds(results: FrameMaker) -> None:
    bound = {"unit": "nats", "better": "lower"}
    rows = results(
        row(made("vae"), **own(95.0, "iwae_7", **bound)),
        row(made("gmvae"), **own(0.0, "iwae_7", **bound), nelbo=0.0, kl=0.0, rec=0.0),
    )
    assert select_metrics(["iwae_7"], describe_metrics(rows))[0] == "iwae_7"
    assert fill_estimators(rows).set_index("model")["iwae_7"].to_dict() == {
        "vae": 95.0,
        "gmvae": pytest.approx(np.nan, nan_ok=True),
    }


@pytest.mark.parametrize(
    ("value", "shown"), [(0.00123, "0.00123"), (12.3456, "12.35"), (0.0, "0.00")]
)
def test_small_numbers_keep_three_digits(value: float, shown: str, results: FrameMaker) -> None:
    metric = describe_metrics(results(row(made("vae"), **own(value))))["sharpness"]
    assert f"{value:.{metric.count_decimals([value])}f}" == shown
