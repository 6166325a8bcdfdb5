"""The published results: what the README shows is what the rows give, and they are what must come out."""

import pandas as pd
import pytest

from analysis import headline, references, results, table
from analysis.adaptive import marked
from harness.store import Store
from tests.conftest import README, ROOT

PUBLISHED = ROOT / "results" / "report"


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """The published rows, as the report reads them."""
    found = results.read(Store(PUBLISHED))
    return marked(found.rows, found.provenance)


def test_the_readme_shows_what_the_rows_give(rows: pd.DataFrame) -> None:
    """To mend it: `python analysis/report.py results/report` writes tables/headline.md, to be put between the marks."""
    (shown,) = headline.tables(rows, references.load())
    _, _, rest = README.partition("<!-- headline -->\n")
    assert rest.partition("<!-- end -->")[0] == table.markdown(shown)


@pytest.mark.parametrize(
    ("model", "metric", "measured", "within"),
    [
        ("vae", "subset_nelbo", 101.45, 0.35),
        ("vae", "subset_kl", 19.32, 0.25),
        ("vae", "subset_rec", 82.12, 0.4),
        ("vae", "subset_iwae_10", 98.68, 0.4),
        ("vae", "subset_iwae_100", 97.64, 0.4),
        ("vae", "subset_iwae_1000", 97.12, 0.4),
        ("gmvae", "subset_nelbo", 99.06, 0.35),
        ("gmvae", "subset_kl", 17.62, 0.25),
        ("gmvae", "subset_rec", 81.43, 0.4),
        ("gmvae", "subset_iwae_10", 96.51, 0.4),
        ("gmvae", "subset_iwae_100", 95.57, 0.4),
        ("gmvae", "subset_iwae_1000", 95.17, 0.4),
    ],
)
def test_ten_seeds_at_full_length_are_near_what_public_checkpoints_score(
    model: str, metric: str, measured: float, within: float, rows: pd.DataFrame
) -> None:
    """Measured on public checkpoints of the same exercise with an independent evaluator; nats an image."""
    ours = rows[(rows["model"] == model) & (rows["status"] == "ok")]
    assert sorted(ours["seed"]) == list(range(10))
    assert (ours["iterations"] == ours["full_length"]).all()
    assert ours[metric].mean() == pytest.approx(measured, abs=within)


@pytest.mark.parametrize(
    ("supervision", "measured", "within"), [("supervised", 0.749, 0.015), ("semi-supervised", 0.934, 0.02)]
)
def test_accuracies_with_the_source_reports_labels_are_near_what_others_reach(
    supervision: str, measured: float, within: float, rows: pd.DataFrame
) -> None:
    """Public runs, and a hundred of the course's staff; fractions."""
    ours = rows[(rows["supervision"] == supervision) & (rows["status"] == "ok")]
    assert len(ours) >= 5
    assert (ours["iterations"] == ours["full_length"]).all()
    assert (ours["label_draw"] == "file-ff493f5610db").all()
    assert ours["accuracy"].mean() == pytest.approx(measured, abs=within)


def test_every_published_row_adds_up_and_names_where_it_comes_from(rows: pd.DataFrame) -> None:
    bounds = rows[rows["nelbo"].notna()]
    assert (bounds["nelbo"] - bounds["kl"] - bounds["rec"]).abs().max() < 1e-6
    assert (bounds["subset_nelbo"] - bounds["subset_kl"] - bounds["subset_rec"]).abs().max() < 1e-6
    runs = {path.stem for path in (PUBLISHED / "provenance").glob("*.json")}
    assert set(rows["run"]) <= runs
    assert not rows["git_commit"].str.contains(r"\+|unknown").any()
    assert (bounds["judge_accuracy"] >= 0.9766).all()
