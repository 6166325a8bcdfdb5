"""A name that a person gives an arm reaches tables and page; ids and rows stay."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.compare import main as compare
from analysis.folders.__main__ import main
from analysis.frames.arm_names import rename_arms, row_arm_names
from analysis.frames.load import read_results
from analysis.results import Results
from harness.storage.artifacts import ArmName
from harness.storage.schema import describe_cell
from harness.storage.store import Store
from tests.conftest import tree
from tests.unit.analysis.conftest import made, row


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A folder with an arm of β = 1 and one of β = 4."""
    store = Store(tmp_path / "results")
    for seed in range(3):
        for beta in (1.0, 4.0):
            store.write_row(row(made("vae", seed, beta=beta)))
    store.compact()
    return store


def rename(store: Store, arm: str, new: str, *flags: str) -> int:
    """Run the command."""
    return main(["rename", store.name, "--arm", arm, "--to", new, *flags])


@pytest.mark.usefixtures("unpainted")
def test_the_name_is_that_of_tables_page_and_comparisons(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = store.rows()
    assert rename(store, "vae β=4", "strong <prior>") == 0
    assert store.rows() == rows
    found = Results.read(store.name)
    assert set(found.rows["arm"]) == {"vae β=1", "strong <prior>"}
    assert "strong <prior>" in set(found.table()["arm"])
    page = found.report(tmp_path / "out").read_text()
    assert "strong &lt;prior&gt;" in page
    assert "vae β=4" not in page
    capsys.readouterr()
    assert compare([store.name, "--a", "beta=4", "--b", "beta=1"]) == 0
    assert "NELBO: strong <prior> against vae β=1" in capsys.readouterr().out


def test_a_name_is_changed_and_taken_back(store: Store) -> None:
    assert rename(store, "vae β=4", "one") == rename(store, "one", "two") == 0
    assert [each.name for each in store.arm_names()] == ["two"]
    assert rename(store, "two", "vae β=4") == 0
    assert store.read("names.json") is None


def test_a_dry_run_changes_nothing(store: Store) -> None:
    before = tree(store.root)
    assert rename(store, "vae β=4", "one", "--dry-run") == 0
    assert tree(store.root) == before


@pytest.mark.parametrize(
    ("arm", "new", "expected"),
    [
        ("vea", "one", "no arm 'vea'"),
        ("vae β=4", "vae β=1", "the name of another arm"),
        ("vae β=4", " ", "expected a name"),
        ("vae β=4", "a\nb", "expected a name"),
        ("vae β=4", "x" * 81, "expected a name"),
    ],
)
def test_bad_input_is_one_line(
    arm: str, new: str, expected: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(store.root)
    assert rename(store, arm, new) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert tree(store.root) == before


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '[{"name": 1, "arm": {}}]', '[{"name": "a"}]'])
def test_a_damaged_file_of_names_is_one_line(text: str, store: Store) -> None:
    from harness.errors import InputError

    store.write("names.json", text.encode())
    with pytest.raises(InputError, match=r"names\.json cannot be read"):
        read_results(store)


NAMES = st.sampled_from(["vae β=1", "vae β=2", "vae β=4", "mine", "yours"])


@given(st.dictionaries(st.sampled_from([1.0, 2.0, 4.0]), NAMES))
@pytest.mark.usefixtures("unpainted")
def test_no_two_arms_ever_share_a_name(given_names: dict[float, str]) -> None:
    """Arms may come later, whose own names are those that were given."""
    rows = pd.DataFrame([describe_cell(made("vae", beta=beta)) for beta in (1.0, 2.0, 4.0)])
    rows = rows.assign(arm=row_arm_names(rows))
    names = [
        ArmName(name, describe_cell(made("vae", beta=beta))) for beta, name in given_names.items()
    ]
    found = rename_arms(rows, names)
    assert found["arm"].nunique() == 3
    unshared = set(given_names.values()) - {"vae β=1", "vae β=2", "vae β=4"}
    if len(set(given_names.values())) == len(given_names):
        assert unshared <= set(found["arm"])
