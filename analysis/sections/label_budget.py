"""What unlabelled images add at each label budget: semi-supervised less supervised, and the gains
against each other.

A gain that is significant at one budget and not at another is no difference between the two: the
gains are compared with each other, seed by seed.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.comparison import comparisons, grid_family, trend_verdict
from analysis.comparison.verdict import unit
from analysis.frames import arm_table
from analysis.frames.metrics import ACCURACY, GAIN, Metric
from analysis.rendering.table import Table
from analysis.sections.comparisons import GRID, caption, chance, interval, seeds, short
from harness.experiment.grid import Compare
from harness.storage.schema import ARM

ALIKE = [column for column in ARM if column not in ("supervision", "labels")]
EACH = ["group", "labels", *trend_verdict.TREND]
BETWEEN = ["group", "labels_a", "labels_b"]


def gains(rows: pd.DataFrame, how: Compare) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results table with `arm` -> the gain at each label budget, and the gains of every two
    budgets, a row each.

    Both have the columns of `compare.COLUMNS`; a group are arms that differ in supervision and
    labels alone. In the first a is semi-supervised, b supervised, the family are the budgets of the
    group, and `EACH` follows: the trend of the gain, as `ordered.trend` tells it. In the second a
    and b stand for the gains at labels_a and labels_b, a seed's gain being the difference of its
    two accuracies, and the family are the pairs of budgets.
    """
    arms = arm_table.facts(rows)
    measured = rows.assign(gain=of_seeds(rows))
    found = [
        (_each(measured, arms, group, how), _between(measured, arms, group, how))
        for group in _groups(arms)
    ]
    each, between = ([tables[side] for tables in found if len(tables[side])] for side in (0, 1))
    return _joined(each, EACH), _joined(between, BETWEEN)


def of_seeds(rows: pd.DataFrame) -> pd.Series:
    """Results table -> how far each semi-supervised cell is above the supervised one of its seed,
    fractions.
    """
    keys = [*ALIKE, "labels", "seed"]
    finished = rows[rows["status"] == "ok"]
    alone = (
        finished[finished["supervision"] == "supervised"]
        .set_index(keys)["accuracy"]
        .rename("alone")
    )
    gain = rows["accuracy"] - rows[keys].join(alone[~alone.index.duplicated()], on=keys)["alone"]
    return gain.where(rows["supervision"] == "semi-supervised").astype(float)


