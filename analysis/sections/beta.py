"""What β does: each β against β = 1, and the trend over them.

The bound is scored at β = 1 for every model, so it is best near β = 1 and worsens on both sides:
its trend is tested over β ≥ 1. The KL falls and the reconstruction loss rises with β throughout:
their trends are tested over all β above 0, as slopes are per doubling.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.comparison import comparisons, grid_family, trend_verdict
from analysis.frames.arm_names import series_names
from analysis.frames.metrics import BOUND_METRICS, METRIC_BY_COLUMN, Metric, describe_metrics
from analysis.plots.captions import MAX_ARMS, describe_points, draw_first_arms
from analysis.rendering.numbers import format_p_cell
from analysis.rendering.section import Content, Plot
from analysis.rendering.table import Table
from analysis.report_data import ReportData, Section
from analysis.sections.comparisons import (
    GRID_P_HEADING,
    family_caption,
    format_interval_cells,
    format_seeds_cell,
    format_verdict_cell,
)
from analysis.sections.samples import SHEET_CAPTIONS, SHEET_TITLES, select_first_seeds
from analysis.stats.differences import Floats
from analysis.stats.thresholds import MIN_SEEDS
from harness.experiment.grid import ComparisonSpec

if TYPE_CHECKING:
    from analysis.plots.style import Colours

MONOTONE_METRICS = ("kl", "rec")  # what β moves one way throughout
BETA_COLUMNS = ["group", "beta", "p_dunnett", *trend_verdict.TREND_COLUMNS, "trend_betas"]


def build(data: ReportData) -> Content:
    """The trend over β, each β against β = 1, and what both look like."""
    spec = data.declaration.spec
    losses = spec.model_copy(update={"metrics": select_metrics(spec.metrics, data.metrics)})
    comparisons = grid_family.add_grid_p(
        compare_betas(data.rows, data.arms, losses), data.comparisons
    )
    return Content(
        sentences=list(build_sentences(comparisons, data.metrics)),
        draw_plots=lambda: draw(data),
        tables=build_tables(comparisons, data.metrics),
    )


SECTION = Section("beta", "What β buys and costs", build)


def draw(data: ReportData) -> Iterator[Plot]:
    """Rate and distortion of models with several β, then the pictures of their samples by β."""
    from analysis.plots.rate_distortion import find_beta_series

    yield from draw_first_arms(
        _draw_rate_distortion, find_beta_series(data.finished), data.arm_names
    )
    yield from draw_sheets(data)


def _draw_rate_distortion(scored: pd.DataFrame, palette: "Colours") -> Iterator[Plot]:
    from analysis.plots.rate_distortion import draw_rate_distortion

    if len(scored):
        caption = (
            "What β buys and costs, on the test images: a line joins the means of one model in "
            "order of β; whatever lies on one grey line has one NELBO = KL + reconstruction, at "
            f"β = 1. {describe_points(scored, 'large mark', 'both ways')}"
        )
        figure = draw_rate_distortion(scored, palette)
        yield Plot("rate-distortion", "Rate and distortion over β", caption, figure)


def draw_sheets(data: ReportData) -> Iterator[Plot]:
    """The sample sheets of the β of a model side by side: a plot for each kind of sheet."""
    from analysis.plots.rate_distortion import find_beta_series
    from analysis.plots.sample_sheets import draw_sheets_by_beta

    for kind, pngs in data.sheets.items():
        series = find_beta_series(select_first_seeds(data.rows, pngs, data.arm_names))
        shown = series[:MAX_ARMS]
        if len(shown):
            title = f"{SHEET_TITLES[kind]} over β"
            about = f": {SHEET_CAPTIONS[kind]}" if SHEET_CAPTIONS[kind] else ""
            caption = f"{title}{about}. The first finished seed of each arm, n = 1."
            if len(series) > MAX_ARMS:
                caption = f"{caption} The first {MAX_ARMS} of {len(series):,} arms."
            figure = draw_sheets_by_beta(shown, pngs, kind)
            yield Plot(f"{kind}-over-beta", title, caption, figure)


def compare_betas(rows: pd.DataFrame, arms: pd.DataFrame, declared: ComparisonSpec) -> pd.DataFrame:
    """Results table with `arm`, its arms -> one row a group of arms that differ in β alone, metric
    and β other than 1.

    Columns: `comparisons.COLUMNS`, where a is the arm at β and b that at β = 1, and the β of a
    group are one family; then group, beta, p_dunnett (where no seeds are shared), and the trend of
    the group over the β in trend_betas, as `trend_verdict.estimate_trend` gives it.
    """
    metrics = describe_metrics(rows)
    tables = [
        _compare_group(rows, arms, group, metrics[column], declared)
        for group in _group_by_beta(arms)
        for column in dict.fromkeys(declared.metrics)
        if column in metrics
    ]
    nonempty = [table for table in tables if len(table)]
    return (
        pd.concat(nonempty, ignore_index=True)
        if nonempty
        else pd.DataFrame(columns=[*comparisons.COLUMNS, *BETA_COLUMNS])
    )


def dunnett_test(arms: list[Floats], control: Floats) -> Floats:
    """Samples of independent seeds, and of the control -> p of each against it, corrected for one
    another: (arms,).

    Dunnett (1955), J. Am. Stat. Assoc. 50:1096.
    """
    from scipy.stats import dunnett as test

    # the seed of its integration
    return np.asarray(test(*arms, control=control, rng=np.random.default_rng(0)).pvalue)


def _group_by_beta(arms: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Arms that differ in β alone, in the order of β, where β = 1 and another are among them."""
    bounded = arms[arms["supervision"] != "supervised"]
    for _, group in bounded.groupby(series_names(bounded, "beta"), sort=False):
        if len(group) > 1 and (group["beta"] == 1).sum() == 1:
            yield group.sort_values("beta")


