"""What unlabelled images add at each label budget: semi-supervised less supervised, and the gains
against each other.

A gain that is significant at one budget and not at another is no difference between the two: the
gains are compared with each other, seed by seed.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.comparison import comparisons, grid_family, trend_verdict
from analysis.frames.arm_names import series_names
from analysis.frames.metrics import ACCURACY, GAIN, Metric
from analysis.plots.captions import describe_points, draw_first_arms
from analysis.rendering.section import Content, Plot
from analysis.rendering.table import Table
from analysis.report_data import ReportData, Section
from analysis.sections import image_agreement
from analysis.sections.comparisons import (
    GRID_P_HEADING,
    family_caption,
    format_interval_cells,
    format_seeds_cell,
    verdict_columns,
)
from harness.experiment.grid import ComparisonSpec
from harness.storage.schema import ARM_COLUMNS

if TYPE_CHECKING:
    from analysis.plots.style import Colours

GROUP_COLUMNS = [column for column in ARM_COLUMNS if column not in ("supervision", "labels")]
GAIN_COLUMNS = ["group", "labels", *trend_verdict.TREND_COLUMNS]
BUDGET_PAIR_COLUMNS = ["group", "labels_a", "labels_b"]


def build(data: ReportData) -> Content:
    """The gains, their trend, and the two classifiers of a seed image by image."""
    each, between = compute_gains(data.rows, data.arms, data.declaration.spec)
    each = grid_family.add_grid_p(each, data.comparisons)
    labelled = data.finished[data.finished["supervision"] != "none"]
    scored = labelled[labelled["accuracy"].notna()]
    return Content(
        sentences=list(build_sentences(each)),
        draw_plots=lambda: draw_first_arms(_draw_accuracy, scored, data.arm_names),
        tables=[
            *build_tables(each, between),
            *image_agreement.build_tables(data.store, data.rows, data.arms, data.comparisons),
        ],
    )


SECTION = Section("accuracy", "Supervised against semi-supervised", build)


def _draw_accuracy(scored: pd.DataFrame, palette: "Colours") -> Iterator[Plot]:
    """The accuracy of every run, and accuracies and gains over the label budgets."""
    from analysis.plots.accuracy import draw_accuracy

    if scored.empty:
        return
    caption = (
        f"Supervised against semi-supervised; a line joins the runs of one seed. "
        f"{describe_points(scored)}"
    )
    yield Plot("accuracy", "Accuracy", caption, draw_accuracy(scored, palette))
    if scored["labels"].nunique() > 1:
        yield from _draw_over_budgets(scored, palette)


def _draw_over_budgets(scored: pd.DataFrame, palette: "Colours") -> Iterator[Plot]:
    from analysis.plots.accuracy import draw_by_label_budget

    caption = f"Accuracy over the number of labelled images. {describe_points(scored)}"
    figure = draw_by_label_budget(scored, ACCURACY, palette)
    yield Plot("accuracy-over-labels", "Accuracy over label budgets", caption, figure)
    gained = scored.assign(gain=compute_seed_gains(scored)).dropna(subset=["gain"])
    if gained["labels"].nunique() > 1:
        caption = (
            f"What unlabelled images add: semi-supervised less supervised, seed by seed. "
            f"{describe_points(gained)}"
        )
        figure = draw_by_label_budget(gained, GAIN, palette)
        yield Plot("gain-over-labels", "Gain over label budgets", caption, figure)


def compute_gains(
    rows: pd.DataFrame, arms: pd.DataFrame, declared: ComparisonSpec
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results table with `arm` -> the gain at each label budget, and the gains of every two
    budgets, a row each.

    Both have the columns of `comparisons.COLUMNS`. A group is the arms that differ in supervision
    and labels alone. In the first table a is semi-supervised and b supervised, the budgets of a
    group are one family, and `GAIN_COLUMNS` follow, with the trend of the gain from
    `trend_verdict.estimate_trend`. In the second, a and b are the gains at labels_a and labels_b,
    and the pairs of budgets are one family. The gain of a seed is the difference of its two
    accuracies.
    """
    scored = rows.assign(gain=compute_seed_gains(rows))
    per_group = [
        (
            _compute_group_gains(scored, arms, group, declared),
            _compare_budgets(scored, arms, group, declared),
        )
        for group in _group_by_budget(arms)
    ]
    each, between = ([tables[side] for tables in per_group if len(tables[side])] for side in (0, 1))
    return _concat_tables(each, GAIN_COLUMNS), _concat_tables(between, BUDGET_PAIR_COLUMNS)


