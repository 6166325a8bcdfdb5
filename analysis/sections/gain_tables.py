"""What unlabelled images add over label budgets, for the page: each gain, the gains against each other, the trend."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from analysis.comparison import grid_family
from analysis.comparison.verdict import unit
from analysis.frames.metrics import ACCURACY, GAIN, Metric
from analysis.rendering.table import Table
from analysis.sections.comparisons import GRID, caption, chance, interval, seeds, short

_EACH = "The gain is semi-supervised less supervised, on the same labelled images."
_BETWEEN = "A gain less that at fewer labels, seed by seed: one significant and the other not would be no difference."


def tables(each: pd.DataFrame, between: pd.DataFrame) -> list[Table]:
    """What `analysis.sections.label_budget.gains` gives -> a table of the gains and one of every two of them, where there are any.

    `each` may have the columns of `other_family.joined`, which are shown then.
    """
    return [*([_gains(each)] if len(each) else []), *([_differences(between)] if len(between) else [])]


def sentences(each: pd.DataFrame) -> Iterator[str]:
    """The gain at each budget, then the trend over them, a sentence each."""
    for group, found in each.groupby("group", sort=False):
        for row in found.to_dict("records"):
            grid = f"; in the grid's family: {said}" if (said := grid_family.said(row)) else ""
            yield f"{group}, {row['labels']:,} labels: semi-supervised against supervised: {row['text']}{grid}"
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
    budgets = [f"{a:,} against {b:,}" for a, b in found[["labels_a", "labels_b"]].itertuples(index=False)]
    told = found.assign(verdict=words(found["verdict"]))
    text = _text(told, budgets, ("Gain (points)", "at fewer labels (points)", "Difference"), GAIN)
    about = caption(GAIN, found, "of every two label budgets of one model").removeprefix("Higher is better; ")
    about = f"{_BETWEEN} {about}"
    return Table("gains-between", "Gains at two label budgets against each other", about, text, _values(found))


def _text(found: pd.DataFrame, budgets: Sequence[str], headings: tuple[str, str, str], metric: Metric) -> pd.DataFrame:
    a, b, difference = headings
    means: Mapping[str, pd.Series] = {a: found["mean_a"], b: found["mean_b"]}
    return pd.DataFrame(
        {
            "Arms": found["group"],
            "Labels": budgets,
            "Seeds": [seeds(row) for row in found.to_dict("records")],
            **{heading: (mean * metric.factor).map("{:.2f}".format) for heading, mean in means.items()},
            f"{difference} ({unit(metric)}) [95 % CI]": interval(metric, found),
            "p": found["p"].map(chance),
            "p adjusted": found["p_adjusted"].map(chance),
            "Verdict": [short(*each) for each in zip(found["verdict"], found["flags"], strict=True)],
        }
    )


def _values(found: pd.DataFrame) -> pd.DataFrame:
    return found.assign(flags=found["flags"].map("; ".join))
