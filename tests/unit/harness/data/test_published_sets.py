"""Data sets in files that others publish: read from bytes that the tests write, with their sums."""

import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from harness.data import loading, published_files
from harness.data.published_files import PublishedFile
from harness.data.sets import celeba, static_mnist
from harness.errors import InputError

DRAWS = np.random.RandomState(0)
COLOUR = DRAWS.randint(0, 256, (23, 3, 32, 32)).astype(np.uint8)
LABELS = np.arange(23) % 10
Files = dict[str, bytes]
Patch = pytest.MonkeyPatch


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def write_svhn(patch: Patch) -> Files:
    files = {}
    for part, images in (("train", slice(0, 13)), ("test", slice(13, 23))):
        sink = io.BytesIO()
        y = np.where(LABELS[images] == 0, 10, LABELS[images])[:, None]
        savemat(sink, {"X": COLOUR[images].transpose(2, 3, 1, 0), "y": y})  # type: ignore[arg-type]
        files[f"{part}_32x32.mat"] = sink.getvalue()
    parts = {name.partition("_")[0]: ["http://there", name, md5(files[name])] for name in files}
    patch.setattr(datasets.SVHN, "split_list", parts)
    return files


def write_cifar10(patch: Patch) -> Files:
    sink = io.BytesIO()
    batches = {f"data_batch_{n + 1}": slice(2 * n, 2 * n + 2) for n in range(5)}
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for name, images in (batches | {"test_batch": slice(10, 23)}).items():
            batch = {
                "data": COLOUR[images].reshape(-1, 3072),
                "labels": LABELS[images].tolist(),
            }
            content = pickle.dumps(batch, protocol=2)
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    patch.setattr(datasets.CIFAR10, "tgz_md5", md5(sink.getvalue()))
    return {"cifar-10-python.tar.gz": sink.getvalue()}


def encode(pixels: Any, kind: str = "PNG", mode: str | None = None) -> bytes:
    sink = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(sink, kind)
    return sink.getvalue()


def write_zip(members: Files) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def write_omniglot(patch: Patch) -> Files:
    """Two white drawings, and a test drawing whose left part is black."""
    white = np.full((105, 105), 255, np.uint8)
    drawn = white.copy()
    drawn[:, :60] = 0
    parts = {"images_background": [white, white], "images_evaluation": [drawn]}
    files = {
        f"{part}.zip": write_zip(
            {f"{part}/Latin/character01/{n}.png": encode(x, mode="1") for n, x in enumerate(images)}
        )
        for part, images in parts.items()
    }
    sums = {name.removesuffix(".zip"): md5(content) for name, content in files.items()}
    patch.setattr(datasets.Omniglot, "zips_md5", sums)
    return files


def write_celeba(patch: Patch) -> Files:
    """Three faces of one colour with a white frame, which the crop leaves out."""
    members = {}
    for number in range(3):
        face = np.full((218, 178, 3), 255, np.uint8)
        face[35:183, 15:163] = (50 * number, 100, 200)
        members[f"img_align_celeba/{number}.jpg"] = encode(face)  # lossless, so values are exact
    files = {
        celeba.IMAGES: write_zip(members),
        celeba.PARTITION: b"0.jpg 0\n1.jpg 2\n2.jpg 1\n",
    }
    listed = [(f"drive-{name}", md5(content), name) for name, content in files.items()]
    patch.setattr(datasets.CelebA, "file_list", listed)
    return files


def write_larochelle(patch: Patch) -> Files:
    files, sums = {}, {}
    for part, count in (("train", 5), ("valid", 2), ("test", 3)):
        bits = DRAWS.randint(0, 2, (count, 784))
        content = "".join(" ".join(map(str, row)) + "\n" for row in bits).encode()
        files[f"binarized_mnist_{part}.amat"] = content
        sums[part] = hashlib.sha256(content).hexdigest()
    patch.setattr(static_mnist, "LAROCHELLE_SHA256", sums)
    return files


WRITERS: dict[str, tuple[str, Callable[[Patch], Files]]] = {
    "svhn": ("svhn", write_svhn),
    "cifar10": ("cifar10", write_cifar10),
    "omniglot": ("omniglot-py", write_omniglot),
    "celeba": ("celeba", write_celeba),
    "larochelle_mnist": ("binarized_mnist", write_larochelle),
}


