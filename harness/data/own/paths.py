"""A user's own data, by path: .npz, .npy, a folder of images, `hf:NAME`, `latents:RESULTS/CELL`."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from harness.data.loading import hash_arrays
from harness.data.own import latents
from harness.data.own.arrays import read_npy, read_npz
from harness.data.own.hub import read_hub
from harness.data.own.pictures import read_folder
from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.dataset import Dataset, DataSpec, Splits, add_dataset, registered_datasets

HUB_PREFIX = "hf:"
READERS = {".npz": read_npz, ".npy": read_npy}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
EXPECTED = "expected a .npz or .npy file, a folder of images, hf:NAME or latents:RESULTS/CELL"


class OwnData(Dataset):
    """Data that a user named by their path; they are read once, when they are registered."""

    origin = "your own files"

    def __init__(self, spec: DataSpec, splits: Splits):
        self.spec = spec
        self.splits = replace(splits, checksum=hash_content(spec, splits))

    def load(self, folder: Path | None) -> Splits:
        """The arrays that were read; the folder is of no account."""
        return self.splits


def register_paths(entries: Iterable[str]) -> dict[str, str]:
    """Register the data sets that are given by their paths.

    entries: names and paths as a grid gives them; returns the name of each

    InputError for data that cannot be used and for a name that another data set has.
    """
    names: dict[str, str] = {}
    for entry in dict.fromkeys(entries):
        names[entry] = _register(entry, names) if is_path(entry) else entry
    return names


def is_path(entry: str) -> bool:
    """Whether an entry of a grid is a path and no name: names go before paths."""
    if entry.startswith((HUB_PREFIX, latents.PREFIX)) or re.search(r"[/\\]", entry):
        return True
    return not _is_registered(entry) and (Path(entry).suffix in READERS or Path(entry).exists())


def name_of(entry: str) -> str:
    """The name of the data set at a path: its stem; that of the Hub has its owner too.

    >>> name_of("data/my_faces.npz"), name_of("hf:someone/faces.v2")
    ('my_faces', 'hf-someone-faces-v2')
    """
    if entry.startswith(latents.PREFIX):
        return latents.name_of(entry)
    if entry.startswith(HUB_PREFIX):
        return re.sub(r"[^A-Za-z0-9_-]", "-", entry)
    path = Path(entry).expanduser().absolute()
    name = path.name if path.is_dir() else path.stem
    if not NAME.fullmatch(name):
        raise InputError(
            f"data set {entry}: the name '{name}'; expected letters, digits, _ and -, 64 at most"
        )
    return name


def hash_content(spec: DataSpec, splits: Splits) -> str:
    """SHA-256 of the arrays and of their description."""
    described = (spec.shape, spec.kind, spec.levels, spec.classes, spec.binarisation)
    return hashlib.sha256(f"{json.dumps(described)} {hash_arrays(splits)}".encode()).hexdigest()


def _register(entry: str, names: dict[str, str]) -> str:
    name = name_of(entry)
    same = [other for other, taken in names.items() if taken == name]
    foreign = _is_registered(name) and not isinstance(registered_datasets[name], OwnData)
    if foreign or same:
        taken_by = same[0] if same else type(registered_datasets[name]).__module__
        raise InputError(
            f"data set {entry}: the name '{name}' is taken by {taken_by}; expected another name"
        )
    add_dataset(name, OwnData(*_read(entry)))
    return name


def _read(entry: str) -> tuple[DataSpec, Splits]:
    if entry.startswith(latents.PREFIX):
        return latents.read_latents(entry)
    if entry.startswith(HUB_PREFIX):
        return read_hub(entry.removeprefix(HUB_PREFIX))
    path = Path(entry).expanduser()
    if path.is_dir():
        return read_folder(path)
    if not path.is_file():
        raise InputError(f"data set {entry}: no such file or folder; {EXPECTED}")
    if path.suffix not in READERS:
        raise InputError(f"data set {entry}: a file of another kind; {EXPECTED}")
    return READERS[path.suffix](path)


def _is_registered(name: str) -> bool:
    try:
        registry.lookup_dataset(name)
    except InputError:
        return False
    return True
