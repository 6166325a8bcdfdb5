"""Simulate how often verdicts are wrong, how often intervals cover, and how large the power is.

    python benchmarks/calibration.py

Results tables with known truth go through grouping, pairing, test, correction and wording, and the
printed verdicts are counted. The results are written beside this file: calibration.csv, .md and
.png. It takes eight minutes.

Errors: how often any of several equal arms is called better or worse than one baseline. Coverage:
how often the printed 95 % interval holds the true difference. Power: how often a difference, in
standard deviations of the paired differences, is called better, beside the power function.
"""

import gc
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.comparison import verdict
from analysis.comparison.comparisons import compare_pairs
from analysis.frames.arm_table import summarize_arms
from analysis.frames.metrics import METRIC_BY_COLUMN
from analysis.stats import multiplicity, thresholds
from analysis.stats.power import t_test_power
from harness.experiment.grid import ComparisonSpec
from harness.storage.schema import DEFAULTS

HERE = Path(__file__).parent
TABLES = 4_000
ALONE = 20_000  # tables of one comparison, where the bounds are closest
SEEDS, COMPARISONS, CORRELATIONS = (3, 5, 10), (1, 3, 10), (0.0, 0.8)
EFFECTS = (0.0, 0.5, 1.0, 1.5, 2.0)
HOW = ComparisonSpec(metrics=["nelbo"])
SAME: dict[str, Any] = {
    **DEFAULTS,
    "git_commit": "one",
    "device": "one",
    "data_checksum": "one",
    "subset_checksum": "one",
    "model": "vae",
    "iterations": 1,
    "settings": "{}",
    "supervision": "none",
    "labels": 0,
    "label_draw": "none",
    "batch_size": 97,
    "learning_rate": 1e-3,
    "full_length": 1,
    "parameters": 1,
    "status": "ok",
    "seeded": "weights,order",
}


def main() -> None:
    """Simulate, write the table and the plot, and print the table."""
    start = perf_counter()
    rng = np.random.default_rng(20250801)
    alone(rng)
    gc.freeze()  # statsmodels collects garbage at every correction
    cases = [(n, m, rho, True, 0.0) for n, m, rho in product(SEEDS, COMPARISONS, CORRELATIONS)]
    cases += [(n, m, 0.0, False, 0.0) for n, m in product(SEEDS, COMPARISONS)]
    cases += [(n, 1, 0.8, True, effect) for n, effect in product((5, 10), EFFECTS[1:])]
    found = pd.DataFrame([simulated(rng, *case) for case in cases])
    found.to_csv(HERE / "calibration.csv", index=False, float_format="%.4f")
    (HERE / "calibration.md").write_text(markdown(found), encoding="utf-8")
    plotted(found).savefig(HERE / "calibration.png", dpi=150)
    print(markdown(found))
    print(f"{len(found)} cases in {perf_counter() - start:.0f} s")


def simulated(
    rng: np.random.Generator,
    n: int,
    comparisons: int,
    correlation: float,
    shared: bool,
    effect: float,
) -> dict[str, object]:
    """One case: shares of tables with a false and with a right verdict, coverage of intervals."""
    # in units of an arm's SD, from units of the differences' SD
    truth = effect * np.sqrt(2 * (1 - correlation))
    tables = ALONE if comparisons == 1 and effect == 0 else TABLES
    values = (
        drawn(rng, tables, n, comparisons, correlation)
        - truth * (np.arange(comparisons + 1) > 0)[:, None]
    )
    wrong, right, held = 0, 0, []
    for part in np.array_split(values, max(1, len(values) * comparisons // 10_000)):
        told = verdicts(part, shared)
        claimed = (
            told["verdict"].isin(["better", "worse"]).to_numpy().reshape(len(part), comparisons)
        )
        wrong += (
            int(claimed.any(axis=1).sum())
            if effect == 0
            else int((told["verdict"] == "worse").sum())
        )
        right += int((told["verdict"] == "better").sum())
        printed = told[told["low"].notna()]
        held.append((printed["low"] <= -truth) & (-truth <= printed["high"]))
    covered = np.concatenate(held)
    ncp, df = np.array([effect * np.sqrt(n)]), np.array([n - 1.0])
    return {
        "seeds": n,
        "comparisons": comparisons,
        "correlation": correlation,
        "shared": shared,
        "effect": effect,
        "tables": tables,
        "false_verdicts": wrong / tables,
        "coverage": float(covered.mean()) if len(covered) else np.nan,
        "power": right / tables if effect else np.nan,
        "power_function": float(t_test_power(ncp, df, np.array([thresholds.ALPHA]))[0])
        if effect
        else np.nan,
    }


def drawn(
    rng: np.random.Generator, tables: int, n: int, comparisons: int, correlation: float
) -> NDArray[np.float64]:
    """Normal results of a baseline and other arms: (tables, 1 + comparisons, seeds)."""
    common = rng.normal(size=(tables, 1, n))
    own = rng.normal(size=(tables, comparisons + 1, n))
    return np.asarray(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)


def verdicts(values: NDArray[np.float64], shared: bool) -> pd.DataFrame:
    """Verdicts of each arm against the first: values (tables, arms, seeds).

    All tables go through `compare_pairs` in one call, each as one data set. Its family would be all
    of them, so correction and verdict, the last steps, are repeated table by table.
    """
    told = compare_pairs(*results(values, shared), HOW)
    for at in np.array_split(np.arange(len(told)), len(values)):
        p = told.loc[at, "p"].to_numpy()
        if np.nanmin(p, initial=1.0) <= thresholds.ALPHA:  # no correction makes a p smaller
            told.loc[at, "p_adjusted"] = multiplicity.adjust_p_values(p, HOW.correction)
    rows = told.assign(obstacle="", seedless=False, enough=told["p"].notna()).to_dict("records")
    return told.assign(verdict=[verdict.outcome(row, METRIC_BY_COLUMN["nelbo"]) for row in rows])


def results(
    values: NDArray[np.float64], shared: bool
) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple[str, str]]]:
    """Results tables of these values: rows, `summarize_arms` of them, pairs to compare."""
    tables, arms, seeds = (axis.ravel() for axis in np.indices(values.shape))
    names = np.array([[f"{t} {k}" for k in range(values.shape[1])] for t in range(values.shape[0])])
    rows = pd.DataFrame({"arm": names[tables, arms], "nelbo": values.ravel()}).assign(**SAME)
    rows["dataset"], rows["beta"] = tables, arms + 1.0
    rows["seed"] = seeds if shared else seeds + arms * values.shape[2]
    return (
        rows,
        summarize_arms(rows),
        [(str(row[k]), str(row[0])) for row in names for k in range(1, values.shape[1])],
    )