def put(files: Files, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def refuse(name: str, folder: Path | None) -> str:
    with pytest.raises(InputError) as caught:
        loading.load(name, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["svhn", "cifar10"])
def test_colour_images_are_read(name: str, tmp_path: Path, monkeypatch: Patch) -> None:
    put(WRITERS[name][1](monkeypatch), tmp_path)
    found = loading.load(name, tmp_path)
    both = np.concatenate([found.train_x.numpy(), found.test_x.numpy()])
    assert np.array_equal(both, COLOUR.reshape(23, -1))
    assert [*found.train_y.tolist(), *found.test_y.tolist()] == LABELS.tolist()


def test_characters_are_shrunk_and_white_on_black(tmp_path: Path, monkeypatch: Patch) -> None:
    put(write_omniglot(monkeypatch), tmp_path)
    found = loading.load("omniglot", tmp_path)
    assert found.train_x.shape == (2, 784)
    assert not found.train_x.any()
    test = found.test_x.reshape(28, 28)
    assert test[:, :16].eq(255).all()
    assert not test[:, 17:].any()
    assert found.spec.classes == 0


def test_faces_are_cut_out_and_split_as_published(tmp_path: Path, monkeypatch: Patch) -> None:
    put(write_celeba(monkeypatch), tmp_path)
    found = loading.load("celeba", tmp_path)
    assert found.validation_x is not None
    for x, red in ((found.train_x, 0), (found.validation_x, 100), (found.test_x, 50)):
        assert x.reshape(1, 3, -1).unique(dim=2).flatten().tolist() == [red, 100, 200]


def test_larochelles_files_are_read(tmp_path: Path, monkeypatch: Patch) -> None:
    files = write_larochelle(monkeypatch)
    put(files, tmp_path / "binarized_mnist")
    found = loading.load("larochelle_mnist", tmp_path)
    assert found.validation_x is not None
    parts = {"train": found.train_x, "valid": found.validation_x, "test": found.test_x}
    for part, x in parts.items():
        expected = np.loadtxt(io.BytesIO(files[f"binarized_mnist_{part}.amat"]), np.uint8)
        assert np.array_equal(x.numpy(), expected)
    assert (found.spec.binarisation, found.spec.classes) == ("static", 0)


# --- what is missing or wrong ---------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_missing_files_are_named_with_their_place(
    name: str, tmp_path: Path, monkeypatch: Patch
) -> None:
    subfolder, write = WRITERS[name]
    files = write(monkeypatch)
    found = refuse(name, tmp_path)
    assert found.startswith(f"data set '{name}': ")
    assert "missing; put " in found
    assert found.endswith(f" into {tmp_path / subfolder}")
    assert all(found.count(file) == 2 for file in files)


@pytest.mark.parametrize("name", WRITERS)
def test_an_altered_file_is_refused(name: str, tmp_path: Path, monkeypatch: Patch) -> None:
    subfolder, write = WRITERS[name]
    files = write(monkeypatch)
    last = [*files][-1]
    put(files | {last: files[last] + b"0"}, tmp_path / subfolder)
    found = refuse(name, tmp_path)
    assert found.startswith(f"data file {tmp_path / subfolder / last} is altered or truncated: ")


def test_real_checksums_are_the_default(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        files = {name: write(patch) for name, (_, write) in WRITERS.items()}
    for name in WRITERS:
        put(files[name], tmp_path)
        assert "is altered or truncated" in refuse(name, tmp_path)


# --- what is fetched ------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: Patch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_files_are_fetched_once_into_the_cache(cache: Path, monkeypatch: Patch) -> None:
    files = write_celeba(monkeypatch)
    addresses: list[str] = []

    def fetch(file: PublishedFile, folder: Path) -> None:
        addresses.append(file.address)
        (folder / file.name).write_bytes(files[file.name])

    monkeypatch.setattr(published_files, "download_file", fetch)
    for _ in range(2):
        assert len(loading.load("celeba").train_x) == 1
    assert addresses == [f"drive-{name}" for name in files]
    assert {path.name for path in (cache / "celeba").iterdir()} == set(files)


def test_what_cannot_be_fetched_is_one_line(cache: Path, monkeypatch: Patch) -> None:
    write_svhn(monkeypatch)

    def fail(file: PublishedFile, folder: Path) -> None:
        (folder / file.name).write_bytes(b"half")
        raise OSError("no route\nto host")

    monkeypatch.setattr(published_files, "download_file", fail)
    expected = (
        "data set 'svhn' cannot be fetched (no route to host); put train_32x32.mat and "
        f"test_32x32.mat into {cache / 'svhn'}"
    )
    assert refuse("svhn", None) == expected
    assert list((cache / "svhn").iterdir()) == []


def test_wrong_bytes_are_not_kept(cache: Path, monkeypatch: Patch) -> None:
    write_svhn(monkeypatch)
    monkeypatch.setattr(
        published_files,
        "download_file",
        lambda file, folder: (folder / file.name).write_bytes(gzip.compress(b"a page")),
    )
    assert "is altered or truncated" in refuse("svhn", None)
    assert list((cache / "svhn").iterdir()) == []


def test_a_drive_and_a_page_are_asked_through_torchvision(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        "torchvision.datasets.utils.download_url",
        lambda url, root, filename: calls.append(("page", url, filename)),
    )
    monkeypatch.setattr(
        "torchvision.datasets.utils.download_file_from_google_drive",
        lambda file_id, root, filename: calls.append(("drive", file_id, filename)),
    )
    for address in ("http://there/a", "0B7E"):
        published_files.download_file(PublishedFile("a", address, ""), tmp_path)
    assert calls == [("page", "http://there/a", "a"), ("drive", "0B7E", "a")]
