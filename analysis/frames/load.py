"""Read a results folder for a report and check all of it before anything is written."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.frames import number_kinds, searches
from analysis.frames.arm_names import DISPLAY, rename_arms, row_arm_names
from harness.errors import InputError, StorageError, short_repr
from harness.experiment.cell import Supervision
from harness.storage.layout import CURVES, name_of
from harness.storage.schema import ARM_COLUMNS, COLUMN_NAMES, COLUMNS, CURVE_SCHEMA, Status
from harness.storage.store import TABLE, Store

# The fourth power of any number must be finite: variances of variances need it.
MAX_NUMBER = 1e12
REQUIRED_COLUMNS = ["cell", *ARM_COLUMNS, "seed", "full_length", "status"]

FLOAT_COLUMNS = [column.name for column in COLUMNS if pa.types.is_floating(column.type)]
INTEGER_COLUMNS = [column.name for column in COLUMNS if pa.types.is_integer(column.type)]


@dataclass(frozen=True)
class ResultFrames:
    """Contents of a results folder.

    rows: one row per cell, the columns of `harness.storage.schema` and the arm's name, which is
    that of `display` where a person gave one. trials: the
    same of trials of searches, which belong to no arm; of both, `configuration` is the name of what
    was searched. points: one row per point of a learning curve, with arm, seed and the columns of
    `harness.storage.schema.CURVE_SCHEMA`. provenance: one record per run. damaged: a sentence for
    each corrupt file of rows and for invalid digit counts, all of which are left out.
    """

    rows: pd.DataFrame
    points: pd.DataFrame
    provenance: list[dict[str, Any]]
    damaged: Sequence[str] = ()
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)


def read_results(store: Store) -> ResultFrames:
    """Read all that a report shows; `InputError` if the folder is missing, empty or damaged."""
    frames = read_rows(store)
    if frames.rows.empty:
        raise InputError(
            f"{store.name} holds {len(frames.trials)} trials of a search and no training of a "
            "winner yet; give the command of the search again to go on"
        )
    finished = frames.rows[frames.rows["status"] == "ok"]
    with _translate_errors(f"the provenance in {store.name}"):
        provenance = store.provenance()
    return replace(frames, points=_read_curves(store, finished), provenance=provenance)


def read_rows(store: Store) -> ResultFrames:
    """`read_results` without curves and provenance; a folder with trials alone has no `rows`."""
    check_exists(store)
    with _translate_errors(f"the rows in {store.name}"):
        contents = store.scan()
    checked, dropped = _drop_bad_digit_counts(_check_rows(store, contents.frame()))
    rows, trials = searches.split_trials(checked)
    if rows.empty:
        rows = rows.assign(arm="", configuration="", **{DISPLAY: ""})
    else:
        rows = rename_arms(name_arms(rows), store.arm_names())
    trials = trials.assign(configuration=searches.name_configurations(trials))
    return ResultFrames(
        rows, _concat_curves([]), [], [*contents.corrupt.values(), *dropped], trials
    )


def check_exists(store: Store) -> None:
    """Check that there is a results folder; InputError if not."""
    store.check_reachable()
    if not store.backend.exists():
        raise InputError(
            f"no results folder {store.name!r}; expected one that harness/bench.py wrote"
        )


def name_arms(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows -> the same with `arm`, and `configuration` for trainings of winners, else empty."""
    is_final = rows["stage"] == "final"
    configurations = searches.name_configurations(rows[is_final]).reindex(rows.index).fillna("")
    rows = rows.assign(configuration=configurations)
    winners = searches.name_winners(rows[is_final]).reindex(rows.index)
    return rows.assign(arm=row_arm_names(rows).mask(is_final, winners))