def alone(rng: np.random.Generator) -> None:
    """Check that tables give the same verdicts one by one and all at once."""
    for shared in (True, False):
        values = (
            drawn(rng, 20, 6, 3, 0.5) * np.array([1.0, 1.0, 1.0, 3.0])[:, None]
            + np.arange(4)[:, None] * 0.4
        )
        many = verdicts(values, shared)["verdict"].tolist()
        apart = [
            compare_pairs(*results(one[None], shared), HOW)["verdict"].tolist() for one in values
        ]
        assert many == [word for words in apart for word in words]
        assert len(set(many)) > 1


def markdown(found: pd.DataFrame) -> str:
    """The tables of errors and of power, as Markdown."""
    errors, strong = found[found["effect"] == 0], found[found["effect"] > 0]
    lines = [
        f"# Calibration of the verdicts: {TABLES:,} simulated tables a case, {ALONE:,} of one "
        f"comparison",
        "",
        "A verdict is false where arms that are alike are told better or worse: the share of "
        "tables with any such",
        "verdict (family-wise). Below five seeds there is no verdict and, where seeds are not "
        "shared, no interval of",
        "the difference: Welch's is too wide there. Coverage is that of the printed 95 % interval.",
        "",
        "| seeds | comparisons | seeds shared | correlation | false verdicts | coverage |",
        "| - | - | - | - | - | - |",
    ]
    for row in errors.to_dict("records"):
        which = (
            f"| {row['seeds']} | {row['comparisons']} | {'yes' if row['shared'] else 'no'} | "
            f"{row['correlation']:g} "
        )
        lines.append(
            f"{which}| {row['false_verdicts']:.4f} | {row['coverage']:.4f} |".replace("nan", "–")
        )
    lines += ["", "Power: the difference is in standard deviations of the paired differences.", ""]
    lines += [
        "| seeds | difference | told better | power function | told worse |",
        "| - | - | - | - | - |",
    ]
    for row in strong.to_dict("records"):
        told = f"{row['power']:.4f} | {row['power_function']:.4f} | {row['false_verdicts']:.4f}"
        lines.append(f"| {row['seeds']} | {row['effect']:g} | {told} |")
    return "\n".join(lines) + "\n"


def plotted(found: pd.DataFrame) -> Figure:
    """Plot errors, coverage and power beside their nominal values."""
    mpl.use("Agg")
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    errors, strong = found[(found["effect"] == 0)], found[found["effect"] > 0]
    for (shared, correlation), case in errors.groupby(["shared", "correlation"], sort=False):
        label = f"seeds shared, ρ = {correlation:g}" if shared else "seeds not shared"
        at = (
            case["seeds"].map(list(SEEDS).index)
            + case["comparisons"].map(list(COMPARISONS).index) / 4
            - 0.25
        )
        left.plot(at, case["false_verdicts"], "o", label=label, alpha=0.8)
        middle.plot(at, case["coverage"], "o", label=label, alpha=0.8)
    for axes, text in (
        (left, "tables with a false verdict"),
        (middle, "coverage of the printed interval"),
    ):
        axes.set_xticks(range(len(SEEDS)), [f"n = {n}" for n in SEEDS])
        axes.set(title=text, xlabel="seeds; within each: 1, 3, 10 comparisons")
    left.axhline(0.055, color="0.5", linestyle="--", label="0.055: at most")
    left.set_ylim(-0.002, 0.065)
    middle.axhspan(0.94, 0.96, color="0.9", label="0.94 to 0.96")
    middle.set_ylim(0.93, 0.97)
    for n, case in strong.groupby("seeds"):
        line = right.plot(case["effect"], case["power_function"], label=f"power function, n = {n}")[
            0
        ]
        right.plot(
            case["effect"],
            case["power"],
            "o",
            color=line.get_color(),
            label=f"told better, n = {n}",
        )
    right.set(title="power", xlabel="difference (SD of the paired differences)", ylim=(0, 1.02))
    for axes in (left, middle, right):
        axes.legend(fontsize=7)
    return figure


if __name__ == "__main__":
    main()
