"""Which figures a table of results gives, each with a caption that says what is shown, every
interval's kind and n.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.figure import Figure

from analysis.frames.arm_names import arm_names
from analysis.frames.arm_table import count_cells
from analysis.frames.metrics import ACCURACY, BOUND_METRICS, GAIN, METRIC_BY_COLUMN, Metric
from analysis.frames.training_length import shortened_banner
from analysis.plots import style
from analysis.plots.accuracy import draw_accuracy, draw_by_label_budget
from analysis.plots.digit_counts import draw_digit_counts
from analysis.plots.forest import (
    axis_range,
    draw_differences,
    full_difference_unit,
    shared_side,
    split_pages,
)
from analysis.plots.learning_curves import draw_learning_curves
from analysis.plots.losses import draw_losses
from analysis.plots.rate_distortion import draw_rate_distortion, find_beta_series
from analysis.plots.sample_sheets import draw_sheets_by_beta
from analysis.rendering.section import BASELINE_HINT
from analysis.sections.label_budget import compute_seed_gains
from analysis.sections.samples import SHEET_CAPTIONS, SHEET_TITLES, SampleSheets, select_first_seeds
from analysis.sections.summary import EVALUATION_SET_NAMES
from analysis.stats.multiplicity import CORRECTION_NAMES

MAX_ARMS = 30  # of a figure, at most
MAX_PAGES = 6  # of the differences in one metric


@dataclass(frozen=True)
class Plot:
    """A figure, the name of its files, its title, the section of the page that it belongs to and
    what it shows.
    """

    name: str
    title: str
    section: str
    caption: str
    figure: Figure


def draw(
    rows: pd.DataFrame, points: pd.DataFrame, comparisons: pd.DataFrame | None = None
) -> Iterator[Plot]:
    """Rows and points, as in `Results`, what `compared` says -> the figures there are values for."""
    palette = style.colours(list(arm_names(count_cells(rows))))
    finished = rows[rows["status"] == "ok"]
    if comparisons is not None and len(comparisons):
        yield from _draw_differences(comparisons)
    labelled = finished[finished["supervision"] != "none"]
    counted = finished[finished["digit_counts"].notna()]
    yield from _limit_arms(_draw_bounds, finished[finished["nelbo"].notna()], palette)
    yield from _limit_arms(_draw_rate_distortion, find_beta_series(finished), palette)
    yield from _limit_arms(_draw_accuracy, labelled[labelled["accuracy"].notna()], palette)
    yield from _limit_arms(_draw_curves, points, palette)
    yield from _limit_arms(_draw_digits, counted, palette)


def _limit_arms(
    draw_section: Callable[[pd.DataFrame, style.Colours], Iterator[Plot]],
    rows: pd.DataFrame,
    palette: style.Colours,
) -> Iterator[Plot]:
    """Figures of the first arms that have values for them, and a sentence where there are more."""
    arms = style.in_order(rows, palette)
    if len(arms) <= MAX_ARMS:
        yield from draw_section(rows, palette)
        return
    note = f"The first {MAX_ARMS} of {len(arms):,} arms; the tables have all of them."
    for plot in draw_section(rows[rows["arm"].isin(arms[:MAX_ARMS])], palette):
        yield replace(plot, caption=f"{plot.caption} {note}")


def draw_sheets(rows: pd.DataFrame, pngs_by_kind: SampleSheets) -> Iterator[Plot]:
    """Rows, and PNGs by kind and cell -> of each kind the β of a model side by side, where there
    are several.
    """
    for kind, pictures in pngs_by_kind.items():
        all_rows = find_beta_series(select_first_seeds(rows, pictures))
        shown = all_rows[:MAX_ARMS]
        if len(shown):
            title = f"{SHEET_TITLES[kind]} over β"
            caption = (
                f"{title}{SHEET_CAPTIONS[kind] and ': '}{SHEET_CAPTIONS[kind]}. The first "
                f"finished seed of "
                f"each arm, n = 1."
            )
            if len(all_rows) > MAX_ARMS:
                caption = f"{caption} The first {MAX_ARMS} of {len(all_rows):,} arms."
            yield Plot(
                f"{kind}-over-beta",
                title,
                "beta",
                caption,
                draw_sheets_by_beta(shown, pictures, kind),
            )


def _draw_differences(comparisons: pd.DataFrame) -> Iterator[Plot]:
    for column, of_metric in comparisons.groupby("metric", sort=False):
        metric, all_pages = METRIC_BY_COLUMN[str(column)], list(split_pages(of_metric))
        drawn_pages = all_pages[:MAX_PAGES]
        title = f"Differences in {metric.title} on {EVALUATION_SET_NAMES[metric.evaluation]}"
        for number, part in enumerate(drawn_pages, 1):
            name = f"differences-{column}".replace("_", "-") + (f"-{number}" if number > 1 else "")
            page = f", page {number} of {len(drawn_pages)}" if len(drawn_pages) > 1 else ""
            caption = (
                f"{title}{page}. "
                f"{_describe_marks(of_metric, metric)}{_describe_left_out(all_pages, str(column))}"
            )
            figure = draw_differences(part, metric, shared_side(of_metric), axis_range(of_metric))
            yield Plot(name, title, "differences", caption, figure)


def _describe_left_out(pages: Sequence[pd.DataFrame], column: str) -> str:
    """How many comparisons are on no page, and what a reader can do."""
    rest = sum(map(len, pages[MAX_PAGES:]))
    if not rest:
        return ""
    return (
        f" {rest:,} more comparisons are not drawn: they are in "
        f"comparisons-{column.replace('_', '-')}.csv; {BASELINE_HINT}."
    )


def _describe_marks(comparisons: pd.DataFrame, metric: Metric) -> str:
    """What the marks of a difference plot are."""
    family = comparisons["comparisons"].max()
    margin = comparisons["margin"].max() * metric.factor
    return (
        "The dot is the mean difference, hollow where none is claimed; the thick bar its 95 % "
        "t-interval, unadjusted"
        + (f"{_describe_adjustment(comparisons)}. " if family > 0 else ". ")
        + "Beside it the verdict on the first arm and n, the pairs of seeds or, with “and”, the "
        "seeds of each arm."
        + (
            f" Grey: the margin of equivalence, ± {margin:g} {full_difference_unit(metric)}."
            if margin > 0
            else ""
        )
        + (
            " Shortened arms are among them."
            if comparisons["flags"].map(lambda flags: "shortened" in flags).any()
            else ""
        )
    )


def _describe_adjustment(comparisons: pd.DataFrame) -> str:
    tested = comparisons[comparisons["comparisons"] > 0].iloc[0]
    correction, comparison_count = (
        CORRECTION_NAMES[tested["correction"]],
        f"{tested['comparisons']:,.0f} comparison",
    )
    plural = "s" if tested["comparisons"] > 1 else ""
    return (
        f", the thin bar adjusted for {comparison_count}{plural} ({correction}, as is p), a "
        f"triangle where a "
        f"bar goes on"
    )


def _draw_bounds(scored: pd.DataFrame, palette: style.Colours) -> Iterator[Plot]:
    if len(scored):
        figure = draw_losses(scored, [METRIC_BY_COLUMN[name] for name in BOUND_METRICS], palette)
        caption = (
            f"NELBO = KL + reconstruction, on the test images, at β = 1. {_describe_points(scored)}"
        )
        yield Plot("losses", "NELBO, KL and reconstruction", "bounds", caption, figure)


def _draw_rate_distortion(scored: pd.DataFrame, palette: style.Colours) -> Iterator[Plot]:
    if len(scored):
        caption = (
            "What β buys and costs, on the test images: a line joins the means of one model in "
            "order of β; whatever "
            "lies on one grey line has one NELBO = KL + reconstruction, at β = 1. "
            f"{_describe_points(scored, 'large mark', 'both ways')}"
        )
        yield Plot(
            "rate-distortion",
            "Rate and distortion over β",
            "beta",
            caption,
            draw_rate_distortion(scored, palette),
        )


def _draw_accuracy(scored: pd.DataFrame, palette: style.Colours) -> Iterator[Plot]:
    if scored.empty:
        return
    caption = (
        f"Supervised against semi-supervised; a line joins the runs of one seed. "
        f"{_describe_points(scored)}"
    )
    yield Plot("accuracy", "Accuracy", "accuracy", caption, draw_accuracy(scored, palette))
    if scored["labels"].nunique() > 1:
        caption = f"Accuracy over the number of labelled images. {_describe_points(scored)}"
        figure = draw_by_label_budget(scored, ACCURACY, palette)
        yield Plot(
            "accuracy-over-labels", "Accuracy over label budgets", "accuracy", caption, figure
        )
        yield from _draw_gains(
            scored.assign(gain=compute_seed_gains(scored)).dropna(subset=["gain"]), palette
        )


def _draw_gains(gained: pd.DataFrame, palette: style.Colours) -> Iterator[Plot]:
    if gained["labels"].nunique() > 1:
        caption = (
            f"What unlabelled images add: semi-supervised less supervised, seed by seed. "
            f"{_describe_points(gained)}"
        )
        figure = draw_by_label_budget(gained, GAIN, palette)
        yield Plot("gain-over-labels", "Gain over label budgets", "accuracy", caption, figure)


def _draw_curves(points: pd.DataFrame, palette: style.Colours) -> Iterator[Plot]:
    captions = {
        "nelbo": "NELBO of the training batches, at β = 1",
        "accuracy": "Accuracy on the grey test images, only watched",
    }
    for metric in (METRIC_BY_COLUMN["nelbo"], ACCURACY):
        if points[metric.name].notna().any():
            figure = draw_learning_curves(points.dropna(subset=[metric.name]), metric, palette)
            caption = (
                f"{captions[metric.name]}. Lines are means over n seeds, bands their 95 % "
                f"t-intervals."
            )
            yield Plot(
                f"curves-{metric.name}",
                f"Learning curves, {metric.title}",
                "curves",
                caption,
                figure,
            )


def _draw_digits(counted: pd.DataFrame, palette: style.Colours) -> Iterator[Plot]:
    if len(counted):
        samples = counted["digit_counts"].map(sum).iloc[0]
        caption = (
            f"Digits that the judge sees in {samples:,} samples of the prior, "
            f"{_format_seed_counts(counted)}: "
            f"pale bars are means "
            f"over seeds, points single seeds, dashed is uniform. {_describe_intervals(counted)} "
            f"No claim "
            f"of balance is made here."
        )
        yield Plot(
            "digit-counts", "Digit counts", "samples", caption, draw_digit_counts(counted, palette)
        )


def _describe_intervals(rows: pd.DataFrame) -> str:
    """Of which kind the intervals of digit counts are."""
    seeds = rows.groupby("arm").size()
    kinds = {
        "over seeds the 95 % t-interval of the share": seeds.max() > 1,
        "where n = 1 the 95 % Wilson interval within that "
        "run, which tells nothing of other seeds": seeds.min() == 1,
    }
    shown = "; ".join(kind for kind, there in kinds.items() if there)
    return f"The thin bar is {shown}; what leaves the panel is cut off."


def _format_seed_counts(rows: pd.DataFrame) -> str:
    """How many seeds an arm has: `n = 3 an arm`."""
    seeds = rows.groupby("arm").size()
    return (
        f"n = {seeds.min()} an arm"
        if seeds.min() == seeds.max()
        else f"n = {seeds.min()} to {seeds.max()} an arm"
    )


def _describe_points(rows: pd.DataFrame, mark: str = "diamond", where: str = "") -> str:
    several = rows.groupby("arm").size().max() > 1
    interval = f"; the {mark} is the mean with its 95 % t-interval" if several else ": no interval"
    short = shortened_banner(count_cells(rows))
    text = (
        f"Each point is a seed, "
        f"{_format_seed_counts(rows)}{interval}{' ' + where if several and where else ''}."
    )
    return f"{text} {short}.".removesuffix(" .")