def _check_rows(store: Store, rows: pd.DataFrame) -> pd.DataFrame:
    if rows.empty:
        raise InputError(
            f"{store.name} holds no rows; expected {TABLE} or rows/*.json, as harness/bench.py "
            f"writes them"
        )
    complete = rows[REQUIRED_COLUMNS].notna().all(axis=1) & rows["status"].isin(get_args(Status))
    _refuse(store, rows, ~complete, f"is not whole; expected {', '.join(REQUIRED_COLUMNS)}")
    expected = ", ".join(get_args(Supervision))
    unknown = ~rows["supervision"].isin(get_args(Supervision))
    _refuse(store, rows, unknown, f"has no supervision of {expected}")
    for column in ("cell", "dataset"):
        odd = rows[column].str.contains(r"(?:^|/)\.\.(?:/|$)|\x00", regex=True)
        why = f"has a {column} that cannot name a file; expected no .. and no NUL"
        _refuse(store, rows, odd, why)
    own = [column for column in map(str, rows) if column not in COLUMN_NAMES]
    for column in (*FLOAT_COLUMNS, *own):
        beyond = rows[column].abs() >= MAX_NUMBER
        _refuse(store, rows, beyond, f"has a {column} beyond {MAX_NUMBER:g}; expected less")
    for column in INTEGER_COLUMNS:
        _refuse(store, rows, rows[column] < 0, f"has a {column} below 0; expected none")
    for column in ("settings", "versions"):
        with _translate_errors(f"{column} in the rows of {store.name}"):
            for text in rows[column].dropna().unique():
                json.loads(text).items()
    return number_kinds.fill_estimators(rows)


def _refuse(store: Store, rows: pd.DataFrame, odd: pd.Series, why: str) -> None:
    if odd.any():
        cell = short_repr(rows["cell"][odd].iloc[0])
        raise InputError(f"{store.name}: the row of cell {cell} {why}")


def _drop_bad_digit_counts(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Remove digit counts that are not counts, with a sentence for each such column.

    The rows of a data set must have equally many classes: as many as most of them.
    """
    messages = []
    for column in ("digit_counts", "digit_counts_200"):
        counted = rows[column].dropna()
        lengths = counted.map(len).reindex(rows.index)
        classes = lengths.groupby(rows["dataset"]).transform(_find_most_common)
        odd = lengths.notna() & (lengths != classes)
        odd[counted.index[~_are_counts(counted)]] = True
        if odd.any():
            some = (
                f"{column} of {odd.sum():,} rows, that of cell "
                f"{short_repr(rows.loc[odd, 'cell'].iloc[0])} first"
            )
            messages.append(
                f"{some}, left out: they are not counts of the classes of their data set"
            )
            rows = rows.assign(**{column: rows[column].mask(odd, None)})
    return rows, messages


def _are_counts(lists: pd.Series) -> np.ndarray:
    """Which lists of numbers are counts of two or more classes: not below 0, and not all 0."""
    lengths = lists.map(len).to_numpy(dtype=int)
    good = lengths > 1
    if good.any():
        values = np.concatenate(lists[good].to_list(), dtype=float, casting="unsafe")
        starts = np.concatenate([[0], np.cumsum(lengths[good])[:-1]])
        sums = np.add.reduceat(values, starts)
        lowest = np.minimum.reduceat(values, starts)  # nan where one is
        good[good] = (lowest >= 0) & (sums > 0) & (sums < MAX_NUMBER)
    return good


def _find_most_common(values: pd.Series) -> float:
    """The most common of some numbers, of equally common ones the largest; nan if there is none."""
    return float(values.mode().max()) if values.notna().any() else np.nan


def _read_curves(store: Store, finished: pd.DataFrame) -> pd.DataFrame:
    points = []
    with _translate_errors(f"the curves in {store.name}"):
        stored = {name_of(key) for key in store.keys(*CURVES)}
    columns = finished.loc[finished["cell"].isin(stored), ["cell", "arm", "seed", "estimator"]]
    for cell, arm, seed, kind in columns.itertuples(index=False):
        with _translate_errors(f"the curve of cell {cell}"):
            curve = store.curve(cell)
            if curve is not None:
                points.append(number_kinds.mask_curve(curve, kind).assign(arm=arm, seed=seed))
    return _concat_curves(points)


def _concat_curves(points: Sequence[pd.DataFrame]) -> pd.DataFrame:
    empty: pd.DataFrame = CURVE_SCHEMA.empty_table().to_pandas().assign(arm="", seed=0)
    return pd.concat(points or [empty], ignore_index=True)


@contextmanager
def _translate_errors(what: str) -> Iterator[None]:
    """Turn what a damaged file raises into an `InputError` of one line; keep `StorageError`."""
    try:
        yield
    except StorageError:
        raise
    except (TypeError, AttributeError, RecursionError):
        raise InputError(
            f"{what} cannot be read: wrong shape; expected what harness/bench.py wrote"
        ) from None
    except (OSError, ValueError, OverflowError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise InputError(
            f"{what} cannot be read: {reason}; expected what harness/bench.py wrote"
        ) from None
