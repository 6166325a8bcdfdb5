"""Files that the authors of a data set publish: found or downloaded, and verified at every load."""

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.data.download import MissingFileError, cache_folder
from harness.errors import InputError


@dataclass(frozen=True)
class PublishedFile:
    """A file by its name, where it is, and its checksum.

    address: a URL, or the id of a file of Google Drive
    algorithm: of the checksum, "md5" or "sha256"
    """

    name: str
    address: str
    checksum: str
    algorithm: str = "md5"


def find_files(
    dataset: str, files: Sequence[PublishedFile], subfolder: str, folder: Path | None
) -> list[Path]:
    """The verified files of a data set, in the order of `files`.

    folder: the only place to look, itself and its subfolder; by default the cache, where missing
        files are downloaded

    InputError if a file is missing or altered; it says where to put which files.
    """
    root = cache_folder() if folder is None else folder
    missing = [file for file in files if _locate(root, subfolder, file) is None]
    if missing and folder is None:
        _download(dataset, missing, files, root / subfolder)
    elif missing:
        raise MissingFileError(
            f"data set '{dataset}': {_join_names(missing)} {'are' if missing[1:] else 'is'} "
            f"missing; {_say_where(files, root / subfolder)}"
        )
    paths = [_locate(root, subfolder, file) or root / subfolder / file.name for file in files]
    for file, path in zip(files, paths, strict=True):
        _verify(path, file)
    return paths


def combine_checksums(files: Iterable[PublishedFile]) -> str:
    """SHA-256 over the checksums of the files: the checksum of a data set made of them."""
    return hashlib.sha256("".join(file.checksum for file in files).encode()).hexdigest()


def _locate(root: Path, subfolder: str, file: PublishedFile) -> Path | None:
    places = (root / subfolder / file.name, root / file.name)
    return next((path for path in places if path.is_file()), None)


def _download(
    dataset: str, missing: Sequence[PublishedFile], files: Sequence[PublishedFile], into: Path
) -> None:
    """Download and verify in a temporary folder, then move, so that no partial file is left."""
    try:
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into, prefix=".fetch-") as temporary:
            for file in missing:
                download_file(file, Path(temporary))
                _verify(Path(temporary) / file.name, file)
                (Path(temporary) / file.name).replace(into / file.name)
    except Exception as error:  # whatever torchvision, the network or the disk raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"data set '{dataset}' cannot be fetched ({reason}); {_say_where(files, into)}"
        ) from None


def download_file(file: PublishedFile, folder: Path) -> None:
    """Download a file with torchvision."""
    from torchvision.datasets import utils

    if file.address.startswith("http"):
        utils.download_url(file.address, str(folder), filename=file.name)
    else:
        utils.download_file_from_google_drive(file.address, str(folder), file.name)


def _verify(path: Path, file: PublishedFile) -> None:
    with path.open("rb") as content:
        found = hashlib.file_digest(content, file.algorithm).hexdigest()
    if found != file.checksum:
        raise InputError(
            f"data file {path} is altered or truncated: {file.algorithm.upper()} {found} of "
            f"{path.stat().st_size} bytes, expected {file.checksum}; delete it to fetch it again"
        )


def _say_where(files: Sequence[PublishedFile], folder: Path) -> str:
    return f"put {_join_names(files)} into {folder}"


def _join_names(files: Sequence[PublishedFile]) -> str:
    *names, last = (file.name for file in files)
    return f"{', '.join(names)} and {last}" if names else last
