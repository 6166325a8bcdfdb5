"""`Results`: a results folder in a few calls."""

import subprocess
import sys
from pathlib import Path

import pytest

from analysis import Results
from harness.errors import InputError
from harness.storage.store import Store
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def published() -> Results:
    """The published results of the grid `report`."""
    return Results.read(ROOT / "results" / "report")


def test_it_reads_a_folder(published: Results) -> None:
    assert repr(published) == "Results('report: 35 cells: 35 ok')"
    assert len(published.rows) == 35
    assert set(published.comparisons["metric"]) == {"nelbo", "accuracy"}
    assert any("no validation split" in caveat for caveat in published.caveats)


def test_the_table_has_a_row_an_arm_and_metric(published: Results) -> None:
    table = published.table()
    assert not table.duplicated(["arm", "metric"]).any()
    nelbo = table[(table["arm"] == "vae") & (table["metric"] == "nelbo")]
    assert nelbo[["n", "unit"]].to_numpy().tolist() == [[10, "nats"]]
    assert nelbo["mean"].between(nelbo["low"], nelbo["high"]).all()


def test_two_arms_are_compared_as_the_report_compares_them(published: Results) -> None:
    verdict = published.compare("gmvae", "vae", "nelbo")
    assert verdict.sentence.startswith("gmvae against vae: better by 2.22 nats [1.91, 2.53]")
    declared = published.comparisons.iloc[0]
    assert (declared["a"], declared["b"]) == ("gmvae", "vae")
    assert (declared["verdict"], declared["flags"]) == (verdict.word, verdict.flags)


def test_a_plot_has_its_caption_and_is_a_picture_in_notebooks(published: Results) -> None:
    plot = published.plot("losses")
    assert plot.caption.startswith("NELBO = KL + reconstruction")
    assert plot._repr_png_().startswith(b"\x89PNG")
    assert "Figure" not in repr(plot)


@pytest.mark.usefixtures("unpainted")
def test_the_report_is_that_of_the_command(full: Store, tmp_path: Path) -> None:
    page = Results.read(full.root).report(tmp_path / "out")
    assert page == tmp_path / "out" / "report.html"
    assert (tmp_path / "out" / "tables" / "estimates.csv").is_file()


def test_failed_and_diverged_cells_are_listed(full: Store, published: Results) -> None:
    failed = Results.read(full.root).failed
    assert set(failed["status"]) == {"failed", "diverged"}
    assert failed["error"].notna().all()
    assert published.failed.empty


def test_unknown_names_are_refused_with_the_known_ones(published: Results) -> None:
    with pytest.raises(InputError, match="no arm 'gmva'; did you mean 'gmvae'"):
        published.compare("gmva", "vae")
    with pytest.raises(InputError, match="no metric 'nelb'; did you mean 'nelbo'"):
        published.compare("gmvae", "vae", "nelb")
    with pytest.raises(InputError, match="no plot 'loss'; did you mean 'losses'"):
        published.plot("loss")
    with pytest.raises(InputError, match="no section 'bet'; did you mean 'beta'"):
        published.section("bet")
    with pytest.raises(InputError, match="cannot be compared in nelbo"):
        published.compare("ssvae supervised", "ssvae supervised")
    with pytest.raises(InputError, match="no results folder"):
        Results.read("nowhere")


def test_importing_the_package_loads_no_library() -> None:
    code = (
        "import sys, analysis\n"
        "assert not {'pandas', 'matplotlib', 'torch', 'ray'} & set(sys.modules)\n"
        "from analysis import Results\n"
        "assert not {'matplotlib', 'torch', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
