"""Arms against each other: verdicts with their numbers, as a frame, and one from the shell.

    python analysis/compare.py RESULTS [RESULTS ...] --a model=gmvae --b model=vae --metric nelbo

A single question from the shell is a family of one: of many, ask the report, which corrects them together.
Differences are a - b in the unit of the results table: nats for losses, of which less is better, and fractions for
accuracies, of which more is. Below five seeds arms are described, not judged, and belong to no family.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis import family, folders, measured, notes, pairing, power, verdict
from analysis.arm import facts
from analysis.difference import Bools, Floats, half_width, spreadless
from analysis.metrics import BY_COLUMN, Metric
from harness import closed_pipe
from harness.errors import BadInput, StorageFailure, plain, unknown
from harness.grid import METRICS, Compare

WARNED = 5  # rows
Names = Sequence[tuple[str, str]]
# fmt: off
COLUMNS = [
    "metric", "evaluation", "a", "b", "design", "n_a", "n_b", "n_pairs", "mean_a", "mean_b", "difference", "low",
    "high", "low_adjusted", "high_adjusted", "p", "p_adjusted", "correction", "comparisons", "g", "superiority",
    "correlation", "p_exact", "p_floor", "detectable", "seeds_needed", "margin", "p_equivalence",
    "p_equivalence_adjusted", "verdict", "text", "flags",
]
# fmt: on


def compared(rows: pd.DataFrame, how: Compare) -> pd.DataFrame:
    """Results table with `arm` -> one row a comparison that `how` names, the columns `COLUMNS`.

    mean_a and mean_b are over the seeds that were compared: the common ones where they are paired. low and high are the
    95 % interval of the difference; low_adjusted and high_adjusted are at the level at which the family tested it
    (`family.levels`), so they leave out zero where p_adjusted says so. superiority is P(a better). detectable and
    seeds_needed are for 80 % power at alpha / comparisons. Below five seeds there is no p and, where seeds are not
    shared, no interval: at three, Welch's holds the truth in 96.3 % of cases.
    """
    arms = facts(rows)
    return judged(rows, arms, pairing.pairs(arms, how), how)


def judged(rows: pd.DataFrame, arms: pd.DataFrame, pairs: Names, how: Compare) -> pd.DataFrame:
    """The comparisons of these pairs of arms, each metric a family of its own."""
    twice = rows.duplicated(["arm", "seed"])
    if twice.any():
        arm, seed = rows.loc[twice, ["arm", "seed"]].iloc[0]
        raise BadInput(f"two rows of arm {arm} with seed {seed}; expected one a seed")
    found = [one_family(rows, arms, pairs, BY_COLUMN[column], how) for column in dict.fromkeys(how.metrics)]
    return pd.concat([table for table in found if len(table)] or found[:1], ignore_index=True)


def one_family(rows: pd.DataFrame, arms: pd.DataFrame, pairs: Names, metric: Metric, how: Compare) -> pd.DataFrame:
    """All comparisons of one metric, a column of `rows`; an arm that could not have it is in none of them."""
    scores = values(rows, arms, metric)
    scored = pd.Series(np.isfinite(scores).sum(axis=1), arms.index)
    fits = pairing.applies(arms, metric, scored).to_dict()
    pairs = [(a, b) for a, b in pairs if fits[a] and fits[b]] if scored.any() else []
    table = pd.DataFrame(pairs, columns=["a", "b"], dtype=str)
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    places = [arms.index.get_indexer(pd.Index(table[side])) for side in ("a", "b")]
    table = table.assign(n_a=scored[table["a"]].to_numpy(), n_b=scored[table["b"]].to_numpy())
    table = table.assign(
        n_pairs=measured.common(scores, places[0], places[1]), margin=how.margin.get(metric.column, np.nan)
    )
    table = table.join(_matched(table, arms, metric))
    margin = how.margin.get(metric.column)
    pairs_of = (table["design"] == "paired").to_numpy()
    table = table.join(measured.measured(scores, places[0], places[1], pairs_of, margin))
    flat = _flat(scores)
    table["seedless"] = table["enough"].astype(bool) & flat[places[0]] & flat[places[1]] & (table["difference"] != 0)
    return _worded(_powered(_corrected(_modest(table, metric), how)), metric)


def values(rows: pd.DataFrame, arms: pd.DataFrame, metric: Metric) -> Floats:
    """The metric of every finished cell: (arms, seeds), nan where there is none."""
    scored = rows.loc[rows["status"] == "ok", ["arm", "seed", metric.column]]
    found = scored[metric.column].to_numpy(dtype=float, na_value=np.nan)
    held = np.isfinite(found)
    places = arms.index.get_indexer(pd.Index(scored["arm"]))[held]
    return measured.matrix(places, scored["seed"].to_numpy(np.int64)[held], found[held], len(arms))


def _flat(values: Floats) -> Bools:
    """Arms of which every seed gave the same value: (arms, seeds) -> (arms,)."""
    high, low = (np.where(np.isfinite(values), values, end).T for end in (-np.inf, np.inf))
    high, low = high.max(axis=0, initial=-np.inf), low.min(axis=0, initial=np.inf)
    known = np.isfinite(high)
    return np.asarray(known) & spreadless(
        np.where(known, high, 0.0) - np.where(known, low, 0.0), *np.where(known, [high, low], 0.0)
    )


def _matched(table: pd.DataFrame, arms: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """How the seeds of each pair are matched, whether they are enough, what stands in the way, what to beware of."""
    by_name = arms.to_dict("index")
    found = []
    for a, b, n_a, n_b, common in table[["a", "b", "n_a", "n_b", "n_pairs"]].itertuples(index=False):
        arm, other, n = by_name[a], by_name[b], (n_a, n_b)
        design = pairing.design(arm, other, n, common)
        obstacle = pairing.obstacle(arm, other, metric)
        flags = tuple(pairing.flags(arm, other, n, common, design))
        found.append((design, verdict.enough(design, n, common) and not obstacle, obstacle, flags))
    return pd.DataFrame(found, columns=["design", "enough", "obstacle", "flags"])


def _modest(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The comparisons without the numbers that they cannot show, and P(a > b) turned into P(a better)."""
    tests = ["p", "p_exact", "p_equivalence"]
    table["same"] = table["p"].eq(1) & table["difference"].eq(0)
    table.loc[~table["enough"] | table["seedless"], tests] = np.nan
    apart = [name for name in measured.COLUMNS if name not in ("mean_a", "mean_b")]
    table.loc[table["obstacle"] != "", apart] = np.nan
    rough = (table["design"] == "welch") & ~table["enough"]  # Welch's degrees of freedom are no approximation there
    table.loc[rough, ["low", "high"]] = np.nan
    better = table["superiority"] if verdict.rises(metric) else 1 - table["superiority"]
    return table.assign(superiority=better)