def _compare_group(
    rows: pd.DataFrame,
    arms: pd.DataFrame,
    group: pd.DataFrame,
    metric: Metric,
    declared: ComparisonSpec,
) -> pd.DataFrame:
    """One group and metric: its comparisons with β = 1, and its trend."""
    control = str(group.index[group["beta"] == 1][0])
    others = [str(name) for name in group.index if name != control]
    one_metric = declared.model_copy(update={"metrics": [metric.column]})
    table = comparisons.compare_pairs(rows, arms, [(name, control) for name in others], one_metric)
    if table.empty:
        return table
    values = comparisons.metric_values(rows, arms, metric)[arms.index.get_indexer(group.index)]
    indices = group.index.get_indexer(pd.Index(table["a"]))
    table = table.assign(group=_name_group(group), beta=group["beta"].to_numpy()[indices])
    table = table.assign(
        p_dunnett=_compute_dunnett_p(table, values, indices, group.index.get_loc(control))
    )
    return table.assign(**_compute_trend(values, group["beta"].to_numpy(dtype=float), metric))


def _name_group(group: pd.DataFrame) -> str:
    first = group.iloc[0]
    kind = "" if first["supervision"] == "none" else f" {first['supervision']}"
    return f"{first['model']}{kind}, {first['dataset']}"


def _compute_dunnett_p(
    table: pd.DataFrame, values: Floats, indices: np.ndarray, control: object
) -> Floats:
    """p of Dunnett's test where no seeds are shared and all arms have enough of them, else nan:
    (comparisons,).
    """
    samples = [row[np.isfinite(row)] for row in values]
    if (
        not (table["design"] == "welch").all()
        or min(map(len, samples)) < MIN_SEEDS
        or min(map(np.ptp, samples)) == 0
    ):
        return np.full(len(table), np.nan)
    return dunnett_test([samples[place] for place in indices], samples[int(str(control))])


def _compute_trend(values: Floats, betas: Floats, metric: Metric) -> dict[str, Any]:
    """The trend of one group and the β that it is over; values (β, seeds), betas (β,) in order."""
    in_range = betas > 0 if metric.name in MONOTONE_METRICS else betas >= 1
    kept = np.isfinite(values).any(axis=1) & in_range
    betas_text = ", ".join(f"{beta:g}" for beta in betas[kept])
    return {
        **trend_verdict.estimate_trend(values[kept], betas[kept], metric, "β"),
        "trend_betas": betas_text,
    }


def select_metrics(names: list[str], metrics: Mapping[str, Metric] = METRIC_BY_COLUMN) -> list[str]:
    """The losses among the grid's metrics, and NELBO, KL and reconstruction, which β trades for
    each other.
    """
    losses = [name for name in names if name in metrics and metrics[name].unit == "nats"]
    return list(dict.fromkeys([*losses, *BOUND_METRICS]))


def build_tables(
    comparisons: pd.DataFrame, metrics: Mapping[str, Metric] = METRIC_BY_COLUMN
) -> list[Table]:
    """`compare_betas` -> a table for each metric, with a row for each model and β.

    The columns of `grid_family.add_grid_p` are shown if they are there.
    """
    groups = {str(column): part for column, part in comparisons.groupby("metric", sort=False)}
    return [
        _build_table(metrics[column], part.reset_index(drop=True))
        for column, part in groups.items()
    ]


def build_sentences(
    comparisons: pd.DataFrame, metrics: Mapping[str, Metric] = METRIC_BY_COLUMN
) -> Iterator[str]:
    """The trend of each group of arms that differ in β alone, a sentence each.

    One more says where a trend leaves β = 0 out.
    """
    for row in comparisons.drop_duplicates(["group", "metric"]).to_dict("records"):
        metric = metrics[row["metric"]]
        betas, text = row["trend_betas"], row["trend_text"]
        yield f"{row['group']}: {metric.title_with_set}, β = {betas}: {text}"
    without_kl = comparisons.loc[comparisons["beta"] == 0, "group"].drop_duplicates()
    for group in without_kl:
        yield f"{group}: trends leave β = 0 out, as their slopes are per doubling of β"


def _build_table(metric: Metric, comparisons: pd.DataFrame) -> Table:
    text = pd.DataFrame(
        {
            "Arms": comparisons["group"],
            "β": comparisons["beta"].map("{:g}".format),
            "Seeds": [format_seeds_cell(row) for row in comparisons.to_dict("records")],
            f"Difference from β = 1 ({metric.difference_unit}) [95 % CI]": format_interval_cells(
                metric, comparisons
            ),
            "p": comparisons["p"].map(format_p_cell),
            "p adjusted": comparisons["p_adjusted"].map(format_p_cell),
            "p Dunnett": comparisons["p_dunnett"].map(format_p_cell),
            GRID_P_HEADING: grid_family.format_grid_p_cells(comparisons),
            "Verdict": [
                format_verdict_cell(*each)
                for each in zip(comparisons["verdict"], comparisons["flags"], strict=True)
            ],
        }
    )
    empty = [name for name in ("p Dunnett", GRID_P_HEADING) if text[name].eq("–").all()]
    title = f"Each β against β = 1, {metric.title_with_set}"
    about = family_caption(metric, comparisons, "of one model's β")
    values = comparisons.assign(flags=comparisons["flags"].map("; ".join))
    return Table(
        f"beta-{metric.column}".replace("_", "-"), title, about, text.drop(columns=empty), values
    )