def compute_seed_gains(rows: pd.DataFrame) -> pd.Series:
    """Results table -> how far each semi-supervised cell is above the supervised one of its seed,
    fractions.
    """
    keys = [*GROUP_COLUMNS, "labels", "seed"]
    finished = rows[rows["status"] == "ok"]
    supervised = (
        finished[finished["supervision"] == "supervised"]
        .set_index(keys)["accuracy"]
        .rename("alone")
    )
    gain = (
        rows["accuracy"]
        - rows[keys].join(supervised[~supervised.index.duplicated()], on=keys)["alone"]
    )
    return gain.where(rows["supervision"] == "semi-supervised").astype(float)


def _group_by_budget(arms: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Names of arms by label budget, in its order, a column a supervision, where both are there at
    several budgets.
    """
    labelled = arms[arms["supervision"] != "none"].rename_axis("name").reset_index()
    series = series_names(labelled, "supervision", "labels")
    for _, group in labelled.groupby(series, sort=False):
        both = (
            group.pivot(index="labels", columns="supervision", values="name").sort_index().dropna()
        )
        if len(both.columns) == 2 and len(both) > 1:
            yield both


def _compute_group_gains(
    rows: pd.DataFrame, arms: pd.DataFrame, group: pd.DataFrame, declared: ComparisonSpec
) -> pd.DataFrame:
    """The gain at each budget, and its trend."""
    pairs = list(group[["semi-supervised", "supervised"]].itertuples(index=False, name=None))
    table = comparisons.compare_pairs(
        rows, arms, pairs, declared.model_copy(update={"metrics": [ACCURACY.column]})
    )
    if table.empty:
        return table
    values = comparisons.metric_values(rows, arms, GAIN)[
        arms.index.get_indexer(pd.Index(group["semi-supervised"]))
    ]
    kept = np.isfinite(values).any(axis=1)
    trend = trend_verdict.estimate_trend(
        values[kept], group.index.to_numpy(dtype=float)[kept], GAIN, "the label budget"
    )
    return table.assign(
        group=_name_group(arms, group), labels=_look_up_budgets(group, table["a"]), **trend
    )


def _compare_budgets(
    rows: pd.DataFrame, arms: pd.DataFrame, group: pd.DataFrame, declared: ComparisonSpec
) -> pd.DataFrame:
    """The gains of every two budgets, the larger budget first."""
    pairs = [(b, a) for a, b in combinations(group["semi-supervised"], 2)]
    table = comparisons.compare_family(rows, arms, pairs, GAIN, declared)
    budgets = {f"labels_{side}": _look_up_budgets(group, table[side]) for side in ("a", "b")}
    return table.assign(group=_name_group(arms, group), **budgets)


def _look_up_budgets(group: pd.DataFrame, names: pd.Series) -> pd.Series:
    """The label budget of each arm."""
    return names.map({name: labels for labels, name in group["semi-supervised"].items()})


def _name_group(arms: pd.DataFrame, group: pd.DataFrame) -> str:
    first = arms.loc[group["semi-supervised"].iloc[0]]
    return f"{first['model']}, {first['dataset']}"


def _concat_tables(tables: list[pd.DataFrame], extra: list[str]) -> pd.DataFrame:
    return (
        pd.concat(tables, ignore_index=True)
        if tables
        else pd.DataFrame(columns=[*comparisons.COLUMNS, *extra])
    )


_GAIN_CAPTION = "The gain is semi-supervised less supervised, on the same labelled images."


_BETWEEN_CAPTION = (
    "A gain less that at fewer labels, seed by seed: one significant and the other not "
    "would be no difference."
)


def build_tables(each: pd.DataFrame, between: pd.DataFrame) -> list[Table]:
    """What `compute_gains` gives -> a table of the gains and one of every two of them, where there
    are any.

    The columns of `grid_family.add_grid_p` are shown if `each` has them.
    """
    return [
        *([_build_gain_table(each)] if len(each) else []),
        *([_build_between_table(between)] if len(between) else []),
    ]


def build_sentences(each: pd.DataFrame) -> Iterator[str]:
    """The gain at each budget, then the trend over them, a sentence each."""
    for group, group_rows in each.groupby("group", sort=False):
        for row in group_rows.to_dict("records"):
            grid = (
                f"; in the grid's family: {grid_p}"
                if (grid_p := grid_family.format_grid_p(row))
                else ""
            )
            yield (
                f"{group}, {row['labels']:,} labels: semi-supervised against supervised: "
                f"{row['text']}{grid}"
            )
        budgets = ", ".join(f"{labels:,}" for labels in group_rows["labels"])
        yield f"{group}: gain in accuracy, {budgets} labels: {group_rows['trend_text'].iloc[0]}"


def reword_verdicts(verdicts: "pd.Series[str]") -> "pd.Series[str]":
    """Verdicts as words; of two gains one is larger or smaller.

    >>> list(reword_verdicts(pd.Series(["better", "worse", "too few seeds"])))
    ['larger', 'smaller', 'too few seeds']
    """
    return verdicts.replace({"better": "larger", "worse": "smaller"})


def _build_gain_table(gains: pd.DataFrame) -> Table:
    budgets = list(gains["labels"].map("{:,}".format))
    text = _format_table(
        gains, budgets, ("Semi-supervised (%)", "Supervised (%)", "Gain"), ACCURACY
    )
    text.insert(len(text.columns) - 1, GRID_P_HEADING, grid_family.format_grid_p_cells(gains))
    about = " ".join(
        [_GAIN_CAPTION, family_caption(ACCURACY, gains, "of one model's label budgets")]
    )
    shown = text.loc[
        :, [name for name in text if name != GRID_P_HEADING or not text[name].eq("–").all()]
    ]
    return Table("gains", "Gain in accuracy at each label budget", about, shown, _join_flags(gains))


def _build_between_table(comparisons: pd.DataFrame) -> Table:
    budgets = [
        f"{a:,} against {b:,}"
        for a, b in comparisons[["labels_a", "labels_b"]].itertuples(index=False)
    ]
    reworded = comparisons.assign(verdict=reword_verdicts(comparisons["verdict"]))
    text = _format_table(
        reworded, budgets, ("Gain (points)", "at fewer labels (points)", "Difference"), GAIN
    )
    about = family_caption(
        GAIN, comparisons, "of every two label budgets of one model"
    ).removeprefix("Higher is better; ")
    about = f"{_BETWEEN_CAPTION} {about}"
    return Table(
        "gains-between",
        "Gains at two label budgets against each other",
        about,
        text,
        _join_flags(comparisons),
    )


def _format_table(
    comparisons: pd.DataFrame,
    budgets: Sequence[str],
    headings: tuple[str, str, str],
    metric: Metric,
) -> pd.DataFrame:
    a, b, difference = headings
    means: Mapping[str, pd.Series] = {a: comparisons["mean_a"], b: comparisons["mean_b"]}
    return pd.DataFrame(
        {
            "Arms": comparisons["group"],
            "Labels": budgets,
            "Seeds": [format_seeds_cell(row) for row in comparisons.to_dict("records")],
            **{
                heading: (mean * metric.factor).map("{:.2f}".format)
                for heading, mean in means.items()
            },
            f"{difference} ({metric.difference_unit}) [95 % CI]": format_interval_cells(
                metric, comparisons
            ),
            **verdict_columns(comparisons),
        }
    )


def _join_flags(comparisons: pd.DataFrame) -> pd.DataFrame:
    return comparisons.assign(flags=comparisons["flags"].map("; ".join))