def _corrected(table: pd.DataFrame, how: Compare) -> pd.DataFrame:
    """Corrected p-values of the family, which are those that have a p, and the intervals at its levels."""
    table = table.assign(correction=how.correction, comparisons=0, level=np.nan)
    table = table.assign(p_adjusted=np.nan, p_equivalence_adjusted=np.nan)
    family_of = table["p"].notna()
    table.loc[family_of, "comparisons"] = family_of.sum()
    for name in ("p", "p_equivalence"):
        known = table[name].notna()
        table.loc[known, f"{name}_adjusted"] = family.adjusted(table.loc[known, name].to_numpy(), how.correction)
    tested, corrected = (table.loc[family_of, name].to_numpy() for name in ("p", "p_adjusted"))
    table.loc[family_of, "level"] = family.levels(tested, corrected, how.correction)
    half = half_width(*(table[name].to_numpy() for name in ("se", "df", "level")))
    return table.assign(low_adjusted=table["difference"] - half, high_adjusted=table["difference"] + half)


def _powered(table: pd.DataFrame) -> pd.DataFrame:
    """What the seeds could show, and how many more would be needed: with one correction for all, Bonferroni's."""
    alpha = family.ALPHA / table["comparisons"].where(table["comparisons"] > 0, len(table)).to_numpy(dtype=float)
    se, df, spread, freedom = (table[name].to_numpy() for name in ("se", "df", "spread", "freedom"))
    needed = power.seeds_needed(table["difference"].to_numpy(), spread, freedom, alpha)
    return table.assign(detectable=power.detectable(se, df, alpha), seeds_needed=needed)


