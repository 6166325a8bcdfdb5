"""Seeds of an arm with two cells in one folder: which is meant is unknown, so none counts."""

from collections.abc import Iterator, Sequence

import pandas as pd


def find_duplicates(rows: pd.DataFrame, columns: Sequence[str] = ()) -> "pd.Series[bool]":
    """Results table with `arm` -> which rows share arm, seed and `columns` with another row."""
    return rows.duplicated(["arm", "seed", *columns], keep=False)


def drop_duplicates(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table with `arm` -> its rows whose seed no other row of the arm has."""
    shared = find_duplicates(rows)
    return rows[~shared] if shared.any() else rows  # no copy of a million rows


def describe_duplicates(rows: pd.DataFrame, columns: Sequence[str] = ()) -> Iterator[str]:
    """A sentence for each seed with several cells, with the remedy."""
    for key, group in rows[find_duplicates(rows, columns)].groupby(["arm", "seed", *columns]):
        arm, seed, *where = key
        suffix = "".join(f" of folder {place}" for place in where)
        yield (
            f"{arm}: seed {seed} has several cells{suffix}, "
            f"{' and '.join(sorted(group['cell']))}, and none can count; "
            "keep one: remove rows/CELL.json of the others, and results.parquet, which is made "
            "again from rows/"
        )
