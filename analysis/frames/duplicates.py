"""One seed of an arm under two cells of one folder: nobody can say which is meant, so neither is
counted.
"""

from collections.abc import Iterator, Sequence

import pandas as pd


def twice(rows: pd.DataFrame, places: Sequence[str] = ()) -> "pd.Series[bool]":
    """Results table with `arm` -> which rows share arm, seed and the columns `places` with another."""
    return rows.duplicated(["arm", "seed", *places], keep=False)


def sentences(rows: pd.DataFrame, places: Sequence[str] = ()) -> Iterator[str]:
    """A sentence on each seed that is there twice, with the way out."""
    for key, group in rows[twice(rows, places)].groupby(["arm", "seed", *places]):
        arm, seed, *where = key
        there = "".join(f" of folder {place}" for place in where)
        yield (
            f"{arm}: seed {seed} has several cells{there}, "
            f"{' and '.join(sorted(group['cell']))}, and none can count; "
            "keep one: remove rows/CELL.json of the others, and results.parquet, which is made "
            "again from rows/"
        )
