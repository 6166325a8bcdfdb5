"""Fetches and verifies data sets: `python -m harness.data mnist`."""

import sys

from harness.data import idx_sets
from harness.errors import InputError

if __name__ == "__main__":
    try:
        for name in sys.argv[1:]:
            data = idx_sets.load(name)
            print(
                f"{name}: {len(data.train_x):,} training and {len(data.test_x):,} test images, "
                f"verified"
            )
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