def _groups(arms: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Names of arms by label budget, in its order, a column a supervision, where both are there at
    several budgets.
    """
    labelled = arms[arms["supervision"] != "none"].rename_axis("name").reset_index()
    for _, group in labelled.groupby(ALIKE, sort=False):
        both = (
            group.pivot(index="labels", columns="supervision", values="name").sort_index().dropna()
        )
        if len(both.columns) == 2 and len(both) > 1:
            yield both


def _each(
    rows: pd.DataFrame, arms: pd.DataFrame, group: pd.DataFrame, how: Compare
) -> pd.DataFrame:
    """The gain at each budget, and its trend."""
    pairs = list(group[["semi-supervised", "supervised"]].itertuples(index=False, name=None))
    table = comparisons.judged(
        rows, arms, pairs, how.model_copy(update={"metrics": [ACCURACY.column]})
    )
    if table.empty:
        return table
    values = comparisons.values(rows, arms, GAIN)[
        arms.index.get_indexer(pd.Index(group["semi-supervised"]))
    ]
    kept = np.isfinite(values).any(axis=1)
    trend = trend_verdict.trend(
        values[kept], group.index.to_numpy(dtype=float)[kept], GAIN, "the label budget"
    )
    return table.assign(group=_name(arms, group), labels=_budgets(group, table["a"]), **trend)


def _between(
    rows: pd.DataFrame, arms: pd.DataFrame, group: pd.DataFrame, how: Compare
) -> pd.DataFrame:
    """The gains of every two budgets, the larger budget first."""
    pairs = [(b, a) for a, b in combinations(group["semi-supervised"], 2)]
    table = comparisons.one_family(rows, arms, pairs, GAIN, how)
    budgets = {f"labels_{side}": _budgets(group, table[side]) for side in ("a", "b")}
    return table.assign(group=_name(arms, group), **budgets)


def _budgets(group: pd.DataFrame, names: pd.Series) -> pd.Series:
    """The label budget of each arm."""
    return names.map({name: labels for labels, name in group["semi-supervised"].items()})


def _name(arms: pd.DataFrame, group: pd.DataFrame) -> str:
    first = arms.loc[group["semi-supervised"].iloc[0]]
    return f"{first['model']}, {first['dataset']}"


def _joined(tables: list[pd.DataFrame], extra: list[str]) -> pd.DataFrame:
    return (
        pd.concat(tables, ignore_index=True)
        if tables
        else pd.DataFrame(columns=[*comparisons.COLUMNS, *extra])
    )


_EACH = "The gain is semi-supervised less supervised, on the same labelled images."


_BETWEEN = (
    "A gain less that at fewer labels, seed by seed: one significant and the other not "
    "would be no difference."
)


def tables(each: pd.DataFrame, between: pd.DataFrame) -> list[Table]:
    """What `gains` gives -> a table of the gains and one of every two of them, where there are any.

    `each` may have the columns of `other_family.joined`, which are shown then.
    """
    return [
        *([_gains(each)] if len(each) else []),
        *([_differences(between)] if len(between) else []),
    ]


def sentences(each: pd.DataFrame) -> Iterator[str]:
    """The gain at each budget, then the trend over them, a sentence each."""
    for group, found in each.groupby("group", sort=False):
        for row in found.to_dict("records"):
            grid = f"; in the grid's family: {said}" if (said := grid_family.said(row)) else ""
            yield (
                f"{group}, {row['labels']:,} labels: semi-supervised against supervised: "
                f"{row['text']}{grid}"
            )
        budgets = ", ".join(f"{labels:,}" for labels in found["labels"])
        yield f"{group}: gain in accuracy, {budgets} labels: {found['trend_text'].iloc[0]}"


def words(verdicts: "pd.Series[str]") -> "pd.Series[str]":
    """Verdicts as words; of two gains one is larger or smaller.

    >>> list(words(pd.Series(["better", "worse", "too few seeds"])))
    ['larger', 'smaller', 'too few seeds']
    """
    return verdicts.replace({"better": "larger", "worse": "smaller"})


def _gains(found: pd.DataFrame) -> Table:
    budgets = list(found["labels"].map("{:,}".format))
    text = _text(found, budgets, ("Semi-supervised (%)", "Supervised (%)", "Gain"), ACCURACY)
    text.insert(len(text.columns) - 1, GRID, grid_family.column(found))
    about = " ".join([_EACH, caption(ACCURACY, found, "of one model's label budgets")])
    shown = text.loc[:, [name for name in text if name != GRID or not text[name].eq("–").all()]]
    return Table("gains", "Gain in accuracy at each label budget", about, shown, _values(found))


def _differences(found: pd.DataFrame) -> Table:
    budgets = [
        f"{a:,} against {b:,}" for a, b in found[["labels_a", "labels_b"]].itertuples(index=False)
    ]
    told = found.assign(verdict=words(found["verdict"]))
    text = _text(told, budgets, ("Gain (points)", "at fewer labels (points)", "Difference"), GAIN)
    about = caption(GAIN, found, "of every two label budgets of one model").removeprefix(
        "Higher is better; "
    )
    about = f"{_BETWEEN} {about}"
    return Table(
        "gains-between",
        "Gains at two label budgets against each other",
        about,
        text,
        _values(found),
    )


def _text(
    found: pd.DataFrame, budgets: Sequence[str], headings: tuple[str, str, str], metric: Metric
) -> pd.DataFrame:
    a, b, difference = headings
    means: Mapping[str, pd.Series] = {a: found["mean_a"], b: found["mean_b"]}
    return pd.DataFrame(
        {
            "Arms": found["group"],
            "Labels": budgets,
            "Seeds": [seeds(row) for row in found.to_dict("records")],
            **{
                heading: (mean * metric.factor).map("{:.2f}".format)
                for heading, mean in means.items()
            },
            f"{difference} ({unit(metric)}) [95 % CI]": interval(metric, found),
            "p": found["p"].map(chance),
            "p adjusted": found["p_adjusted"].map(chance),
            "Verdict": [
                short(*each) for each in zip(found["verdict"], found["flags"], strict=True)
            ],
        }
    )


def _values(found: pd.DataFrame) -> pd.DataFrame:
    return found.assign(flags=found["flags"].map("; ".join))