def _worded(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    table = table.assign(metric=metric.column, evaluation=metric.evaluation)
    table["verdict"] = [verdict.word(row, metric) for row in table.to_dict("records")]
    table["text"] = [verdict.text(row, metric) for row in table.to_dict("records")]
    return table[COLUMNS]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python analysis/compare.py",
        description="One verdict: arm A against arm B.",
        epilog="Arms are scored on the test images: if A was chosen because it is best there, its score is optimistic.",
    )
    p.add_argument(
        "results", metavar="RESULTS", nargs="+", help="folders that harness/bench.py wrote; several are pooled"
    )
    for arm in ("a", "b"):
        choice = "columns or settings of the arm, and results=NUMBER or results=PATH for one of several folders"
        p.add_argument(f"--{arm}", metavar="COLUMN=VALUE,...", required=True, help=choice)
    p.add_argument("--metric", default="nelbo", help="a column of the results table (default: nelbo)")
    p.add_argument("--margin", type=float, help="below this difference, in the metric's unit, arms count as equivalent")
    p.add_argument("--json", action="store_true", help="print all numbers as JSON")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, 2 for bad input or 1 for storage that fails, which are said in one line."""
    args = parser().parse_args(argv)
    try:
        row = asked(args.results, (args.a, args.b), args.metric, args.margin)
    except BadInput as error:
        print(f"error: {plain(str(error))}", file=sys.stderr)
        return 2
    except StorageFailure as failure:
        print(f"error: {plain(failure.told)}", file=sys.stderr)
        return 1
    print(json.dumps(row, ensure_ascii=False, indent=1) if args.json else told(row))
    return 0


def asked(paths: Sequence[str], choices: tuple[str, str], column: str, margin: float | None) -> dict[str, Any]:
    """One comparison: its columns `COLUMNS` as JSON knows them, None for nan."""
    if column not in METRICS:
        raise unknown("metric", column, METRICS)
    if margin is not None and not 0 < margin < float("inf"):
        raise BadInput(f"margin {margin:g}; expected a number above 0, in the unit of {column} in the results table")
    wanted = folders.parsed(choices[0]), folders.parsed(choices[1])
    rows, a, b = folders.two(folders.read(paths), wanted, column)
    warn(notes.broken_sums(rows))
    how = Compare(metrics=[column], margin={} if margin is None else {column: margin})
    found = judged(rows, facts(rows), [(a, b)], how)
    if found.empty:
        raise BadInput(f"{a!r} and {b!r} were not both scored for {column}; expected a metric that both have")
    return {name: _plain(value) for name, value in found.iloc[0].items()}  # type: ignore[misc]


def told(row: dict[str, Any]) -> str:
    """The verdict on a line, and what stands behind it."""
    metric = BY_COLUMN[row["metric"]]
    flags = f" – {', '.join(row['flags'])}" if row["flags"] else ""
    lines = [f"{metric.title}: {row['a']} against {row['b']}: {row['text']}{flags}"]
    lines += [f"  {name}: {value}" for name, value in verdict.numbers(row, metric).items()]
    return "\n".join(map(plain, lines))


def warn(told: Iterable[str]) -> None:
    """Print what makes a number doubtful, the first few of it."""
    found = list(told)
    for text in found[:WARNED]:
        print(f"beware: {plain(text)}", file=sys.stderr)
    if (rest := len(found) - WARNED) > 0:
        print(f"beware: and {rest:,} more such rows", file=sys.stderr)


def _plain(value: Any) -> Any:
    """A value as JSON knows it."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    closed_pipe.guard()
    sys.exit(main())
