"""Tables with one row per arm: cells by status, what the cells ran on, means of the metrics."""

import json
from collections.abc import Callable, Sequence
from typing import Any, get_args

import pandas as pd

from analysis.frames.metrics import METRIC_BY_COLUMN
from analysis.stats.estimates import estimate_means
from harness.errors import unknown_name_error
from harness.experiment.cell import Setting, Supervision
from harness.experiment.recipe import Recipe
from harness.storage.schema import ARM_COLUMNS, Status

Row = dict[str, Any]
STATISTICS = ["n", "mean", "sd", "se", "low", "high"]
VALUE_SET_COLUMNS = (
    "git_commit",
    "device",
    "data_checksum",
    "subset_checksum",
    "estimator",
    "data_kind",
    "source",
    "own_columns",
    "search_spec",
    "plugin_sources",
    "torch",
    "python",
    "objective",
)
SEED_HISTORY_COLUMNS = ("adaptive", "unrecorded")
SCALAR_COLUMNS = tuple(column for column in ARM_COLUMNS if column != "settings")
# columns of name-value pairs, each with what a name that an arm leaves out has as its value
DEFAULT_OF_PAIR: dict[str, Callable[[str], object]] = {
    "term_weights": lambda _: 1.0,
    "recipe": lambda name: getattr(Recipe(), name, None),
    "settings": lambda _: None,
}
_SORT_COLUMNS = [
    "dataset",
    "size",
    "model",
    "supervision",
    "labels",
    "beta",
    "settings",
    "iterations",
    "learning_rate",
    "name",
]


def count_cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table with `arm` -> one row per arm, the smallest model first.

    The index is the arm's name; the columns are `ARM_COLUMNS`, full_length, parameters, cells (how
    many the arm has) and how many of them have each status.
    """
    statuses = {status: rows["status"] == status for status in get_args(Status)}
    groups = rows.assign(**statuses).groupby("arm", sort=False)
    firsts = rows.drop_duplicates("arm").set_index("arm")
    arms = firsts[[*ARM_COLUMNS, "full_length"]].assign(parameters=groups["parameters"].first())
    arms = arms.assign(cells=groups.size()).join(groups[list(statuses)].sum())
    keys = arms.assign(
        size=arms.groupby("model")["parameters"].transform("min"),
        supervision=arms["supervision"].map(get_args(Supervision).index),
        name=arms.index,
    )
    return arms.loc[keys.sort_values(_SORT_COLUMNS, kind="stable", na_position="last").index]


def summarize_arms(rows: pd.DataFrame) -> pd.DataFrame:
    """Results table with `arm` -> its `count_cells`, and what the cells were run with.

    Added columns: `seeded`, the purposes that the seed drives in every finished cell, and for each
    of `VALUE_SET_COLUMNS` the distinct values of the finished cells; all are frozensets, empty
    where nothing is recorded. torch, python and objective are read from `versions`. Those of
    `SEED_HISTORY_COLUMNS` are added where `adaptive_seeds.mark_adaptive` has set them.
    """
    arms = count_cells(rows)
    finished = _add_versions(rows[rows["status"] == "ok"])
    for column in VALUE_SET_COLUMNS:
        arms[column] = collect_values(finished, column, arms.index)
    for column in SEED_HISTORY_COLUMNS:
        if column in rows:
            arms[column] = rows.groupby("arm")[column].any()
    arms["seeded"] = collect_values(finished, "seeded", arms.index).map(_intersect_purposes)
    return arms


def select_arms(arms: pd.DataFrame, wanted: dict[str, Setting]) -> pd.DataFrame:
    """The arms with these values of columns, settings and keys of recipes.

    Numbers are compared as numbers. Raises `InputError` for an unknown name or value.

    >>> arms = pd.DataFrame({"model": "vae", "beta": [1.0, 4.0], "settings": '{"z": 10}'})
    >>> arms = arms.reindex(columns=ARM_COLUMNS)
    >>> list(select_arms(arms, {"model": "vae", "beta": "4", "z": "10"}).index)
    [1]
    >>> arms["recipe"] = ["{}", '{"optimizer": "sgd"}']
    >>> list(select_arms(arms, {"optimizer": "adam"}).index)
    [0]
    """
    columns = {column: arms[column] for column in SCALAR_COLUMNS}
    for column in DEFAULT_OF_PAIR:
        columns |= _expand_pairs(arms, column)
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
    """Format a filter as on the command line: `model=gmvae,beta=4`."""
    return ",".join(f"{name}={_format_value(value)}" for name, value in wanted.items())


def collect_values(finished: pd.DataFrame, column: str, arms: pd.Index) -> pd.Series:
    """Distinct values of a column of finished cells by arm, each a frozenset (often shared)."""
    if column not in finished:
        return pd.Series([frozenset()] * len(arms), arms)
    pairs = finished[["arm", column]].dropna().drop_duplicates().set_index("arm")[column]
    several = pairs.index.duplicated(keep=False)
    sets = {value: frozenset([value]) for value in pairs.unique()}
    by_arm = {arm: sets[value] for arm, value in pairs[~several].items()}
    by_arm |= pairs[several].groupby(level=0).agg(frozenset).to_dict()
    return pd.Series([by_arm.get(arm, frozenset()) for arm in arms], arms)


def _add_versions(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the versions that can change numbers: torch, python (as 3.11), objective; or None."""
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
    """Purposes that the seed drives in all cells: {"weights,order", "weights"} -> {"weights"}."""
    sets = [
        frozenset(purpose.strip() for purpose in text.split(",") if purpose.strip())
        for text in recorded
    ]
    return frozenset.intersection(*sets) if sets else frozenset()


