"""Every seed as a point; a click on it shows its learning curve and its samples on the page."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.frames.metrics import Metric
from analysis.rendering.numbers import format_number
from analysis.rendering.section import Content, metric_address
from analysis.report_data import ReportData, Section
from harness.storage.layout import PICTURES, name_of

MAX_POINTS = 2_000  # on the page, in all strips together
CURVE_POINTS = 24  # of a learning curve on the page
MARGIN = 2.0  # % of a strip's width, at both ends
SAMPLES = PICTURES[0]


@dataclass(frozen=True)
class Point:
    """A seed's score: its place in % of the strip's width, and the score with its seed."""

    cell: str
    x: float
    label: str


@dataclass(frozen=True)
class Line:
    """An arm's points, and the place of their mean in % of the strip's width."""

    arm: str
    points: Sequence[Point]
    mean: float


@dataclass(frozen=True)
class Strip:
    """The scores of one metric, a line an arm; `low` and `high` are the ends of its axis."""

    address: str
    title: str
    heading: str
    scope: str
    low: str
    high: str
    lines: Sequence[Line]


def build(data: ReportData) -> Content:
    """A strip of each main metric, and what the page's script shows of a seed."""
    shown, left_out = choose_arms(data.finished, data.arm_names, data.main_metrics)
    strips = [make_strip(shown, data.arm_names, metric) for metric in data.main_metrics]
    notes = [f"{left_out:,} more arms are in the tables alone."] if left_out else []
    if len(shown) < data.finished["arm"].isin(shown["arm"]).sum():
        notes.append("Seeds without a point are in the tables alone.")
    values = {
        "strips": [strip for strip in strips if strip.lines],
        "note": " ".join(notes),
        "seeds": json.dumps(
            describe_seeds(shown, data.frames.points, find_pictures(data)), separators=(",", ":")
        ),
    }
    return Content(template="seeds.html", values=values if len(shown) else {})


SECTION = Section("seeds", "Every seed", build)


def choose_arms(
    finished: pd.DataFrame, arms: Sequence[str], metrics: Sequence[Metric]
) -> tuple[pd.DataFrame, int]:
    """The rows of as many of the first arms as `MAX_POINTS` allows, and how many arms are left out.

    There is one arm at least; of one with too many seeds there are the first. Rows without any of
    the metrics are not among them.
    """
    columns = [metric.column for metric in metrics]
    scored = finished[finished[columns].notna().any(axis=1)]
    counts = scored.groupby("arm").size().reindex(list(arms)).dropna()
    fitting = int((counts.cumsum() * len(columns) <= MAX_POINTS).sum())
    kept = list(counts.index)[: max(1, fitting)]
    shown = scored[scored["arm"].isin(kept)].sort_values("seed", kind="stable")
    first = shown.groupby("arm").head(max(1, MAX_POINTS // len(columns))).sort_index()
    return first, len(counts) - len(kept)


def make_strip(rows: pd.DataFrame, arms: Sequence[str], metric: Metric) -> Strip:
    """Finished rows -> the strip of one metric, its arms in the order of `arms`."""
    scored = rows.assign(score=rows[metric.column] * metric.factor).dropna(subset=["score"])
    low, high = scored["score"].min(), scored["score"].max()
    scale = (100 - 2 * MARGIN) / ((high - low) or 1.0)
    scored = scored.assign(x=(MARGIN + (scored["score"] - low) * scale).round(2))
    decimals = metric.count_decimals(scored["score"])
    by_arm = dict(list(scored.groupby("arm", sort=False)))
    lines = [_make_line(arm, by_arm[arm], decimals) for arm in arms if arm in by_arm]
    ends = [format_number(end, decimals) for end in (low, high)]
    address = metric_address(metric.column)
    return Strip(
        address, metric.title_with_set, metric.heading, metric.evaluation, ends[0], ends[1], lines
    )


def _make_line(arm: str, scored: pd.DataFrame, decimals: int) -> Line:
    ordered = scored.sort_values("seed", kind="stable")[["cell", "x", "seed", "score"]]
    points = [
        Point(cell, x, f"seed {seed}: {format_number(score, decimals)}")
        for cell, x, seed, score in ordered.itertuples(index=False)
    ]
    return Line(arm, points, round(float(scored["x"].mean()), 2))


def describe_seeds(
    rows: pd.DataFrame, points: pd.DataFrame, pictures: frozenset[str]
) -> dict[str, list[Any]]:
    """By cell: whether it has a picture of samples, what its curve is of, its steps, its values."""
    curves = {
        key: curve for key, curve in points.groupby(["arm", "seed"], sort=False) if len(curve) > 1
    }
    return {
        cell: [int(cell in pictures), *_thin_out(curves.get((arm, seed)))]
        for cell, arm, seed in rows[["cell", "arm", "seed"]].itertuples(index=False)
    }


def _thin_out(curve: pd.DataFrame | None) -> Iterator[Any]:
    """A learning curve -> its name, steps and values, `CURVE_POINTS` of them at most."""
    for name, title, factor in (
        ("nelbo", "NELBO (nats)", 1.0),
        ("accuracy", "Accuracy (%)", 100.0),
    ):
        if curve is not None and (known := curve.dropna(subset=[name])).shape[0] > 1:
            places = [
                round(place * (len(known) - 1) / (CURVE_POINTS - 1))
                for place in range(CURVE_POINTS)
            ]
            chosen = known.iloc[sorted(set(places))]
            yield from (title, chosen["step"].tolist())
            yield [float(f"{factor * value:.5g}") for value in chosen[name]]
            return


def find_pictures(data: ReportData) -> frozenset[str]:
    """The cells with a picture of samples."""
    return frozenset(map(name_of, data.store.keys(*SAMPLES)))
