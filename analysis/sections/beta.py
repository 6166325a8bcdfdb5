"""What β does: each β against β = 1, and the trend over them.

The bound is scored at β = 1 whatever was trained, so it is best near β = 1 and worsens with the
distance: its trend is asked over β ≥ 1. The KL falls and the reconstruction loss rises with β
throughout: theirs is over all β.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.comparison import comparisons, grid_family, trend_verdict, verdict
from analysis.frames import arm_table
from analysis.frames.metrics import BOUND, BY_COLUMN, Metric
from analysis.rendering.table import Table
from analysis.sections.comparisons import GRID, caption, chance, interval, seeds, short
from analysis.sections.summary import SETS
from analysis.stats.differences import Floats
from analysis.stats.thresholds import FEW
from harness.experiment.grid import Compare
from harness.storage.schema import ARM

RISING = ("kl", "rec")  # what β moves one way throughout
EXTRA = ["group", "beta", "p_dunnett", *trend_verdict.TREND, "trend_betas"]


def trends(rows: pd.DataFrame, how: Compare) -> pd.DataFrame:
    """Results table with `arm` -> one row a group of arms that differ in β alone, metric and β
    other than 1.

    The columns of `compare.COLUMNS` (a is β, b is β = 1; the family are the β of the group), then
    group, beta, p_dunnett (where no seeds are shared), and the group's trend, as `ordered.trend`
    tells it, over trend_betas.
    """
    arms = arm_table.facts(rows)
    found = [
        _group(rows, arms, group, BY_COLUMN[column], how)
        for group in _groups(arms)
        for column in dict.fromkeys(how.metrics)
    ]
    held = [table for table in found if len(table)]
    return (
        pd.concat(held, ignore_index=True)
        if held
        else pd.DataFrame(columns=[*comparisons.COLUMNS, *EXTRA])
    )


def dunnett(arms: list[Floats], control: Floats) -> Floats:
    """Samples of independent seeds, and of the control -> p of each against it, corrected for one
    another: (arms,).

    Dunnett (1955), J. Am. Stat. Assoc. 50:1096.
    """
    from scipy.stats import dunnett as test

    # the seed of its integration
    return np.asarray(test(*arms, control=control, rng=np.random.default_rng(0)).pvalue)


def _groups(arms: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Arms that differ in β alone, in the order of β, where β = 1 and another are among them."""
    bounded = arms[arms["supervision"] != "supervised"]
    for _, group in bounded.groupby([column for column in ARM if column != "beta"], sort=False):
        if len(group) > 1 and (group["beta"] == 1).sum() == 1:
            yield group.sort_values("beta")


def _group(
    rows: pd.DataFrame, arms: pd.DataFrame, group: pd.DataFrame, metric: Metric, how: Compare
) -> pd.DataFrame:
    """One group and metric: its comparisons with β = 1, and its trend."""
    control = str(group.index[group["beta"] == 1][0])
    others = [str(name) for name in group.index if name != control]
    only = how.model_copy(update={"metrics": [metric.column]})
    table = comparisons.judged(rows, arms, [(name, control) for name in others], only)
    if table.empty:
        return table
    values = comparisons.values(rows, arms, metric)[arms.index.get_indexer(group.index)]
    against = group.index.get_indexer(pd.Index(table["a"]))
    table = table.assign(group=_name(group), beta=group["beta"].to_numpy()[against])
    table = table.assign(p_dunnett=_dunnett(table, values, against, group.index.get_loc(control)))
    return table.assign(**_trend(values, group["beta"].to_numpy(dtype=float), metric))


def _name(group: pd.DataFrame) -> str:
    first = group.iloc[0]
    kind = "" if first["supervision"] == "none" else f" {first['supervision']}"
    return f"{first['model']}{kind}, {first['dataset']}"


def _dunnett(table: pd.DataFrame, values: Floats, against: np.ndarray, control: object) -> Floats:
    """p of Dunnett's test where no seeds are shared and all arms have enough of them, else nan:
    (comparisons,).
    """
    samples = [row[np.isfinite(row)] for row in values]
    if (
        not (table["design"] == "welch").all()
        or min(map(len, samples)) < FEW
        or min(map(np.ptp, samples)) == 0
    ):
        return np.full(len(table), np.nan)
    return dunnett([samples[place] for place in against], samples[int(str(control))])


def _trend(values: Floats, betas: Floats, metric: Metric) -> dict[str, Any]:
    """The trend of one group and over which β it is asked: values (β, seeds), betas (β,) in order."""
    kept = np.isfinite(values).any(axis=1) & ((betas >= 1) | (metric.name in RISING))
    said = ", ".join(f"{beta:g}" for beta in betas[kept])
    return {**trend_verdict.trend(values[kept], betas[kept], metric, "β"), "trend_betas": said}


def asked(metrics: list[str]) -> list[str]:
    """The losses among the grid's metrics, and what they are the sum of: β trades one for the
    other.
    """
    return list(
        dict.fromkeys([*(name for name in metrics if BY_COLUMN[name].unit == "nats"), *BOUND])
    )


def tables(found: pd.DataFrame) -> list[Table]:
    """What `analysis.sections.beta.trends` gives -> a table a metric: one row a model and β.

    It may have the columns of `other_family.joined`, which are shown then.
    """
    groups = {str(column): part for column, part in found.groupby("metric", sort=False)}
    return [
        _table(BY_COLUMN[column], part.reset_index(drop=True)) for column, part in groups.items()
    ]


def sentences(found: pd.DataFrame) -> Iterator[str]:
    """The trend of each group of arms that differ in β alone, a sentence each."""
    for row in found.drop_duplicates(["group", "metric"]).to_dict("records"):
        metric = BY_COLUMN[row["metric"]]
        where = f"{metric.title} on {SETS[metric.evaluation]}"
        yield f"{row['group']}: {where}, β = {row['trend_betas']}: {row['trend_text']}"


def _table(metric: Metric, found: pd.DataFrame) -> Table:
    text = pd.DataFrame(
        {
            "Arms": found["group"],
            "β": found["beta"].map("{:g}".format),
            "Seeds": [seeds(row) for row in found.to_dict("records")],
            f"Difference from β = 1 ({verdict.unit(metric)}) [95 % CI]": interval(metric, found),
            "p": found["p"].map(chance),
            "p adjusted": found["p_adjusted"].map(chance),
            "p Dunnett": found["p_dunnett"].map(chance),
            GRID: grid_family.column(found),
            "Verdict": [
                short(*each) for each in zip(found["verdict"], found["flags"], strict=True)
            ],
        }
    )
    empty = [name for name in ("p Dunnett", GRID) if text[name].eq("–").all()]
    title = f"Each β against β = 1, {metric.title} on {SETS[metric.evaluation]}"
    about = caption(metric, found, "of one model's β")
    values = found.assign(flags=found["flags"].map("; ".join))
    return Table(
        f"beta-{metric.column}".replace("_", "-"), title, about, text.drop(columns=empty), values
    )
