"""The published study is complete, and its README agrees with its page."""

import re
import subprocess

import pytest

from harness.experiment import grid_file
from harness.plugins import registry
from harness.search.design import Design
from harness.storage.schema import cell_of
from harness.storage.store import Store
from tests.conftest import ROOT
from tests.integration.test_published import LIMIT, RESULTS, SAID, words

FOLDER = RESULTS / "tuned"


@pytest.fixture(scope="module")
def store() -> Store:
    """The published results."""
    return Store(FOLDER)


def test_every_trial_and_every_winner_has_its_row(store: Store) -> None:
    grid = grid_file.validate(store.provenance()[0]["grid"])
    with registry.unload_afterwards():
        registry.load_plugins(["examples/vamp_prior.py"])
        design = Design(grid, registry.cards())
        rows = store.rows()
        assert {cell.id for cell in design.list_due(rows)} == set(rows)
        winners = [winner for _, _, winner in design.list_winners(rows)]
    assert len(winners) == 15
    assert None not in winners
    assert {cell_of(row).id for row in rows.values()} == set(rows)


def test_no_trial_has_a_score_on_test_images(store: Store) -> None:
    frame = store.frame()
    trials = frame[frame["stage"] == "search"]
    assert len(trials) == 120
    assert trials[["nelbo", "kl", "rec", "accuracy", "evaluation_se"]].isna().all(axis=None)
    assert trials["validation_nelbo"].notna().all()


def test_every_figure_of_the_answers_stands_on_the_page() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    answers = SAID.findall(text.partition("## Answers\n")[2].partition("\n## ")[0])
    page = words(FOLDER / "report" / "report.html")
    assert len(answers) >= 5
    assert [
        figure
        for figure in answers
        if not re.search(rf"(?<![\d.]){re.escape(figure)}(?!\.?\d)", page)
    ] == []


def test_what_git_tracks_is_small() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: nothing is tracked")
    listed = subprocess.run(
        ["git", "ls-files", "-z", FOLDER], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    assert 0 < sum(path.stat().st_size for path in files) < LIMIT


def test_a_grid_is_read_back_from_the_record_of_its_run(store: Store) -> None:
    grid = grid_file.validate(store.provenance()[0]["grid"])
    assert grid_file.validate(grid.model_dump()) == grid
