"""Fetches and checks data sets, by name: `python -m harness.data mnist`."""

import sys
from collections.abc import Sequence

from harness.data import loading
from harness.errors import InputError


def check_datasets(names: Sequence[str]) -> int:
    """Load each data set and print its size; the exit code."""
    try:
        for name in names:
            data = loading.load(name)
            print(
                f"{name}: {len(data.train_x):,} training and {len(data.test_x):,} test images, "
                f"verified"
            )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(check_datasets(sys.argv[1:]))
