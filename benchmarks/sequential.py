"""Simulate how often verdicts at looks, on growing arms and on tuned models are wrong.

    python -m benchmarks.sequential

As in `calibration.py`, results tables with known truth go through grouping, pairing and test; the
steps of Holm's procedure at a look are those of `analysis.comparison.looks`. The results are
written beside this file: sequential.csv and .md. Beside other work, with pauses, it took 77
minutes.

Three questions. Looks: how often is any of several equal arms called different from the first at
any look, and how many seeds does a real difference take? Growth: how often does the e-process err
when one looks after every seed? Tuning: how often are two identical methods called different by
their winners' seeds, and by studies?
"""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.comparison.comparisons import compare_pairs
from analysis.comparison.looks import Look
from analysis.frames.declared import LookPlan
from analysis.stats.sequential.anytime import anytime_p
from analysis.stats.thresholds import ALPHA
from benchmarks.calibration import HOW, results

HERE = Path(__file__).parent
LOOKS = (5, 10, 15, 20)
TABLES = 8_000
CHUNK = 1_000  # tables at a time
STREAMS = 40_000
COLLAPSE = (0.05, 30.0)  # share of seeds that collapse, and by how many standard deviations
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """One simulated situation; `effect` in standard deviations of the paired differences."""

    comparisons: int = 1
    correlation: float = 0.0
    shared: bool = True
    ratio: float = 1.0
    kind: str = "normal"
    effect: float = 0.0
    looks: tuple[int, ...] = LOOKS


def list_cases() -> list[Case]:
    """All situations that are simulated."""
    equal = [Case(m, rho) for m in (1, 3, 6) for rho in (0.0, 0.8)]
    equal += [Case(shared=False, ratio=ratio) for ratio in (1.0, 2.0, 5.0)]
    equal += [Case(m, shared=False) for m in (3, 6)]
    equal += [
        Case(kind=kind, shared=shared)
        for kind in ("lognormal", "collapsing")
        for shared in (True, False)
    ]
    equal += [Case(kind="skewed differences"), Case(kind="skewed differences", looks=(20,))]
    strong = [
        Case(effect=effect, looks=looks)
        for effect in (0.5, 1.0, 1.5, 3.0)
        for looks in (LOOKS, (10,), (20,))
    ]
    return equal + strong


