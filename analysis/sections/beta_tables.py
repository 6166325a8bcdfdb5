"""What β does, for the page: each β against β = 1 as tables, the trends as sentences."""

from collections.abc import Iterator

import pandas as pd

from analysis.comparison import grid_family, verdict
from analysis.frames.metrics import BOUND, BY_COLUMN, Metric
from analysis.rendering.table import Table
from analysis.sections.comparisons import GRID, caption, chance, interval, seeds, short
from analysis.sections.summary import SETS


def asked(metrics: list[str]) -> list[str]:
    """The losses among the grid's metrics, and what they are the sum of: β trades one for the other."""
    return list(dict.fromkeys([*(name for name in metrics if BY_COLUMN[name].unit == "nats"), *BOUND]))


def tables(found: pd.DataFrame) -> list[Table]:
    """What `analysis.sections.beta.trends` gives -> a table a metric: one row a model and β.

    It may have the columns of `other_family.joined`, which are shown then.
    """
    groups = {str(column): part for column, part in found.groupby("metric", sort=False)}
    return [_table(BY_COLUMN[column], part.reset_index(drop=True)) for column, part in groups.items()]


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
            "Verdict": [short(*each) for each in zip(found["verdict"], found["flags"], strict=True)],
        }
    )
    empty = [name for name in ("p Dunnett", GRID) if text[name].eq("–").all()]
    title = f"Each β against β = 1, {metric.title} on {SETS[metric.evaluation]}"
    about = caption(metric, found, "of one model's β")
    values = found.assign(flags=found["flags"].map("; ".join))
    return Table(f"beta-{metric.column}".replace("_", "-"), title, about, text.drop(columns=empty), values)
