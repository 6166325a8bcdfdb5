"""A results folder as a report reads it: all of it, and all of it checked, before anything is written."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

import pandas as pd

from analysis import kinds
from analysis.naming import named
from harness.errors import BadInput, StorageFailure
from harness.schema import ARM, CURVE, Status
from harness.store import TABLE, Store

NEEDED = ["cell", *ARM, "seed", "full_length", "status"]


@dataclass(frozen=True)
class Results:
    """What a results folder holds.

    rows: a cell a row, the columns of `harness.schema` and the arm's name. points: a point of a curve a row, with arm,
    seed and the columns of `harness.schema.CURVE`. provenance: a record a run. damaged: a sentence on each file of rows
    that is torn and was left out.
    """

    rows: pd.DataFrame
    points: pd.DataFrame
    provenance: list[dict[str, Any]]
    damaged: Sequence[str] = ()


def read(store: Store) -> Results:
    """Everything that a report shows; a folder that is missing, empty or damaged is refused in one line."""
    store.reach()
    if not store.place.exists():
        raise BadInput(f"no results folder {store.name!r}; expected one that harness/bench.py wrote")
    with _readable(f"the rows in {store.name}"):
        held = store.find()
    rows = _rows(store, held.frame())
    finished = rows[rows["status"] == "ok"]
    with _readable(f"the provenance in {store.name}"):
        provenance = store.provenance()
    return Results(rows, _points(store, finished), provenance, list(held.torn.values()))


def _rows(store: Store, rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        raise BadInput(f"{store.name} holds no rows; expected {TABLE} or rows/*.json, as harness/bench.py writes them")
    for row in rows[NEEDED].to_dict("records"):
        if any(pd.isna(value) for value in row.values()) or row["status"] not in get_args(Status):
            raise BadInput(f"{store.name}: the row of cell {row['cell']} is not whole; expected {', '.join(NEEDED)}")
    for column in ("settings", "versions"):
        with _readable(f"{column} in the rows of {store.name}"):
            rows[column].dropna().map(lambda text: json.loads(text).items())
    return kinds.told(rows).assign(arm=named(rows))


def _points(store: Store, finished: pd.DataFrame) -> pd.DataFrame:
    points: list[pd.DataFrame] = [CURVE.empty_table().to_pandas().assign(arm="", seed=0)]
    for cell, arm, seed, kind in finished[["cell", "arm", "seed", "estimator"]].itertuples(index=False):
        with _readable(f"the curve of cell {cell}"):
            curve = store.curve(cell)
            if curve is not None and list(curve) != CURVE.names:
                raise ValueError(f"its columns are {', '.join(map(str, curve))}")
            if curve is not None:
                points.append(kinds.of_curve(curve, kind).assign(arm=arm, seed=seed))
    return pd.concat(points[1:] or points, ignore_index=True)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Whatever reading a damaged file raises becomes bad input, said in one line; storage that fails is none."""
    try:
        yield
    except StorageFailure:
        raise
    except (TypeError, AttributeError):
        raise BadInput(f"{what} cannot be read: wrong shape; expected what harness/bench.py wrote") from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise BadInput(f"{what} cannot be read: {reason}; expected what harness/bench.py wrote") from None
