"""A user's own data: what is read is what was written, and what does not fit is one line."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from harness.cli.experiment import name_datasets
from harness.data.loading import DatasetLoader
from harness.data.own import paths
from harness.errors import InputError
from harness.experiment.grid_file import validate
from harness.plugins.dataset import Data, registered_datasets

SHAPES = npst.array_shapes(min_dims=1, max_dims=3, max_side=4)
TYPES = st.sampled_from(["?", "u1", "i4", "i8", "f2", "f4", "f8"])


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    """No data set of a test is left in this process."""
    before = dict(registered_datasets)
    yield
    for name in set(registered_datasets) - set(before):
        if isinstance(registered_datasets[name], paths.OwnData):
            del registered_datasets[name]


def load(entry: str | Path) -> Data:
    (name,) = paths.register_paths([str(entry)]).values()
    return DatasetLoader().load(name)


def refuse(entry: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        load(entry)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def bytes_of(*shape: int) -> Any:
    return np.arange(int(np.prod(shape)), dtype=np.uint8).reshape(shape) * 7


def values_of(dtype: str) -> st.SearchStrategy[Any]:
    if np.dtype(dtype).kind == "f":
        return st.floats(-1000, 1000, width=np.dtype(dtype).itemsize * 8)  # type: ignore[arg-type]
    return st.booleans() if dtype == "?" else st.integers(0, 255)


@st.composite
def own_arrays(draw: st.DrawFn) -> dict[str, Any]:
    """Arrays of any valid shapes and types, with and without labels, validation and factors."""
    shape, dtype = draw(SHAPES), draw(TYPES)
    parts = ["train", "test", *(["validation"] if draw(st.booleans()) else [])]
    has_labels = draw(st.booleans())
    arrays: dict[str, Any] = {}
    for part in parts:
        n = draw(st.integers(1, 5))
        arrays[f"{part}_x"] = draw(npst.arrays(dtype, (n, *shape), elements=values_of(dtype)))
        if has_labels:
            arrays[f"{part}_y"] = draw(npst.arrays("i8", n, elements=st.integers(0, 9)))
    if draw(st.booleans()):
        factors = (len(arrays["test_x"]), draw(st.integers(1, 3)))
        arrays["test_factors"] = draw(npst.arrays("i8", factors, elements=st.integers(0, 9)))
    return arrays


@settings(max_examples=60)
@given(own_arrays())
def test_valid_arrays_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any]
) -> None:
    found = load(save(tmp_path_factory.mktemp("own") / "mine.npz", **arrays))
    for key in ("train_x", "test_x", "validation_x"):
        tensor = getattr(found, key)
        if key in arrays:
            expected = arrays[key].reshape(len(arrays[key]), -1)
            assert np.array_equal(tensor.numpy(), expected.astype(tensor.numpy().dtype))
            assert np.allclose(tensor.numpy().astype(float), expected.astype(float), rtol=1e-6)
        else:
            assert tensor is None
    for key in ("train_y", "test_y", "validation_y"):
        if key in arrays:
            assert getattr(found, key).tolist() == arrays[key].tolist()
    if "test_factors" in arrays:
        assert found.test_factors is not None
        assert found.test_factors.tolist() == arrays["test_factors"].tolist()
        assert len(found.spec.factors) == arrays["test_factors"].shape[1]
    highest = max((y.max() for key, y in arrays.items() if key.endswith("_y")), default=-1)
    assert found.spec.classes == highest + 1


@pytest.mark.parametrize(
    ("values", "kind", "levels", "binarisation"),
    [
        (np.array([[0, 1], [1, 1]], bool), "binary", 2, "static"),
        (np.array([[0.0, 1.0], [1.0, 1.0]]), "binary", 2, "static"),
        (np.array([[0, 3], [2, 1]], np.uint8), "ordinal", 256, "dynamic"),
        (np.array([[0, 3], [2, 1]], np.int64), "ordinal", 4, "dynamic"),
        (np.array([[0, 1000], [2, 1]], np.int16), "ordinal", 1001, "dynamic"),
        (np.array([[0.0, 0.5], [1.0, 0.2]]), "continuous", 2, "static"),
        (np.array([[-3.0, 7.5], [1.0, 0.2]]), "continuous", 2, "dynamic"),
    ],
)
def test_the_kind_is_read_off_type_and_values(
    tmp_path: Path, values: Any, kind: str, levels: int, binarisation: str
) -> None:
    spec = load(save(tmp_path / "mine.npz", train_x=values, test_x=values)).spec
    assert (spec.kind, spec.levels) == (kind, levels)
    assert kind != "binary" or spec.binarisation == binarisation


def test_what_is_declared_is_not_guessed(tmp_path: Path) -> None:
    x = bytes_of(4, 1, 2, 2)
    grey = load(save(tmp_path / "grey.npz", train_x=x, test_x=x, kind="binary")).spec
    assert (grey.kind, grey.binarisation) == ("binary", "dynamic")
    y = np.array([0, 1, 0, 1])
    arrays = {"train_x": x % 16, "test_x": x % 16, "train_y": y, "test_y": y}
    few = load(save(tmp_path / "few.npz", **arrays, levels=17, classes=10)).spec
    assert (few.kind, few.levels, few.classes) == ("ordinal", 17, 10)


def test_grey_pictures_without_a_channel_get_one(tmp_path: Path) -> None:
    x = bytes_of(4, 3, 5)
    spec = load(save(tmp_path / "mine.npz", train_x=x, test_x=x)).spec
    assert spec.shape == (1, 3, 5)
    assert spec.is_image


def test_the_last_tenth_of_an_array_is_the_test_set(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(25, 3))
    np.save(tmp_path / "mine.npy", x)
    found = load(tmp_path / "mine.npy")
    assert torch.equal(found.train_x, torch.from_numpy(x[:23]).float())
    assert torch.equal(found.test_x, torch.from_numpy(x[23:]).float())
    assert found.spec.classes == 0


def test_the_version_follows_the_content_and_the_description(tmp_path: Path) -> None:
    x = bytes_of(4, 2, 2)

    def version(**arrays: Any) -> str:
        paths.register_paths([str(save(tmp_path / "mine.npz", **arrays))])
        return DatasetLoader().version("mine")

    first = version(train_x=x, test_x=x)
    assert len(first) == 12
    assert version(train_x=x, test_x=x) == first
    others = [
        version(train_x=x, test_x=x[::-1]),
        version(train_x=x, test_x=x, kind="binary"),
        version(train_x=x, test_x=x, kind="continuous"),
    ]
    assert len({first, *others}) == 4


X, Y = bytes_of(4, 2, 2), np.array([0, 1, 2, 0])
GOOD = {"train_x": X, "test_x": X, "train_y": Y, "test_y": Y}
NAN = np.array([[0.5, np.nan], [1, 2]])
BAD_ARRAYS = {
    "no test images": ({"train_x": X}, "no array test_x; it has train_x"),
    "an unknown key": (GOOD | {"trian_x": X}, "no key of .*'trian_x'; did you mean 'train_x'"),
    "another shape": (
        GOOD | {"test_x": bytes_of(4, 3)},
        r"test_x: shape \(4, 3\); expected \(n, 1",
    ),
    "no axis": ({"train_x": Y, "test_x": Y}, r"train_x: shape \(4,\); expected \(n, ...\)"),
    "empty": ({"train_x": X[:0], "test_x": X}, r"train_x: shape \(0, 1, 2, 2\)"),
    "nan": ({"train_x": NAN, "test_x": NAN}, "a value is nan or infinite"),
    "too large": ({"train_x": NAN[1:] * 1e300, "test_x": NAN[1:]}, "expected at most 3.4"),
    "unequal lengths": (GOOD | {"train_y": Y[:3]}, r"train_y: shape \(3,\); expected \(4,\)"),
    "half labelled": ({"train_x": X, "test_x": X, "train_y": Y}, "test_y is missing"),
    "labels of the test alone": (
        {"train_x": X, "test_x": X, "test_y": Y},
        "test_y is there without train_y",
    ),
    "negative labels": (GOOD | {"train_y": Y - 1}, "train_y: values from -1 to 1"),
    "labels between": (GOOD | {"train_y": Y + 0.5}, "train_y: values from 0.5 to 2.5"),
    "words as labels": (GOOD | {"train_y": Y.astype(str)}, "train_y: type <U"),
    "labels out of range": (GOOD | {"classes": 2}, "values from 0 to 2; expected integers from 0"),
    "levels out of range": (
        GOOD | {"levels": 17},
        "values from 0 to 105; expected integers from 0",
    ),
    "negative values": ({"train_x": X.astype(int) - 1, "test_x": X}, "values from -1 to 104"),
    "too many levels": (
        {"train_x": X.astype(int) * 10**6, "test_x": X},
        "expected at most 65,536 levels",
    ),
    "an object array": (
        GOOD | {"train_y": np.array([None, 1, 2, 3])},
        "cannot be read .*allow_pickle",
    ),
    "words": ({"train_x": X.astype(str), "test_x": X}, "train_x: type <U"),
    "complex": ({"train_x": X + 1j, "test_x": X}, "train_x: type complex128"),
    "an unknown kind": (GOOD | {"kind": "binry"}, "'binry'; did you mean 'binary'"),
    "one level": (GOOD | {"levels": 1}, "levels: got 1; expected an integer from 2"),
    "a list of levels": (GOOD | {"levels": [2, 3]}, "expected one word or integer"),
    "factors of other images": (GOOD | {"test_factors": np.ones((3, 2))}, r"\(3, 2\); expected"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_arrays_that_do_not_fit_are_refused(case: str, tmp_path: Path) -> None:
    arrays, expected = BAD_ARRAYS[case]
    path = save(tmp_path / "mine.npz", **arrays)
    with pytest.raises(InputError, match=expected) as caught:
        load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none.npz", None, "no such file or folder; expected a .npz or .npy file"),
        ("mine.npz", b"not a zip", "cannot be read"),
        ("mine.npz", b"", "cannot be read"),
        ("mine.npy", b"", "cannot be read"),
        ("mine.npy", b"PK\x03\x04broken", "cannot be read"),
        ("mine.csv", b"1,2", "a file of another kind"),
        ("my data.npz", b"", "the name 'my data'; expected letters"),
        ("mnist.npz", b"", "the name 'mnist' is taken by harness.data.sets.idx"),
    ],
)
def test_files_that_are_no_data_are_refused(
    name: str, content: bytes | None, expected: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert expected in refuse(tmp_path / name)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        files.append(str(save(tmp_path / folder / "mine.npz", **GOOD)))
    with pytest.raises(InputError, match=r"b/mine.npz: the name 'mine' is taken by .*a/mine.npz"):
        paths.register_paths(files)


def test_names_go_before_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    monkeypatch.chdir(tmp_path)
    assert paths.register_paths(["mnist", "mnits"]) == {"mnist": "mnist", "mnits": "mnits"}
    assert paths.is_path("./mnist")
    (tmp_path / "faces").mkdir()
    assert paths.is_path("faces")


def test_a_grid_gets_the_names_of_its_paths(tmp_path: Path) -> None:
    path = str(save(tmp_path / "mine.npz", **GOOD))
    sweeps = [{"model": "vae", "dataset": ["mnist", path]}, {"model": "vae"}]
    grid = validate({"name": "g", "seeds": 1, "sweeps": sweeps})
    found = name_datasets(grid, paths.register_paths(grid.datasets))
    assert [sweep.dataset for sweep in found.sweeps] == [["mnist", "mine"], ["mnist"]]
    assert found.sweeps[1] is grid.sweeps[1]


# --- folders of images ----------------------------------------------------------------------------


def draw_image(path: Path, value: int, mode: str = "L", size: tuple[int, int] = (3, 2)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, (value,) * 3 if mode == "RGB" else value).save(path)


def test_a_folder_is_split_class_by_class(tmp_path: Path) -> None:
    for number in range(12):
        draw_image(tmp_path / f"faces/ann/{number:02}.png", number)
        draw_image(tmp_path / f"faces/bob/{number:02}.png", 100 + number)
    (tmp_path / "faces/README.txt").write_text("my friends")
    found = load(tmp_path / "faces")
    assert (found.spec.shape, found.spec.kind, found.spec.levels) == ((1, 2, 3), "ordinal", 256)
    assert (found.name, found.spec.classes) == ("faces", 2)
    assert found.test_x[:, 0].tolist() == [11, 111]
    assert found.test_y.tolist() == [0, 1]
    assert found.train_x[:, 0].tolist() == [*range(11), *range(100, 111)]


def test_folders_of_parts_are_taken_as_they_are(tmp_path: Path) -> None:
    for part, value in (("train", 1), ("test", 2), ("validation", 3)):
        draw_image(tmp_path / f"faces/{part}/ann/0.png", value, "RGB")
        draw_image(tmp_path / f"faces/{part}/bob/0.png", value + 10)
    found = load(tmp_path / "faces")
    assert found.spec.shape == (3, 2, 3)
    assert found.train_x[:, 0].tolist() == [1, 11]
    assert found.test_x[:, 0].tolist() == [2, 12]
    assert found.validation_x is not None
    assert found.validation_x[:, 0].tolist() == [3, 13]


def test_images_of_one_bit_are_binary(tmp_path: Path) -> None:
    for value in (0, 1):
        draw_image(tmp_path / f"bits/all/{value}.png", value, "1")
    spec = load(tmp_path / "bits").spec
    assert (spec.kind, spec.binarisation) == ("binary", "static")


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ({}, "no folder of a class; expected CLASS/*.png"),
        ({"0.png": (3, 2)}, "no folder of a class; expected CLASS/*.png"),
        ({"ann/0.png": (3, 2), "ann/1.png": (4, 2)}, "1.png: 4×2 pixels; expected 3×2 as"),
        ({"ann/0.png": (3, 2)}, "one image of class ann; expected at least 2"),
        ({"train/ann/0.png": (3, 2)}, "it has train/; expected train/ and test/"),
        (
            {"train/ann/0.png": (3, 2), "test/bob/0.png": (3, 2)},
            "class ann is in one of train/ and test/; expected the same classes",
        ),
    ],
)
def test_folders_that_do_not_fit_are_refused(
    images: dict[str, tuple[int, int]], expected: str, tmp_path: Path
) -> None:
    (tmp_path / "faces").mkdir()
    for name, size in images.items():
        draw_image(tmp_path / "faces" / name, 0, size=size)
    assert expected in refuse(tmp_path / "faces")


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for number in range(2):
        draw_image(tmp_path / f"faces/ann/{number}.png", 0)
    (tmp_path / "faces/ann/1.png").write_bytes(b"no image")
    assert "faces/ann/1.png cannot be read" in refuse(tmp_path / "faces")
    draw_image(tmp_path / "faces/ann/1.png", 0, "I;16")
    assert "1.png: mode I;16; expected 8-bit grey or colour" in refuse(tmp_path / "faces")


# --- the Hugging Face Hub -------------------------------------------------------------------------


def pretend_hub(monkeypatch: pytest.MonkeyPatch, parts: dict[str, list[dict[str, Any]]]) -> None:
    """A package `datasets` with one data set, `someone/faces`."""

    def load_dataset(name: str) -> dict[str, list[dict[str, Any]]]:
        if name != "someone/faces":
            raise FileNotFoundError(f"no data set\n{name}")
        return parts

    package = ModuleType("datasets")
    package.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", package)


def make_rows(count: int, value: int = 0) -> list[dict[str, Any]]:
    return [
        {"id": str(index), "image": Image.new("L", (3, 2), value + index), "label": index % 2}
        for index in range(count)
    ]


def test_a_data_set_of_the_hub_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_hub(monkeypatch, {"train": make_rows(4), "test": make_rows(2, 50)})
    found = load("hf:someone/faces")
    assert (found.name, found.spec.shape, found.spec.classes) == (
        "hf-someone-faces",
        (1, 2, 3),
        2,
    )
    assert found.train_x[:, 0].tolist() == [0, 1, 2, 3]
    assert found.test_x[:, 0].tolist() == [50, 51]
    assert found.train_y.tolist() == [0, 1, 0, 1]


def test_a_set_of_the_hub_without_a_test_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_hub(monkeypatch, {"train": make_rows(20)})
    assert load("hf:someone/faces").test_x[:, 0].tolist() == [18, 19]


def test_what_the_hub_does_not_give_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    expected = "needs the package datasets; pip install generative-bench[hf]"
    assert refuse("hf:someone/faces").endswith(expected)
    pretend_hub(monkeypatch, {"train": [{"text": "a", "label": 0}]})
    assert "columns text, label; expected a column of pictures" in refuse("hf:someone/faces")
    assert "cannot be loaded: no data set nobody/faces" in refuse("hf:nobody/faces")
    pretend_hub(monkeypatch, {"all": make_rows(2)})
    assert "parts all; expected train" in refuse("hf:someone/faces")
