"""The comparisons of arms in numbers: a plot and three tables a metric."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import pandas as pd

from analysis.comparison import verdict
from analysis.frames.metrics import BOUND_PARTS, METRIC_BY_COLUMN, Metric, add_unit
from analysis.rendering import numbers
from analysis.rendering.numbers import format_p_cell
from analysis.rendering.section import (
    BASELINE_HINT,
    DESCRIBED,
    Content,
    Plot,
    metric_address,
)
from analysis.rendering.table import Table
from analysis.report_data import ReportData, Section
from analysis.stats import multiplicity
from analysis.stats.power import MAX_SEEDS

GRID_P_HEADING = (
    "p in the grid's family"  # heading: the pair's p there, where a table is of another family
)
NEITHER_IS_BETTER = "Neither lower nor higher is better"
PARTS_ARE_TRADED = f"{NEITHER_IS_BETTER}: KL and reconstruction are traded for each other"
DESCRIPTION_ONLY = "Below 5 seeds an arm is described, never judged: description only, no verdict."


MAX_PAGES = 6  # of the plots of one metric


def build(data: ReportData) -> Content:
    """The differences of every family as plots, then its tables."""
    return Content(
        draw_plots=lambda: draw(data.comparisons, data.metrics),
        tables=list(chain.from_iterable(family.tables for family in data.families)),
    )


SECTION = Section("comparisons", "Comparisons in numbers", build)


def draw(
    comparisons: pd.DataFrame, metrics: Mapping[str, Metric] = METRIC_BY_COLUMN
) -> Iterator[Plot]:
    """The differences with their intervals: a plot for each metric, or several if they are many."""
    from analysis.plots import forest

    for column, of_metric in comparisons.groupby("metric", sort=False):
        metric, all_pages = metrics[str(column)], list(forest.split_pages(of_metric))
        pages = all_pages[:MAX_PAGES]
        title = f"Differences in {metric.title_with_set}"
        side, limits = forest.shared_side(of_metric), forest.axis_range(of_metric)
        for number, part in enumerate(pages, 1):
            name = f"differences-{metric_address(metric.column)}" + (
                f"-{number}" if number > 1 else ""
            )
            page = f", page {number} of {len(pages)}" if len(pages) > 1 else ""
            caption = (
                f"{title}{page}. {_describe_marks(of_metric, metric)}"
                f"{_describe_left_out(all_pages, metric)}"
            )
            yield Plot(name, title, caption, forest.draw_differences(part, metric, side, limits))


def _describe_left_out(pages: Sequence[pd.DataFrame], metric: Metric) -> str:
    """How many comparisons are not drawn, and where they are."""
    rest = sum(map(len, pages[MAX_PAGES:]))
    if not rest:
        return ""
    return (
        f" {rest:,} more comparisons are not drawn: they are in "
        f"comparisons-{metric_address(metric.column)}.csv; {BASELINE_HINT}."
    )


def _describe_marks(comparisons: pd.DataFrame, metric: Metric) -> str:
    """What the marks of a plot of differences are."""
    from analysis.plots.forest import full_difference_unit

    margin = comparisons["margin"].max() * metric.factor
    parts = [
        "The dot is the mean difference, hollow where none is claimed; the thick bar its 95 % "
        f"t-interval, unadjusted{_describe_adjustment(comparisons)}.",
        "Beside it the verdict on the first arm and n, the pairs of seeds or, with “and”, the "
        "seeds of each arm.",
    ]
    if margin > 0:
        unit = full_difference_unit(metric)
        parts.append(f"Grey: the margin of equivalence, ± {margin:g} {unit}".rstrip() + ".")
    if comparisons["flags"].map(lambda flags: "shortened" in flags).any():
        parts.append("Shortened arms are among them.")
    return " ".join(parts)


def _describe_adjustment(comparisons: pd.DataFrame) -> str:
    """What the second bar and the triangles are; empty where nothing was tested."""
    in_family = comparisons[comparisons["comparisons"] > 0]
    if in_family.empty:
        return ""
    first = in_family.iloc[0]
    return (
        f", the thin bar adjusted for {count_comparisons(int(first['comparisons']))} "
        f"({multiplicity.CORRECTION_NAMES[first['correction']]}, as is p), a triangle where a bar "
        "goes on"
    )


def build_tables(metric: Metric, title: str, comparisons: pd.DataFrame) -> tuple[Table, ...]:
    """The comparisons of one metric: the differences, effect sizes and power, and single runs."""
    return (
        _difference_table(metric, title, comparisons),
        _effect_table(metric, title, comparisons),
        _run_table(metric, title, comparisons),
    )


def _leading_columns(comparisons: pd.DataFrame) -> dict[str, Any]:
    """The first columns of every table of comparisons: the arms and their seeds."""
    return {
        "A": comparisons["a"],
        "B": comparisons["b"],
        "Seeds": [format_seeds_cell(row) for row in comparisons.to_dict("records")],
    }


def _difference_table(metric: Metric, title: str, comparisons: pd.DataFrame) -> Table:
    digits = _count_decimals(metric, comparisons)
    text = pd.DataFrame(
        {
            **_leading_columns(comparisons),
            **{
                add_unit(side.upper(), metric.unit): [
                    numbers.format_number(value * metric.factor, digits)
                    for value in comparisons[f"mean_{side}"]
                ]
                for side in ("a", "b")
            },
            f"{add_unit('A − B', metric.difference_unit)} [95 % CI]": format_interval_cells(
                metric, comparisons
            ),
            **verdict_columns(comparisons),
        }
    )
    return Table(
        f"comparisons-{metric_address(metric.column)}",
        f"Comparisons, {title}",
        family_caption(metric, comparisons),
        text,
        _csv_values(comparisons),
    )


def verdict_columns(comparisons: pd.DataFrame) -> dict[str, pd.Series | list[str]]:
    """The last columns of a table of comparisons: p, adjusted p and verdict."""
    return {
        "p": comparisons["p"].map(format_p_cell),
        "p adjusted": comparisons["p_adjusted"].map(format_p_cell),
        "Verdict": [
            format_verdict_cell(*each)
            for each in zip(comparisons["verdict"], comparisons["flags"], strict=True)
        ],
    }


def _effect_table(metric: Metric, title: str, comparisons: pd.DataFrame) -> Table:
    unit, digits = metric.difference_unit, _count_decimals(metric, comparisons)
    amounts = {
        name: [numbers.format_number(value * metric.factor, digits) for value in comparisons[name]]
        for name in ("detectable", "margin")
    }
    text = pd.DataFrame(
        {
            **_leading_columns(comparisons),
            "Hedges' g": comparisons["g"].map(_format_number),
            f"P(A {verdict.direction_words(metric)[0]})": comparisons["superiority"].map(
                _format_number
            ),
            "ρ": comparisons["correlation"].map(_format_number),
            "Exact p": comparisons["p_exact"].map(format_p_cell),
            "its floor": comparisons["p_floor"].map(format_p_cell),
            add_unit("Detectable", unit): amounts["detectable"],
            "Seeds for 80 %": comparisons["seeds_needed"].map(_format_seeds_needed),
            add_unit("Margin", unit): amounts["margin"],
            "p equivalence": comparisons["p_equivalence"].map(format_p_cell),
        }
    )
    about = _EFFECTS_CAPTION.format(word=verdict.direction_words(metric)[0])
    return Table(
        f"effects-{metric_address(metric.column)}",
        f"Effects and power, {title}",
        about,
        _drop_empty_columns(text),
        _csv_values(comparisons),
    )


def _run_table(metric: Metric, title: str, comparisons: pd.DataFrame) -> Table:
    text, digits = _leading_columns(comparisons), _count_decimals(metric, comparisons)
    for what in ("median", "worst"):
        for side in ("a", "b"):
            text[add_unit(f"{what.capitalize()} {side.upper()}", metric.unit)] = [
                numbers.format_number(value * metric.factor, digits)
                for value in comparisons[f"{what}_{side}"]
            ]
    for what in ("collapsed", "failed", "diverged"):
        counts = comparisons[[f"{what}_a", f"{what}_b"]].itertuples(index=False)
        text[what.capitalize()] = [f"{a} and {b}" if a or b else "–" for a, b in counts]
    text["p lost"] = comparisons["p_lost"].map(format_p_cell)
    return Table(
        f"runs-{metric_address(metric.column)}",
        f"Runs one by one, {title}",
        _RUNS_CAPTION,
        _drop_empty_columns(pd.DataFrame(text)),
        _csv_values(comparisons),
    )


def _drop_empty_columns(text: pd.DataFrame) -> pd.DataFrame:
    """A table of text without its columns of dashes."""
    return text.loc[:, [name for name in text if not text[name].eq("–").all()]]


_EFFECTS_CAPTION = (
    "Hedges' g is the difference in standard deviations within the arms, with its small-sample "
    "correction; P(A {word}) "
    "the chance that a run of A is {word} than a run of B; ρ the correlation of the pairs; the "
    "exact p that of the "
    "permutations, not adjusted, which cannot fall below its floor; detectable the smallest "
    "difference that these "
    "seeds show with 80 % power in this family; seeds for 80 % how many an arm needs if the "
    "difference that was seen "
    "is the true one, which is optimistic where it was picked. A dash: not defined here."
)
_RUNS_CAPTION = (
    "Of all scored seeds of A and of B. Collapsed: farther on the bad side of the median than "
    "8 × 1.4826 median "
    "absolute deviations. p lost: Fisher's exact test of as many runs collapsed, failed or "
    "diverged in both arms, not "
    "adjusted. A column that is not here: nothing to tell."
)


def family_caption(metric: Metric, comparisons: pd.DataFrame, scope: str = "") -> str:
    """What the numbers of a family are; `scope` names the comparisons of a family that is not the
    grid's.
    """
    meaning = f"{metric.meaning[:1].upper()}{metric.meaning[1:]}. " if metric.meaning else ""
    better = f"{meaning}{_describe_direction(metric)}"
    n_tested = int(comparisons["comparisons"].max())
    correction = multiplicity.CORRECTION_NAMES[comparisons["correction"].iloc[0]]
    family = f" p adjusted by {correction} over {count_comparisons(n_tested)}." if n_tested else ""
    if family and scope:
        family = f" p adjusted by {correction} over {count_comparisons(n_tested)}, those {scope}."
    description = f" {DESCRIPTION_ONLY}" if comparisons["verdict"].isin(DESCRIBED).any() else ""
    return (
        f"{better}; n is the number of seeds; the 95 % t-intervals are not "
        f"adjusted.{family}{description}"
    )


def _describe_direction(metric: Metric) -> str:
    if metric.name in BOUND_PARTS:
        return PARTS_ARE_TRADED
    if metric.better is None:
        return NEITHER_IS_BETTER
    return "Higher is better" if verdict.higher_is_better(metric) else "Lower is better"


def count_comparisons(count: int) -> str:
    """A number of comparisons in words: `1 comparison`, `1,024 comparisons`."""
    return "1 comparison" if count == 1 else f"{count:,} comparisons"


def _count_decimals(metric: Metric, comparisons: pd.DataFrame) -> int:
    """Decimals of values of the metric, by the means of the compared arms."""
    means = comparisons[["mean_a", "mean_b"]].to_numpy(dtype=float).ravel()
    return metric.count_decimals(means * metric.factor)


def _csv_values(comparisons: pd.DataFrame) -> pd.DataFrame:
    return comparisons.assign(flags=comparisons["flags"].map("; ".join))


def format_verdict_cell(word: str, flags: Sequence[str]) -> str:
    """A verdict in a cell of a table: the word and its flags."""
    return f"{word} ({', '.join(flags)})" if flags else word


def format_seeds_cell(row: dict[Any, Any]) -> str:
    """How the seeds of a comparison were matched, and how many there are."""
    if row["design"] == "paired":
        return f"paired, n = {row['n_pairs']:.0f}"
    return f"unpaired, n = {row['n_a']:.0f} and {row['n_b']:.0f}"


def format_interval_cells(metric: Metric, comparisons: pd.DataFrame) -> list[str]:
    """Differences in the metric's unit, each with its interval where it has one."""
    parts = (comparisons[["difference", "low", "high"]].astype(float) * metric.factor).to_numpy()
    digits = _count_decimals(metric, comparisons)
    return [
        numbers.format_number(middle, digits)
        if math.isnan(low)
        else f"{numbers.format_number(middle, digits)} {numbers.format_interval(low, high, digits)}"
        for middle, low, high in parts
    ]


def _format_number(value: float) -> str:
    return numbers.format_number(value, 2)


def _format_seeds_needed(value: float) -> str:
    return "–" if pd.isna(value) else f"> {MAX_SEEDS:,}" if value > MAX_SEEDS else f"{value:,.0f}"
