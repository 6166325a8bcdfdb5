"""What the rows of an arm have in common: how many there are of each status, what the seeds drive,
what they ran on.
"""

import json
from collections.abc import Sequence
from typing import get_args

import pandas as pd

from analysis.frames.metrics import METRIC_BY_COLUMN
from analysis.stats.estimates import estimate_means
from harness.errors import unknown_name_error
from harness.experiment.cell import Setting, Supervision
from harness.storage.schema import ARM_COLUMNS, Status

VALUE_SET_COLUMNS = (
    "git_commit", "device", "data_checksum", "subset_checksum", "estimator", "data_kind", "source", "torch", "python",
    "objective",
)  # fmt: skip
SEED_HISTORY_COLUMNS = ("adaptive", "unrecorded")
SCALAR_COLUMNS = tuple(column for column in ARM_COLUMNS if column != "settings")


def summarize_arms(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table with `arm` -> one row an arm, by its name, the smallest model first.

    The columns are `ARM_COLUMNS`, full_length, how many cells there are of each status, `seeded`
    (what the seed drives in every finished cell) and, for each of `VALUE_SET_COLUMNS`, the
    different values of the finished cells; both are frozensets, empty where nothing is recorded.
    torch, python and objective are parts of `versions`. Those of `SEED_HISTORY_COLUMNS` are there
    where `adaptive.marked` told them.
    """
    statuses = {status: rows["status"] == status for status in get_args(Status)}
    groups = rows.assign(**statuses).groupby("arm", sort=False)
    arms = groups[[*ARM_COLUMNS, "full_length", "parameters"]].first()
    arms = arms.join(groups[list(statuses)].sum())
    finished = _add_versions(rows[rows["status"] == "ok"])
    for column in VALUE_SET_COLUMNS:
        arms[column] = collect_values(finished, column, arms.index)
    for column in SEED_HISTORY_COLUMNS:
        if column in rows:
            arms[column] = groups[column].any()
    arms["seeded"] = collect_values(finished, "seeded", arms.index).map(_intersect_purposes)
    return _sort_arms(arms)


def select_arms(arms: pd.DataFrame, wanted: dict[str, Setting]) -> pd.DataFrame:
    """The arms whose columns and settings have these values, numbers compared as numbers; unknown
    ones are refused.

    >>> arms = pd.DataFrame({"model": ["vae", "vae"], "beta": [1.0, 4.0], "settings": ['{"z": 10}'] * 2})
    >>> list(select_arms(arms.reindex(columns=ARM_COLUMNS), {"model": "vae", "beta": "4", "z": "10"}).index)
    [1]
    """
    columns = {column: arms[column] for column in SCALAR_COLUMNS} | _expand_settings(arms)
    for name, value in wanted.items():
        if name not in columns:
            raise unknown_name_error("column of the arms", name, columns)
        values = columns[name]
        same = values.map(lambda candidate, value=value: _matches(candidate, value)).astype(bool)
        if not same.any():
            raise unknown_name_error(
                name, str(value), {_format_value(candidate) for candidate in values.dropna()}
            )
        arms = arms[same.reindex(arms.index)]
    return arms


def format_filter(wanted: dict[str, Setting]) -> str:
    """A choice as it is written: `model=gmvae,beta=4`."""
    return ",".join(f"{name}={_format_value(value)}" for name, value in wanted.items())


def collect_values(finished: pd.DataFrame, column: str, arms: pd.Index) -> pd.Series:
    """The different values of a column by arm; most arms have one, and arms of the same one share
    its set.
    """
    if column not in finished:
        return pd.Series([frozenset()] * len(arms), arms)
    pairs = finished[["arm", column]].dropna().drop_duplicates().set_index("arm")[column]
    several = pairs.index.duplicated(keep=False)
    sets = {value: frozenset([value]) for value in pairs.unique()}
    by_arm = {arm: sets[value] for arm, value in pairs[~several].items()}
    by_arm |= pairs[several].groupby(level=0).agg(frozenset).to_dict()
    return pd.Series([by_arm.get(arm, frozenset()) for arm in arms], arms)


def _add_versions(rows: pd.DataFrame) -> pd.DataFrame:
    """With what of `versions` changes numbers: torch, python (3.11), objective; None where it is
    not recorded.
    """
    if "versions" not in rows:
        return rows
    parsed = {text: json.loads(text) for text in rows["versions"].dropna().unique()}
    selected = {
        text: {name: versions.get(name) for name in ("torch", "python", "objective")}
        for text, versions in parsed.items()
    }
    for versions in selected.values():
        versions["python"] = versions["python"] and ".".join(str(versions["python"]).split(".")[:2])
    columns = ("torch", "python", "objective")
    return rows.assign(
        **{
            name: rows["versions"].map({t: versions[name] for t, versions in selected.items()})
            for name in columns
        }
    )


def _intersect_purposes(recorded: frozenset[str]) -> frozenset[str]:
    """What the seed drives in all of the cells: {"weights,order", "weights"} -> {"weights"}."""
    sets = [
        frozenset(purpose.strip() for purpose in text.split(",") if purpose.strip())
        for text in recorded
    ]
    return frozenset.intersection(*sets) if sets else frozenset()


def _sort_arms(arms: pd.DataFrame) -> pd.DataFrame:
    size = arms.groupby("model")["parameters"].transform("min")
    rank = arms["supervision"].map(get_args(Supervision).index)
    by = [
        "dataset",
        "size",
        "model",
        "rank",
        "labels",
        "beta",
        "settings",
        "iterations",
        "learning_rate",
        "name",
    ]
    keyed = arms.assign(size=size, rank=rank, name=arms.index)
    return arms.loc[keyed.sort_values(by, kind="stable", na_position="last").index]


def _expand_settings(arms: pd.DataFrame) -> dict[str, pd.Series]:
    values = arms["settings"].map(json.loads)
    names = dict.fromkeys(name for value in values for name in value)
    return {name: values.map(lambda value, key=name: value.get(key)) for name in names}


def _matches(value: object, wanted: Setting) -> bool:
    try:
        return float(str(value)) == float(str(wanted))
    except ValueError:
        return str(value).lower() == str(wanted).lower()


def _format_value(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


STATISTICS = ["n", "mean", "sd", "se", "low", "high"]


def estimate_arms(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Results table -> one row an arm and column: `count_cells`, then metric, n, mean, sd, se, low,
    high, missing.

    `missing` are the finished cells that hold no value in the column; failed and diverged cells are
    counted beside, and none of them is in n. Values keep the unit of the results table.
    """
    finished = frame.assign(arm=_arm_numbers(frame))[frame["status"] == "ok"]
    long = finished.melt(id_vars="arm", value_vars=list(columns), var_name="metric")
    arm_counts = (
        count_cells(frame)
        .reset_index()
        .merge(pd.DataFrame({"metric": list(columns)}, dtype=str), how="cross")
    )
    table = arm_counts.merge(
        estimate_means(long, ["arm", "metric"], "value"), on=["arm", "metric"], how="left"
    )
    n = table["n"].fillna(0).astype(int)
    return table.assign(n=n, missing=table["ok"] - n).drop(columns="arm")


def count_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Results table -> one row an arm: `ARM_COLUMNS`, full_length, parameters, and how many cells
    there are of each status.

    The index numbers the arms as the table meets them; the rows go from the smallest model to the
    largest.
    """
    statuses = {status: (frame["status"] == status).astype(int) for status in get_args(Status)}
    groups = frame.assign(**statuses, arm=_arm_numbers(frame)).groupby("arm")
    first = groups[[*ARM_COLUMNS, "full_length", "parameters"]].first()
    arm_rows = first.join(
        groups.agg(cells=("cell", "size"), **{status: (status, "sum") for status in statuses})
    )
    by = [
        "dataset",
        "size",
        "model",
        "supervision",
        "labels",
        "beta",
        "settings",
        "iterations",
        "learning_rate",
    ]
    with_size = arm_rows.assign(size=arm_rows.groupby("model")["parameters"].transform("min"))
    return with_size.sort_values(by, kind="stable", na_position="last", key=_sort_key).drop(
        columns="size"
    )


def _arm_numbers(frame: pd.DataFrame) -> pd.Series:
    return frame.groupby(list(ARM_COLUMNS), sort=False, dropna=False).ngroup()


def _sort_key(column: pd.Series) -> pd.Series:
    order = get_args(Supervision)
    return column.map(order.index) if column.name == "supervision" else column


def list_rows(table: pd.DataFrame) -> list[pd.Series]:
    """The rows of a table, one Series each."""
    return [row for _, row in table.iterrows()]


def scale_estimates(table: pd.DataFrame) -> pd.DataFrame:
    """What `estimate_arms` gives, each estimate in its metric's unit."""
    factors = table["metric"].map(
        {column: metric.factor for column, metric in METRIC_BY_COLUMN.items()}
    )
    return table.assign(**{name: table[name] * factors for name in STATISTICS[1:]})


def format_status_counts(arm: pd.Series) -> str:
    """How many cells there are of each status.

    >>> format_status_counts(pd.Series({"ok": 9, "failed": 1, "diverged": 0, "missing": 2}))
    '9 ok (2 not scored), 1 failed'
    """
    unscored = f" ({arm['missing']} not scored)" if arm.get("missing") else ""
    bad = [f"{arm[status]} {status}" for status in ("failed", "diverged") if arm.get(status)]
    return ", ".join([f"{arm.get('ok', 0)} ok{unscored}", *bad])
