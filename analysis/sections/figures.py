"""Which figures a table of results gives, each with a caption that says what is shown, every
interval's kind and n.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from matplotlib.figure import Figure

from analysis.frames.arm_names import labels
from analysis.frames.arm_table import counts
from analysis.frames.metrics import ACCURACY, BOUND, BY_COLUMN, GAIN, Metric
from analysis.frames.training_length import banner
from analysis.plots import style
from analysis.plots.accuracy import accuracy, over_labels
from analysis.plots.digit_counts import digit_counts
from analysis.plots.forest import differences, pages, shared, span, unit
from analysis.plots.learning_curves import learning_curves
from analysis.plots.losses import losses
from analysis.plots.rate_distortion import families, rate_distortion
from analysis.plots.sample_sheets import over_beta
from analysis.rendering.section import NARROWER
from analysis.sections.label_budget import of_seeds
from analysis.sections.samples import SHOWN, TITLES, Sheets, firsts
from analysis.sections.summary import SETS
from analysis.stats.multiplicity import CORRECTIONS

ARMS = 30  # of a figure, at most
PAGES = 6  # of the differences in one metric


@dataclass(frozen=True)
class Drawn:
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
) -> Iterator[Drawn]:
    """Rows and points, as in `Results`, what `compared` says -> the figures there are values for."""
    palette = style.colours(list(labels(counts(rows))))
    finished = rows[rows["status"] == "ok"]
    if comparisons is not None and len(comparisons):
        yield from _differences(comparisons)
    labelled = finished[finished["supervision"] != "none"]
    counted = finished[finished["digit_counts"].notna()]
    yield from _capped(_bounds, finished[finished["nelbo"].notna()], palette)
    yield from _capped(_rate_distortion, families(finished), palette)
    yield from _capped(_accuracy, labelled[labelled["accuracy"].notna()], palette)
    yield from _capped(_curves, points, palette)
    yield from _capped(_digits, counted, palette)


def _capped(
    drawing: Callable[[pd.DataFrame, style.Colours], Iterator[Drawn]],
    rows: pd.DataFrame,
    palette: style.Colours,
) -> Iterator[Drawn]:
    """Figures of the first arms that have values for them, and a sentence where there are more."""
    arms = style.in_order(rows, palette)
    if len(arms) <= ARMS:
        yield from drawing(rows, palette)
        return
    told = f"The first {ARMS} of {len(arms):,} arms; the tables have all of them."
    for drawn in drawing(rows[rows["arm"].isin(arms[:ARMS])], palette):
        yield replace(drawn, caption=f"{drawn.caption} {told}")


def sheets(rows: pd.DataFrame, found: Sheets) -> Iterator[Drawn]:
    """Rows, and PNGs by kind and cell -> of each kind the β of a model side by side, where there
    are several.
    """
    for kind, pictures in found.items():
        every = families(firsts(rows, pictures))
        shown = every[:ARMS]
        if len(shown):
            title = f"{TITLES[kind]} over β"
            caption = (
                f"{title}{SHOWN[kind] and ': '}{SHOWN[kind]}. The first finished seed of "
                f"each arm, n = 1."
            )
            if len(every) > ARMS:
                caption = f"{caption} The first {ARMS} of {len(every):,} arms."
            yield Drawn(
                f"{kind}-over-beta", title, "beta", caption, over_beta(shown, pictures, kind)
            )


def _differences(comparisons: pd.DataFrame) -> Iterator[Drawn]:
    for column, found in comparisons.groupby("metric", sort=False):
        metric, every = BY_COLUMN[str(column)], list(pages(found))
        parts = every[:PAGES]
        title = f"Differences in {metric.title} on {SETS[metric.evaluation]}"
        for number, part in enumerate(parts, 1):
            name = f"differences-{column}".replace("_", "-") + (f"-{number}" if number > 1 else "")
            page = f", page {number} of {len(parts)}" if len(parts) > 1 else ""
            caption = f"{title}{page}. {_compared(found, metric)}{_left_out(every, str(column))}"
            figure = differences(part, metric, shared(found), span(found))
            yield Drawn(name, title, "differences", caption, figure)


def _left_out(pages: Sequence[pd.DataFrame], column: str) -> str:
    """How many comparisons are on no page, and what a reader can do."""
    rest = sum(map(len, pages[PAGES:]))
    if not rest:
        return ""
    return (
        f" {rest:,} more comparisons are not drawn: they are in "
        f"comparisons-{column.replace('_', '-')}.csv; {NARROWER}."
    )


def _compared(found: pd.DataFrame, metric: Metric) -> str:
    """What the marks of a difference plot are."""
    family = found["comparisons"].max()
    margin = found["margin"].max() * metric.factor
    return (
        "The dot is the mean difference, hollow where none is claimed; the thick bar its 95 % "
        "t-interval, unadjusted"
        + (f"{_adjusted(found)}. " if family > 0 else ". ")
        + "Beside it the verdict on the first arm and n, the pairs of seeds or, with “and”, the "
        "seeds of each arm."
        + (f" Grey: the margin of equivalence, ± {margin:g} {unit(metric)}." if margin > 0 else "")
        + (
            " Shortened arms are among them."
            if found["flags"].map(lambda flags: "shortened" in flags).any()
            else ""
        )
    )


def _adjusted(found: pd.DataFrame) -> str:
    judged = found[found["comparisons"] > 0].iloc[0]
    correction, of = CORRECTIONS[judged["correction"]], f"{judged['comparisons']:,.0f} comparison"
    many = "s" if judged["comparisons"] > 1 else ""
    return (
        f", the thin bar adjusted for {of}{many} ({correction}, as is p), a triangle where a "
        f"bar goes on"
    )


def _bounds(scored: pd.DataFrame, palette: style.Colours) -> Iterator[Drawn]:
    if len(scored):
        figure = losses(scored, [BY_COLUMN[name] for name in BOUND], palette)
        caption = f"NELBO = KL + reconstruction, on the test images, at β = 1. {_points(scored)}"
        yield Drawn("losses", "NELBO, KL and reconstruction", "bounds", caption, figure)


def _rate_distortion(scored: pd.DataFrame, palette: style.Colours) -> Iterator[Drawn]:
    if len(scored):
        caption = (
            "What β buys and costs, on the test images: a line joins the means of one model in "
            "order of β; whatever "
            "lies on one grey line has one NELBO = KL + reconstruction, at β = 1. "
            f"{_points(scored, 'large mark', 'both ways')}"
        )
        yield Drawn(
            "rate-distortion",
            "Rate and distortion over β",
            "beta",
            caption,
            rate_distortion(scored, palette),
        )


def _accuracy(scored: pd.DataFrame, palette: style.Colours) -> Iterator[Drawn]:
    if scored.empty:
        return
    caption = (
        f"Supervised against semi-supervised; a line joins the runs of one seed. {_points(scored)}"
    )
    yield Drawn("accuracy", "Accuracy", "accuracy", caption, accuracy(scored, palette))
    if scored["labels"].nunique() > 1:
        caption = f"Accuracy over the number of labelled images. {_points(scored)}"
        figure = over_labels(scored, ACCURACY, palette)
        yield Drawn(
            "accuracy-over-labels", "Accuracy over label budgets", "accuracy", caption, figure
        )
        yield from _gains(scored.assign(gain=of_seeds(scored)).dropna(subset=["gain"]), palette)


def _gains(gained: pd.DataFrame, palette: style.Colours) -> Iterator[Drawn]:
    if gained["labels"].nunique() > 1:
        caption = (
            f"What unlabelled images add: semi-supervised less supervised, seed by seed. "
            f"{_points(gained)}"
        )
        figure = over_labels(gained, GAIN, palette)
        yield Drawn("gain-over-labels", "Gain over label budgets", "accuracy", caption, figure)


def _curves(points: pd.DataFrame, palette: style.Colours) -> Iterator[Drawn]:
    said = {
        "nelbo": "NELBO of the training batches, at β = 1",
        "accuracy": "Accuracy on the grey test images, only watched",
    }
    for metric in (BY_COLUMN["nelbo"], ACCURACY):
        if points[metric.name].notna().any():
            figure = learning_curves(points.dropna(subset=[metric.name]), metric, palette)
            caption = (
                f"{said[metric.name]}. Lines are means over n seeds, bands their 95 % t-intervals."
            )
            yield Drawn(
                f"curves-{metric.name}",
                f"Learning curves, {metric.title}",
                "curves",
                caption,
                figure,
            )


def _digits(counted: pd.DataFrame, palette: style.Colours) -> Iterator[Drawn]:
    if len(counted):
        samples = counted["digit_counts"].map(sum).iloc[0]
        caption = (
            f"Digits that the judge sees in {samples:,} samples of the prior, {_runs(counted)}: "
            f"pale bars are means "
            f"over seeds, points single seeds, dashed is uniform. {_counted(counted)} No claim "
            f"of balance is made here."
        )
        yield Drawn(
            "digit-counts", "Digit counts", "samples", caption, digit_counts(counted, palette)
        )


def _counted(rows: pd.DataFrame) -> str:
    """Of which kind the intervals of digit counts are."""
    seeds = rows.groupby("arm").size()
    kinds = {
        "over seeds the 95 % t-interval of the share": seeds.max() > 1,
        "where n = 1 the 95 % Wilson interval within that "
        "run, which tells nothing of other seeds": seeds.min() == 1,
    }
    shown = "; ".join(kind for kind, there in kinds.items() if there)
    return f"The thin bar is {shown}; what leaves the panel is cut off."


def _runs(rows: pd.DataFrame) -> str:
    """How many seeds an arm has: `n = 3 an arm`."""
    seeds = rows.groupby("arm").size()
    return (
        f"n = {seeds.min()} an arm"
        if seeds.min() == seeds.max()
        else f"n = {seeds.min()} to {seeds.max()} an arm"
    )


def _points(rows: pd.DataFrame, mark: str = "diamond", where: str = "") -> str:
    several = rows.groupby("arm").size().max() > 1
    interval = f"; the {mark} is the mean with its 95 % t-interval" if several else ": no interval"
    short = banner(counts(rows))
    said = (
        f"Each point is a seed, {_runs(rows)}{interval}{' ' + where if several and where else ''}."
    )
    return f"{said} {short}.".removesuffix(" .")
