"""What a cell is scored on: the subset file, required columns, bad input in one line."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig, make_evaluation_config
from harness.experiment.grid import ListedDraw
from harness.experiment.metrics import IWAE_SAMPLES
from harness.storage.schema import COLUMN_NAMES

LISTS = {
    "dataset": "mnist",
    "evaluation_test_indices": [3, 1, 4, 1],
    "labelled_train_indices": [9, 2, 6],
}
VAE = Cell("vae", 0, 10)
SUPERVISED = Cell("ssvae", 0, 10, supervision="supervised", labels=100, label_draw="seed")


@pytest.fixture
def file(tmp_path: Path) -> str:
    return written(tmp_path / "subset.json", LISTS)


def written(path: Path, lists: object) -> str:
    path.write_text(json.dumps(lists))
    return str(path)


def refusal(*args: Any) -> str:
    with pytest.raises(InputError) as caught:
        make_evaluation_config(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- the file -------------------------------------------------------------------------------------


def test_lists_are_taken_in_file_order_with_repeats(file: str) -> None:
    found = make_evaluation_config(file, [], None)
    assert (found.dataset, found.subset, found.labelled) == ("mnist", (3, 1, 4, 1), (9, 2, 6))
    assert found.subset_checksum == hashlib.sha256(Path(file).read_bytes()).hexdigest()


def test_other_keys_of_the_file_are_ignored(tmp_path: Path) -> None:
    lists = {"dataset": "mnist", "evaluation_test_indices": [1], "source": "a note"}
    found = make_evaluation_config(written(tmp_path / "s.json", lists), [], None)
    assert (found.subset, found.labelled, found.listed_draw) == ((1,), (), None)


def test_a_home_folder_is_found(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(Path(file).parent))
    assert make_evaluation_config("~/subset.json", [], None) == make_evaluation_config(
        file, [], None
    )


def test_the_labelled_list_has_a_checksum_of_its_order(file: str) -> None:
    found = make_evaluation_config(file, [], None)
    assert found.listed_draw == ListedDraw(3, hashlib.sha256(b"9,2,6").hexdigest()[:12])
    assert found.listed_draw != replace(found, labelled=(2, 9, 6)).listed_draw
    assert found.listed_draw != replace(found, labelled=(92, 6)).listed_draw


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"dataset": None}, "dataset: input should be a valid string"),
        (
            {"evaluation_test_indices": []},
            "evaluation_test_indices: list should have at least 1 item",
        ),
        (
            {"evaluation_test_indices": [0, -1]},
            "evaluation_test_indices.1: input should be greater than or equal to 0",
        ),
        (
            {"evaluation_test_indices": ["a"]},
            "evaluation_test_indices.0: input should be a valid integer",
        ),
        (
            {"evaluation_test_indices": [0.5]},
            "evaluation_test_indices.0: input should be a valid integer",
        ),
        ({"evaluation_test_indices": 7}, "evaluation_test_indices: input should be a valid array"),
        ({"labelled_train_indices": None}, "labelled_train_indices: input should be a valid array"),
        (
            {"labelled_train_indices": [-5]},
            "labelled_train_indices.0: input should be greater than or equal to 0",
        ),
    ],
)
def test_a_bad_list_is_named(tmp_path: Path, change: dict[str, object], expected: str) -> None:
    found = refusal(written(tmp_path / "s.json", LISTS | change), [], None)
    assert f"s.json': {expected}" in found
    assert found.endswith(f"expected JSON with the keys {', '.join(LISTS)}")


@pytest.mark.parametrize("missing", ["dataset", "evaluation_test_indices"])
def test_a_missing_list_is_named(tmp_path: Path, missing: str) -> None:
    lists = {name: value for name, value in LISTS.items() if name != missing}
    assert f"{missing}: field required" in refusal(written(tmp_path / "s.json", lists), [], None)


@pytest.mark.parametrize("content", [b"", b"[1, 2", b"[1, 2]", b"dataset: mnist", b"\xff\xfe"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "s.json"
    file.write_bytes(content)
    assert f"subset file '{file}': the file: " in refusal(str(file), [], None)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert "(No such file or directory); expected a JSON file" in refusal(
        str(tmp_path / "none.json"), [], None
    )
    assert "(Is a directory); expected a JSON file" in refusal(str(tmp_path), [], None)


@pytest.mark.parametrize(
    ("subset", "labelled", "expected"),
    [
        ((9, 10), (), "lists image 10 of 10 test images; expected 0 to 9"),
        ((0,), (2, 20, 3), "lists image 20 of 20 training images; expected 0 to 19"),
    ],
)
def test_indices_beyond_the_images_are_refused(
    subset: tuple[int, ...], labelled: tuple[int, ...], expected: str
) -> None:
    found = EvaluationConfig(dataset="mnist", subset=subset, labelled=labelled)
    with pytest.raises(InputError, match=expected):
        found.check_indices({"mnist": (10, 20)})
    found.check_indices({"mnist": (11, 21)})
    found.check_indices({"kmnist": (1, 1)})


def test_a_subset_of_a_data_set_that_no_cell_has_is_refused(file: str) -> None:
    found = make_evaluation_config(file, [], None)
    other = replace(VAE, dataset="kmnist")
    with pytest.raises(
        InputError, match="lists images of 'mnist', the grid has emnist, kmnist; expected the same"
    ):
        found.check_cells([other, replace(VAE, dataset="emnist")])
    found.check_cells([other, VAE])
    EvaluationConfig().check_cells([other])


# --- what is asked --------------------------------------------------------------------------------


def test_labels_that_are_listed_for_another_data_set_are_refused(file: str) -> None:
    found = make_evaluation_config(file, [], None)
    ours = Cell("ssvae", 0, 10, supervision="supervised", labels=2, label_draw="file-abc")
    found.check_cells([ours])
    with pytest.raises(
        InputError,
        match=r"^the labels are listed for 'mnist', and ssvae .* is of another data set$",
    ):
        found.check_cells([ours, replace(ours, dataset="kmnist")])


def test_iwae_bounds_are_over_the_subset_if_there_is_one(file: str) -> None:
    assert make_evaluation_config(None, [100, 10, 10], None) == EvaluationConfig(
        (10, 100), ("test",)
    )
    assert make_evaluation_config(file, [10], None).iwae_on == ("subset",)
    assert make_evaluation_config(file, [10], ["test"]).iwae_on == ("test",)


def test_iwae_bounds_of_too_many_draws_are_refused() -> None:
    assert make_evaluation_config(None, [7, 999_999], None).iwae == (7, 999_999)
    expected = "IWAE bound of 1000000 draws: expected 1 to 999,999 draws"
    assert refusal(None, [10, 1_000_000], None) == expected


def test_iwae_bounds_over_no_subset_are_refused() -> None:
    assert "give its file (--subset FILE)" in refusal(None, [10], ["test", "subset"])


SUBSET = EvaluationConfig((10, 1000), ("test", "subset"), "mnist", (1, 2))


@pytest.mark.parametrize(
    ("asked", "cell", "expected"),
    [
        (EvaluationConfig(), VAE, {"nelbo"}),
        (EvaluationConfig((10,)), VAE, {"nelbo", "iwae_10"}),
        (
            SUBSET,
            VAE,
            {"nelbo", "subset_nelbo", "iwae_10", "iwae_1000", "subset_iwae_10", "subset_iwae_1000"},
        ),
        (
            replace(SUBSET, iwae_on=("subset",)),
            VAE,
            {"nelbo", "subset_nelbo", "subset_iwae_10", "subset_iwae_1000"},
        ),
        (SUBSET, replace(VAE, dataset="kmnist"), {"nelbo", "iwae_10", "iwae_1000"}),
        (SUBSET, SUPERVISED, {"accuracy"}),
    ],
    ids=["test", "iwae", "both", "subset alone", "another data set", "no bound"],
)
def test_a_cell_is_asked_for_what_it_can_have(
    asked: EvaluationConfig, cell: Cell, expected: set[str]
) -> None:
    assert asked.required_columns(cell) == expected


def test_all_that_can_be_asked_is_a_column() -> None:
    assert replace(SUBSET, iwae=IWAE_SAMPLES).required_columns(VAE) <= set(COLUMN_NAMES)