def _expand_pairs(arms: pd.DataFrame, column: str) -> dict[str, pd.Series]:
    """The values of each name in a column of pairs, by name."""
    values = arms[column].map(lambda text: json.loads(text) if isinstance(text, str) else {})
    names = dict.fromkeys(name for value in values for name in value)
    missing = {name: DEFAULT_OF_PAIR[column](name) for name in names}
    return {
        name: values.map(lambda value, key=name: value.get(key, missing[key])) for name in names
    }


def _matches(value: object, wanted: Setting) -> bool:
    try:
        return float(str(value)) == float(str(wanted))
    except ValueError:
        return str(value).lower() == str(wanted).lower()


def _format_value(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def estimate_arms(
    rows: pd.DataFrame, arm_counts: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """Results table and its `count_cells` -> a row per arm and column: arm, `count_cells`, metric,
    `STATISTICS`, missing.

    `missing` counts the finished cells that hold no value in the column. Failed and diverged cells
    are in their own columns; no cell of these three kinds is in n. Values keep the unit of the
    results table.
    """
    finished = rows[rows["status"] == "ok"]
    arms = arm_counts.reset_index().merge(
        pd.DataFrame({"metric": list(columns)}, dtype=str), how="cross"
    )
    estimates = [
        estimate_means(finished[["arm", column]].astype({column: float}), ["arm"], column)
        for column in columns
    ]
    found = pd.concat(estimates, keys=list(columns), names=["metric"]).reset_index("metric")
    table = arms.merge(found, on=["arm", "metric"], how="left")
    n = table["n"].fillna(0).astype(int)
    return table.assign(n=n, missing=table["ok"] - n)


def list_rows(table: pd.DataFrame) -> list[Row]:
    """The rows of a table, values by column name."""
    return table.to_dict("records")  # type: ignore[return-value]  # names are strings


def scale_estimates(table: pd.DataFrame) -> pd.DataFrame:
    """`estimate_arms` with each estimate in its metric's unit."""
    factors = table["metric"].map(
        {column: metric.factor for column, metric in METRIC_BY_COLUMN.items()}
    )
    factors = factors.fillna(1.0)  # of metrics that the rows describe
    return table.assign(**{name: table[name] * factors for name in STATISTICS[1:]})


def format_status_counts(arm: Row | pd.Series) -> str:
    """Format the number of cells of each status.

    >>> format_status_counts(pd.Series({"ok": 9, "failed": 1, "diverged": 0, "missing": 2}))
    '9 ok (2 not scored), 1 failed'
    """
    unscored = f" ({arm['missing']} not scored)" if arm.get("missing") else ""
    bad = [f"{arm[status]} {status}" for status in ("failed", "diverged") if arm.get(status)]
    return ", ".join([f"{arm.get('ok', 0)} ok{unscored}", *bad])
