"""Draw the pictures of `docs/statistics.md`: `python docs/site/draw_pictures.py`.

Figures 1 and 2 are the ten seeds of `vae` and of `gmvae` in results/report, figure 4 is the
simulation in benchmarks/sequential.md; figure 3 is a scheme.
"""

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.plots.style import STYLE

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
BLUE, ORANGE, GREY, GREEN = "#3f51b5", "#ef6c00", "#78909c", "#2e7d32"


def read_bounds() -> pd.DataFrame:
    """The NELBO of each seed (rows) of `vae` and `gmvae` (columns), in nats."""
    rows = pd.read_parquet(ROOT / "results" / "report" / "results.parquet")
    return rows.pivot_table(index="seed", columns="model", values="nelbo")[["vae", "gmvae"]]


def draw_spread(bounds: pd.DataFrame) -> Figure:
    """Ten seeds of one arm, and the three bars that are written as ±."""
    values = bounds["vae"].to_numpy()
    n, mean, sd = len(values), values.mean(), values.std(ddof=1)
    se = sd / np.sqrt(n)
    bars = {
        "SD: how much single seeds differ": (sd, GREY),
        "SE: how sure the mean is": (se, BLUE),
        "95 % interval of the mean": (stats.t.ppf(0.975, n - 1) * se, ORANGE),
    }
    figure = Figure(figsize=(6.4, 2.7), layout="constrained")
    axes = figure.subplots()
    axes.plot(values, np.zeros(n), "o", color=BLUE, alpha=0.6, markersize=7)
    for place, (name, (half, colour)) in enumerate(bars.items(), 1):
        axes.errorbar(mean, -place, xerr=half, fmt="o", color=colour, capsize=5, lw=2.5)
        axes.text(values.max() + 0.12, -place, f"{name}\n± {half:.2f}", va="center", fontsize=9)
    axes.text(values.max() + 0.12, 0, "ten seeds of vae", va="center", fontsize=9)
    axes.set(yticks=[], ylim=(-3.7, 0.6), xlabel="test NELBO (nats)")
    axes.set_xlim(values.min() - 0.1, values.max() + 0.75)
    return figure


def draw_pairs(bounds: pd.DataFrame) -> Figure:
    """Seeds of two arms, joined where they are the same, and the interval of the difference."""
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    for _, pair in bounds.iterrows():
        left.plot([0, 1], pair, "-o", color=BLUE, alpha=0.5)
    left.set(xticks=[0, 1], xticklabels=["vae", "gmvae"], xlim=(-0.3, 1.3))
    left.set(ylabel="test NELBO (nats)", title="each line is a seed")
    difference = bounds["gmvae"] - bounds["vae"]
    n, mean = len(difference), difference.mean()
    half = stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)
    right.plot(np.zeros(n), difference, "o", color=BLUE, alpha=0.5)
    right.errorbar(0.25, mean, yerr=half, fmt="o", color=ORANGE, capsize=5, lw=2.5)
    right.axhline(0, color=GREY, ls="--")
    right.text(0.33, mean, f"{mean:.2f}\n[{mean - half:.2f}, {mean + half:.2f}]", va="center")
    right.set(xticks=[], xlim=(-0.2, 0.9), title="gmvae − vae")
    return figure


def draw_equivalence() -> Figure:
    """Four intervals of a difference beside a margin, and what each says."""
    cases = [
        ("better", -1.2, 0.35, BLUE),
        ("equivalent", 0.05, 0.3, GREEN),
        ("no difference shown", 0.2, 0.9, GREY),
        ("better, and equivalent", -0.28, 0.15, ORANGE),
    ]
    figure = Figure(figsize=(6.4, 2.6), layout="constrained")
    axes: Axes = figure.subplots()
    axes.axvspan(-0.5, 0.5, color=GREEN, alpha=0.12)
    axes.axvline(0, color=GREY, ls="--")
    for place, (name, middle, half, colour) in enumerate(cases):
        axes.errorbar(middle, -place, xerr=half, fmt="o", color=colour, capsize=5, lw=2.5)
        axes.text(1.35, -place, name, va="center", fontsize=9.5)
    axes.text(0, 0.45, "margin ± 0.5", ha="center", fontsize=9, color=GREEN)
    axes.set(yticks=[], ylim=(-3.6, 0.8), xlim=(-1.8, 2.6), xlabel="difference (nats)")
    axes.set_xticks([-1.5, -1, -0.5, 0, 0.5, 1])
    return figure


def draw_peeking() -> Figure:
    """How often equal arms are called different if one tests after every seed."""
    text = (ROOT / "benchmarks" / "sequential.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| normal \| after each of 5 to (\d+) seeds \| (\S+) \| (\S+) \|", text)
    last, e_process, t_test = np.array(rows, dtype=float).T
    figure = Figure(figsize=(6.4, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(last, t_test, "-o", color=ORANGE, label="t-test after every seed", lw=2)
    axes.plot(last, e_process, "-o", color=BLUE, label="e-process", lw=2)
    axes.axhline(0.05, color=GREY, ls="--")
    axes.text(10, 0.055, "5 %", color=GREY, fontsize=9)
    axes.set(xlabel="looked after every seed from 5 to …", ylabel="false claims", ylim=(0, 0.26))
    axes.set_xticks(last)
    axes.legend()
    return figure


def main() -> None:
    """Write the four pictures."""
    with mpl.rc_context(STYLE):
        bounds = read_bounds()
        for name, figure in {
            "spread": draw_spread(bounds),
            "pairs": draw_pairs(bounds),
            "equivalence": draw_equivalence(),
            "peeking": draw_peeking(),
        }.items():
            figure.savefig(PICTURES / f"{name}.png", dpi=160)


if __name__ == "__main__":
    main()
