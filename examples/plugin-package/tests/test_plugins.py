"""The package's own test: what it registers is found, keeps the contract, and gives rows."""

from pathlib import Path

import harness
from harness import bench


def test_the_model_keeps_the_contract() -> None:
    assert bench.main(["--check", "ppca"]) == 0


def test_a_grid_gives_rows_with_the_metric(tmp_path: Path) -> None:
    results = harness.run(
        models="ppca",
        dataset="rings",
        seeds=2,
        iterations=50,
        launcher="in-process",
        progress=False,
        results=tmp_path / "results",
    )
    assert list(results.rows["status"]) == ["ok", "ok"]
    assert results.rows["radius_error"].between(0, 3).all()