def simulate(case: Case, rng: np.random.Generator) -> dict[str, object]:
    """The share of tables with a claim, and the mean number of seeds until a table is settled."""
    claims, seeds = 0, 0.0
    for _ in range(TABLES // CHUNK):
        claimed, taken = follow_tables(draw_tables(case, rng), case)
        claims += int(claimed.any(axis=1).sum())
        seeds += float(taken.sum())
    columns = {name: value for name, value in vars(case).items() if name != "looks"}
    return {
        "looks": " ".join(map(str, case.looks)),
        **columns,
        "claimed": claims / TABLES,
        "mean_seeds": seeds / TABLES,
    }


def draw_tables(case: Case, rng: np.random.Generator) -> Array:
    """Results of a baseline and other arms: (tables, 1 + comparisons, seeds)."""
    shape = (CHUNK, case.comparisons + 1, case.looks[-1])
    if case.kind == "skewed differences":
        skewed = rng.lognormal(sigma=0.75, size=shape)
        values = skewed - np.exp(0.75**2 / 2)
        values[:, 0] = 0.0
        return np.asarray(values + rng.normal(size=(CHUNK, 1, shape[2])))
    draw = rng.standard_normal
    common, own = draw((CHUNK, 1, shape[2])), draw(shape)
    values = np.sqrt(case.correlation) * common + np.sqrt(1 - case.correlation) * own
    if case.kind == "lognormal":
        values = np.exp(0.75 * values)
    if case.kind == "collapsing":
        values = values + COLLAPSE[1] * (rng.uniform(size=shape) < COLLAPSE[0])
    values[:, 1:] *= case.ratio
    values[:, 1:] -= case.effect * np.sqrt(2 * (1 - case.correlation))
    return np.asarray(values)


def follow_tables(values: Array, case: Case) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which comparisons are claimed at any look, and how many seeds each table took.

    values (tables, arms, seeds) -> (tables, comparisons), (tables,)
    """
    tables = len(values)
    plan = LookPlan(tuple(range(case.looks[-1])), case.looks, ("better",))
    claimed = np.zeros((tables, case.comparisons), bool)
    taken = np.full(tables, case.looks[-1])
    for number, size in enumerate(case.looks):
        told = compare_pairs(*results(values[:, :, :size], case.shared), HOW)
        p = told["p"].to_numpy().reshape(tables, case.comparisons)
        look = Look(plan, number)
        for table in np.flatnonzero(~claimed.all(axis=1) & (p.min(axis=1) <= look.find_bound())):
            is_open = ~claimed[table]
            scaled, _ = look.step_down(p[table, is_open], int(is_open.sum()))
            claimed[table, is_open] = scaled <= ALPHA
        settled = claimed.all(axis=1) & (taken == case.looks[-1])
        taken[settled] = np.minimum(taken[settled], size)
    return claimed, taken


def check_against_tables(rng: np.random.Generator) -> None:
    """Check that a table alone gives the claims that many at once give."""
    case = Case(comparisons=3, correlation=0.5)
    values = draw_tables(case, rng)[:8] + 0.4 * np.arange(4)[:, None]
    many, _ = follow_tables(values, case)
    plan = LookPlan(tuple(range(20)), LOOKS, ("better",))
    alone = [
        compare_pairs(*results(one[None], shared=True), HOW, plan)["verdict"].isin(
            ["better", "worse"]
        )
        for one in values
    ]
    assert many.tolist() == [each.tolist() for each in alone]
    assert 0 < many.mean() < 1


def simulate_growth(rng: np.random.Generator) -> list[dict[str, object]]:
    """How often p ≤ .05 when one looks after every seed: the e-process, and a fixed test."""
    from scipy.stats import t as student

    found: list[dict[str, object]] = []
    n = np.arange(1, 31, dtype=float)
    for kind in ("normal", "lognormal differences", "skewed differences"):
        x = rng.standard_normal((STREAMS, 30))
        if kind == "lognormal differences":
            x = np.exp(0.75 * x) - np.exp(0.75 * rng.standard_normal(x.shape))
        if kind == "skewed differences":
            x = np.exp(0.75 * x) - np.exp(0.75**2 / 2)
        sums, squares = x.cumsum(1), (x**2).cumsum(1)
        with np.errstate(all="ignore"):
            t = sums / np.sqrt(n * (squares - sums**2 / n) / (n - 1))
        fixed = np.asarray(2 * student.sf(np.abs(t), n - 1))
        for first, last in ((5, 10), (5, 20), (5, 30)):
            part = slice(first - 1, last)
            found.append(
                {
                    "differences": kind,
                    "looks": f"after each of {first} to {last} seeds",
                    "e_process": float((anytime_p(t[:, part], n[part]) <= ALPHA).any(1).mean()),
                    "fixed_t": float((fixed[:, part] <= ALPHA).any(1).mean()),
                }
            )
    return found


def simulate_tuning(rng: np.random.Generator) -> list[dict[str, object]]:
    """How often two identical methods, tuned by random search, are called different.

    The excess of a random point over the best is Gamma(2) times `scale` nats, the standard
    deviation of a training .3 nats, and each trial is one training.
    """
    found = []
    for trials in (8, 16, 64):
        for scale in (1.0, 3.0):
            rates: dict[str, object] = {"trials": trials, "scale": scale}
            for name, studies, seeds in (
                ("winner", 1, 10),
                ("5 studies", 5, 1),
                ("8 studies", 8, 1),
            ):
                excess = scale * rng.gamma(2, size=(2 * TABLES, studies, trials))
                scores = excess + 0.3 * rng.standard_normal(excess.shape)
                best = np.take_along_axis(excess, scores.argmin(-1)[..., None], -1)
                tests = best + 0.3 * rng.standard_normal((2 * TABLES, studies, seeds))
                values = tests.reshape(TABLES, 2, studies * seeds)
                told = compare_pairs(*results(values, shared=False), HOW)
                rates[name] = float((told["p"] <= ALPHA).mean())
            found.append(rates)
    return found


def describe(looks: pd.DataFrame, growth: pd.DataFrame, tuning: pd.DataFrame) -> str:
    """The Markdown of the results."""
    equal, strong = looks[looks["effect"] == 0], looks[looks["effect"] > 0]
    error = np.sqrt(0.05 * 0.95 / TABLES)
    lines = [
        "# Calibration of looks, of growing arms, and of tuned models",
        "",
        f"{TABLES:,} simulated tables a line; the simulation's standard error at .05 is",
        f"{error:.4f}. Made by `python -m benchmarks.sequential`.",
        "",
        "## Looks: how often any of several equal arms is called different at any look",
        "",
        "| looks | comparisons | seeds shared | correlation | SD ratio | values | false claims |",
        "| - | - | - | - | - | - | - |",
    ]
    lines += [
        f"| {row['looks']} | {row['comparisons']} | {'yes' if row['shared'] else 'no'} | "
        f"{row['correlation']:g} | {row['ratio']:g} | {row['kind']} | {row['claimed']:.4f} |"
        for row in equal.to_dict("records")
    ]
    lines += [
        "",
        f"Collapsing: {COLLAPSE[0]:.0%} of the seeds of every arm are {COLLAPSE[1]:g} standard",
        "deviations worse. Skewed differences: a lognormal (σ = .75) less its mean, which no test",
        "of means holds for at such numbers; a fixed t-test of 20 is in the line after it.",
        "",
        "## Looks: what a real difference takes",
        "",
        "The difference is in standard deviations of the paired differences; one comparison.",
        "",
        "| difference | looks | found | mean seeds |",
        "| - | - | - | - |",
    ]
    lines += [
        f"| {row['effect']:g} | {row['looks']} | {row['claimed']:.3f} | {row['mean_seeds']:.1f} |"
        for row in strong.to_dict("records")
    ]
    lines += [
        "",
        f"## Growth: looking after every seed, {STREAMS:,} streams without a difference",
        "",
        "| differences | looks | e-process | t-test as if n were fixed |",
        "| - | - | - | - |",
    ]
    lines += [
        f"| {row['differences']} | {row['looks']} | {row['e_process']:.4f} | {row['fixed_t']:.4f} |"
        for row in growth.to_dict("records")
    ]
    lines += [
        "",
        "## Tuning: two identical methods, each tuned by random search",
        "",
        "Excess of a random point over the best: Gamma(2) × scale nats; SD of a training .3 nats.",
        "The winner's ten seeds are a right test of two configurations, a wrong one of methods.",
        "With real cells: [tuning/resampling.md](tuning/resampling.md).",
        "",
        "| trials | scale (nats) | winner of one search, ten seeds | 5 studies | 8 studies |",
        "| - | - | - | - | - |",
    ]
    lines += [
        f"| {row['trials']} | {row['scale']:g} | {row['winner']:.3f} | {row['5 studies']:.3f} | "
        f"{row['8 studies']:.3f} |"
        for row in tuning.to_dict("records")
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulate, and write and print the tables."""
    start = perf_counter()
    rng = np.random.default_rng(20261125)
    check_against_tables(rng)
    looks = pd.DataFrame([simulate(case, rng) for case in list_cases()])
    growth, tuning = pd.DataFrame(simulate_growth(rng)), pd.DataFrame(simulate_tuning(rng))
    looks.to_csv(HERE / "sequential.csv", index=False, float_format="%.4f")
    text = describe(looks, growth, tuning)
    (HERE / "sequential.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"{perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
