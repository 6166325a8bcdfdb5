"""Values of the literature stand beside our arms, and nothing is tested against them."""

from pathlib import Path
from typing import Any

from analysis import report
from analysis.rendering.table import Table
from analysis.reproduction import references
from analysis.sections import literature
from harness.experiment.cell import Cell
from harness.storage.store import Store
from tests.unit.analysis.conftest import made, row


def shown(root: Path, *rows: dict[str, Any], everything: bool = False) -> list[Table]:
    """The tables of the section for these rows."""
    store = Store(root)
    for values in rows:
        store.write_row(values)
    data = report.read_data(store, "results", references.load(), show_all_references=everything)
    return list(literature.build(data).tables)


def scored(cell: Cell, bound: float) -> dict[str, Any]:
    return row(cell, iwae_1000=bound)


def test_our_arms_of_the_same_model_stand_beside_a_value(tmp_path: Path) -> None:
    cells = [made("iwae", seed, settings=(("k", 5), ("z", 40))) for seed in range(5)]
    more = [made("iwae", seed, settings=(("k", 5), ("z", 40)), beta=4.0) for seed in range(5)]
    rows = [scored(cell, 85.0 + 0.5 * cell.seed) for cell in (*cells, *more)]
    (table,) = shown(tmp_path, *rows)
    line = table.text.set_index("Row").loc["IWAE, k = 5"]
    assert line["As printed"] == "87.6 in the paper, 87.85 by pythae"
    assert line["Facts"] == ("static binarisation; iw-5000; ± over evaluations of one model")
    assert str(line["Ours"]).endswith("86.00 ± 0.35 (SE, n = 5)")
    assert str(line["Ours"]).count("IWAE") == 1  # β = 4 is another objective
    assert str(line["Verdict"]).startswith("cannot be compared: static binarisation")
    assert "MADE" not in set(table.text["Row"])


def test_without_an_arm_of_the_model_there_is_no_section(tmp_path: Path) -> None:
    rows = [row(made("vae", seed, dataset="fashion_mnist")) for seed in range(5)]
    assert shown(tmp_path / "a", *rows) == []
    (table,) = shown(tmp_path / "b", *rows, everything=True)
    assert len(table.text) == len(references.load().context)
    assert set(table.text["Ours"]) == {"–"}


def test_many_arms_are_counted(tmp_path: Path) -> None:
    cells = [made("made", seed, settings=(("hidden", h),)) for seed in (0, 1) for h in range(1, 6)]
    (table,) = shown(tmp_path, *[row(cell, nll=90.0) for cell in cells])
    (line,) = table.text["Ours"]
    assert line.count("n = 2") == 3
    assert line.endswith("; and 2 more arms")
