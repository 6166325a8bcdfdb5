"""The strips of every seed, and what the page's script knows of a seed."""

import json
from pathlib import Path

import pandas as pd
import pytest

from analysis import report
from analysis.frames.metrics import METRIC_BY_COLUMN
from analysis.reproduction import references
from analysis.sections import seeds
from harness.storage.store import Store
from tests.unit.analysis.conftest import FrameMaker, curve, made, row

NELBO = METRIC_BY_COLUMN["nelbo"]


def test_points_lie_between_the_ends_in_the_order_of_seeds(results: FrameMaker) -> None:
    cells = [made("vae", seed) for seed in (1, 0, 2)]
    values = [100.0, 90.0, 110.0]
    rows = results(
        *(
            row(cell, nelbo=value, rec=value - 19.0)
            for cell, value in zip(cells, values, strict=True)
        )
    )
    strip = seeds.make_strip(rows, ["vae"], NELBO)
    (line,) = strip.lines
    assert (strip.low, strip.high) == ("90.00", "110.00")
    assert [point.label for point in line.points] == [
        "seed 0: 90.00",
        "seed 1: 100.00",
        "seed 2: 110.00",
    ]
    assert [point.x for point in line.points] == [2.0, 50.0, 98.0]
    assert line.mean == 50.0


def test_one_value_has_a_place_and_arms_without_a_score_have_no_line(results: FrameMaker) -> None:
    supervised = made("ssvae", supervision="supervised")
    rows = results(row(made("vae")), row(supervised))
    strip = seeds.make_strip(rows, list(dict.fromkeys(rows["arm"])), NELBO)
    assert [line.arm for line in strip.lines] == ["vae"]
    assert strip.lines[0].points[0].x == seeds.MARGIN


@pytest.mark.parametrize(("limit", "kept"), [(10, ["a", "b"]), (5, ["a"]), (2, ["a"])])
def test_as_many_arms_are_shown_as_points_are_allowed(
    limit: int, kept: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first arm is always shown, by its first seeds if there are too many."""
    monkeypatch.setattr(seeds, "MAX_POINTS", limit)
    rows = pd.DataFrame({"arm": ["a"] * 3 + ["b"] * 3, "seed": [2, 1, 0] * 2, "nelbo": 1.0})
    shown, left_out = seeds.choose_arms(rows, ["a", "b"], [NELBO])
    assert sorted(shown.loc[shown["arm"] == "a", "seed"]) == list(range(min(3, limit)))
    assert list(dict.fromkeys(shown["arm"])) == kept
    assert left_out == 2 - len(kept)


def test_the_script_knows_curves_and_pictures(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cells = [made("vae", seed) for seed in (0, 1)]
    for cell in cells:
        store.write_row(row(cell))
    store.write_curve(cells[0].id, curve(cells[0]))
    store.write(f"samples/{cells[1].id}.png", b"")
    data = report.read_data(store, "r", references.load(None), False)
    known = json.loads(
        json.dumps(
            seeds.describe_seeds(data.finished, data.frames.points, frozenset({cells[1].id}))
        )
    )
    assert known[cells[0].id] == [
        0,
        "NELBO (nats)",
        [1, 10, 100, 20_000],
        [500.0, 140.0, 104.0, 100.02],
    ]
    assert known[cells[1].id] == [1]


def test_long_curves_are_thinned_out_with_both_ends(tmp_path: Path) -> None:
    points = pd.DataFrame(
        {"arm": "vae", "seed": 0, "step": range(1, 1001), "nelbo": 1.0, "accuracy": float("nan")}
    )
    rows = pd.DataFrame({"cell": ["c"], "arm": ["vae"], "seed": [0]})
    _, _, steps, values = seeds.describe_seeds(rows, points, frozenset())["c"]
    assert (steps[0], steps[-1]) == (1, 1000)
    assert len(steps) == len(values) == seeds.CURVE_POINTS


def test_a_page_links_samples_only_where_it_lies_in_the_results_folder(full: Store) -> None:
    root = full.root
    assert report.find_samples(full, root / "report") == "../samples"
    assert report.find_samples(full, root) == "samples"
    assert report.find_samples(full, root.parent / "elsewhere") == ""
    assert report.find_samples(Store(root / "other"), root / "other" / "report") == ""
