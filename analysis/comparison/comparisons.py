"""Arms against each other: verdicts with their numbers, one row a pair and metric."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.comparison import batch, pairing, verdict
from analysis.comparison import flags as pair_flags
from analysis.frames.arm_table import facts
from analysis.frames.metrics import BY_COLUMN, Metric
from analysis.stats import multiplicity, outliers, power, thresholds
from analysis.stats.differences import Bools, Floats, half_width, spreadless
from harness.errors import BadInput
from harness.experiment.grid import Compare

Names = Sequence[tuple[str, str]]

# fmt: off
COLUMNS = [
    "metric", "evaluation", "a", "b", "design", "n_a", "n_b", "n_pairs", "mean_a", "mean_b", "difference", "low",
    "high", "low_adjusted", "high_adjusted", "p", "p_adjusted", "correction", "comparisons", "g", "superiority",
    "correlation", "p_exact", "p_floor", "detectable", "seeds_needed", "margin", "p_equivalence",
    "p_equivalence_adjusted", "median_a", "median_b", "worst_a", "worst_b", "worst_seed_a", "worst_seed_b",
    "collapsed_a", "collapsed_b", "failed_a", "failed_b", "diverged_a", "diverged_b", "p_lost", "verdict", "text",
    "flags",
]
# fmt: on


def compared(rows: pd.DataFrame, how: Compare) -> pd.DataFrame:
    """Results table with `arm` -> one row a comparison that `how` names, the columns `COLUMNS`.

    mean_a and mean_b are over the seeds that were compared: the common ones where they are paired.
    low and high are the 95 % interval of the difference; low_adjusted and high_adjusted are at the
    level at which the family tested it (`family.levels`), so they leave out zero where p_adjusted
    says so. superiority is P(a better), or P(a lower) of a part of the bound. p_exact is that of
    the permutations, never adjusted; no verdict rests on it, and where it and p lie on two sides of
    .05 that is flagged. detectable and seeds_needed are for 80 % power at alpha / comparisons.
    Below five seeds there is no p and, where seeds are not shared, no interval: at three, Welch's
    holds the truth in 96.3 % of cases. A difference that does not vary has no interval, and p is
    that of the signs.

    median, worst (with its seed) and collapsed (far on the bad side, `stats.outliers`) are of all
    scored seeds of an arm. p_lost compares how many runs collapsed, failed or diverged, where any
    did.
    """
    arms = facts(rows)
    return judged(rows, arms, pairing.pairs(arms, how), how)


def judged(rows: pd.DataFrame, arms: pd.DataFrame, pairs: Names, how: Compare) -> pd.DataFrame:
    """The comparisons of these pairs of arms, each metric a family of its own."""
    twice = rows.duplicated(["arm", "seed"])
    if twice.any():
        arm, seed = rows.loc[twice, ["arm", "seed"]].iloc[0]
        raise BadInput(f"two rows of arm {arm} with seed {seed}; expected one a seed")
    found = [
        one_family(rows, arms, pairs, BY_COLUMN[column], how)
        for column in dict.fromkeys(how.metrics)
    ]
    return pd.concat([table for table in found if len(table)] or found[:1], ignore_index=True)


def one_family(
    rows: pd.DataFrame, arms: pd.DataFrame, pairs: Names, metric: Metric, how: Compare
) -> pd.DataFrame:
    """All comparisons of one metric, a column of `rows`; an arm that could not have it is in none
    of them.
    """
    seeds, scores = _scores(rows, arms, metric, metric.column)
    scored = pd.Series(np.isfinite(scores).sum(axis=1), arms.index)
    fits, holds = (
        pairing.applies(arms, metric, scored).to_dict(),
        pairing.holds(arms, metric).to_dict(),
    )
    fitting = (
        pair
        for pair in pairs
        if fits[pair[0]] and fits[pair[1]] and (holds[pair[0]] or holds[pair[1]])
    )
    table = pd.DataFrame(list(fitting) if scored.any() else [], columns=["a", "b"], dtype=str)
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    places = _places(table, arms)
    table = table.assign(n_a=scored[table["a"]].to_numpy(), n_b=scored[table["b"]].to_numpy())
    table = table.assign(
        n_pairs=batch.common(scores, *places), margin=how.margin.get(metric.column, np.nan)
    )
    table = table.join(_runs(table, arms, scores, seeds, metric))
    far = {
        int(arm): list(seeds[held]) for arm, held in enumerate(outliers.far(scores)) if held.any()
    }
    table = table.join(_matched(table, arms, metric, _crossing(rows, arms, metric, places), far))
    margin = how.margin.get(metric.column)
    pairs_of = (table["design"] == "paired").to_numpy()
    table = table.join(batch.measured(scores, *places, pairs_of, margin))
    flat = _flat(scores)
    table["seedless"] = (
        table["enough"].astype(bool)
        & flat[places[0]]
        & flat[places[1]]
        & (table["difference"] != 0)
    )
    return _worded(_powered(_corrected(_doubted(_modest(table, metric)), how)), metric)


def values(rows: pd.DataFrame, arms: pd.DataFrame, metric: Metric) -> Floats:
    """The metric of every finished cell: (arms, seeds), nan where there is none."""
    return _scores(rows, arms, metric, metric.column)[1]


def _scores(
    rows: pd.DataFrame, arms: pd.DataFrame, metric: Metric, column: str
) -> tuple[np.ndarray, Floats]:
    """The seeds that have the metric (seeds,), and a column of them as numbers: (arms, seeds), nan
    where there is none.

    What is no number is numbered by its different values.
    """
    scored = rows[rows["status"] == "ok"]
    held = np.isfinite(scored[metric.column].to_numpy(dtype=float, na_value=np.nan))
    scored = scored[held]
    named = (
        scored[column] if column == metric.column else pd.Series(pd.factorize(scored[column])[0])
    )
    found = named.to_numpy(dtype=float, na_value=np.nan)
    seeds = scored["seed"].to_numpy(np.int64)
    places = arms.index.get_indexer(pd.Index(scored["arm"]))
    return np.unique(seeds), batch.matrix(places, seeds, found, len(arms))


def _places(table: pd.DataFrame, arms: pd.DataFrame) -> tuple[batch.Places, batch.Places]:
    """Where in `arms` both sides of the comparisons are."""
    return arms.index.get_indexer(pd.Index(table["a"])), arms.index.get_indexer(
        pd.Index(table["b"])
    )


def _crossing(
    rows: pd.DataFrame,
    arms: pd.DataFrame,
    metric: Metric,
    places: tuple[batch.Places, batch.Places],
) -> list[frozenset[str]]:
    """For each comparison, which columns of `caveats.CROSSING` differ between two cells of one
    seed.
    """
    several = [
        name for name in pair_flags.CROSSING if rows.loc[rows["status"] == "ok", name].nunique() > 1
    ]
    found = [batch.apart(_scores(rows, arms, metric, name)[1], *places) for name in several]
    if not found:
        return [frozenset()] * len(places[0])
    return [
        frozenset(name for name, differs in zip(several, row, strict=True) if differs)
        for row in zip(*found, strict=True)
    ]


def _runs(
    table: pd.DataFrame, arms: pd.DataFrame, scores: Floats, seeds: np.ndarray, metric: Metric
) -> pd.DataFrame:
    """Median, worst run, and how many runs were lost, of both arms of each comparison."""
    bad = verdict.bad(metric)
    worst, seed = outliers.worst(scores, bad)
    each = arms[["failed", "diverged"]].assign(
        median=outliers.medians(scores),
        worst=worst,
        worst_seed=np.where(np.isfinite(worst), seeds[seed] if len(seeds) else 0, np.nan),
        collapsed=outliers.collapsed(scores, bad).sum(axis=1),
        cells=arms[["ok", "failed", "diverged"]].sum(axis=1),
    )
    each["lost"] = each[["collapsed", "failed", "diverged"]].sum(axis=1)
    each["kept"] = each.pop("cells") - each["lost"]
    sides = zip(("a", "b"), _places(table, arms), strict=True)
    both = pd.concat(
        [each.iloc[place].reset_index(drop=True).add_suffix(f"_{side}") for side, place in sides],
        axis=1,
    )
    return both.assign(p_lost=outliers.alike(both[["lost_a", "kept_a", "lost_b", "kept_b"]]))


def _flat(values: Floats) -> Bools:
    """Arms of which every seed gave the same value: (arms, seeds) -> (arms,)."""
    high, low = (np.where(np.isfinite(values), values, end).T for end in (-np.inf, np.inf))
    high, low = high.max(axis=0, initial=-np.inf), low.min(axis=0, initial=np.inf)
    known = np.isfinite(high)
    return np.asarray(known) & spreadless(
        np.where(known, high, 0.0) - np.where(known, low, 0.0), *np.where(known, [high, low], 0.0)
    )


def _matched(
    table: pd.DataFrame,
    arms: pd.DataFrame,
    metric: Metric,
    crossed: list[frozenset[str]],
    far: dict[int, list[int]],
) -> pd.DataFrame:
    """How the seeds of each pair are matched, whether they are enough, what stands in the way, what
    to beware of.
    """
    by_name = arms.assign(name=arms.index).to_dict("index")
    for place, seeds in far.items():
        name = str(arms.index[place])
        by_name[name]["far"] = pair_flags.named_seeds(seeds, name)
    found = []
    sides = table[["a", "b", "n_a", "n_b", "n_pairs"]].itertuples(index=False)
    for (a, b, n_a, n_b, common), crossing in zip(sides, crossed, strict=True):
        arm, other, n = by_name[a], by_name[b], (n_a, n_b)
        design = pairing.design(arm, other, n, common)
        obstacle = pairing.obstacle(arm, other, metric)
        enough = verdict.enough(design, n, common) and not obstacle
        found.append(
            (
                design,
                enough,
                obstacle,
                tuple(pair_flags.flags(arm, other, n, common, design, enough, crossing)),
            )
        )
    return pd.DataFrame(found, columns=["design", "enough", "obstacle", "flags"])


def _doubted(table: pd.DataFrame) -> pd.DataFrame:
    """The flags with what the p-values say against each other."""
    tests = ["p", "p_exact", "p_lost", "lost_a", "lost_b", "a", "b", "flags"]
    told = [
        (*flags, *pair_flags.doubts(p, exact, p_lost, (lost_a, lost_b), (a, b)))
        for p, exact, p_lost, lost_a, lost_b, a, b, flags in table[tests].itertuples(index=False)
    ]
    return table.assign(flags=pd.Series(told, table.index, dtype=object))


def _modest(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The comparisons without the numbers that they cannot show, and P(a > b) turned into P(a
    better).
    """
    tests = ["p", "p_exact", "p_equivalence"]
    table["same"] = table["p"].eq(1) & table["difference"].eq(0)
    flat = spreadless(*(table[name].to_numpy() for name in ("se", "mean_a", "mean_b")))
    table.loc[flat & ~table["same"], ["low", "high", "se", "spread"]] = np.nan
    table["constant"] = flat & ~table["same"] & ~table["seedless"]
    table.loc[~table["enough"] | table["seedless"], tests] = np.nan
    apart = [name for name in batch.COLUMNS if name not in ("mean_a", "mean_b")]
    table.loc[table["obstacle"] != "", apart] = np.nan
    # Welch's degrees of freedom are no approximation there
    rough = (table["design"] == "welch") & ~table["enough"]
    table.loc[rough, ["low", "high"]] = np.nan
    better = table["superiority"] if verdict.rises(metric) else 1 - table["superiority"]
    return table.assign(superiority=better)


def _corrected(table: pd.DataFrame, how: Compare) -> pd.DataFrame:
    """Corrected p-values of the family, which are those that have a p, and the intervals at its
    levels.
    """
    table = table.assign(correction=how.correction, comparisons=0, level=np.nan)
    table = table.assign(p_adjusted=np.nan, p_equivalence_adjusted=np.nan)
    family_of = table["p"].notna()
    table.loc[family_of, "comparisons"] = family_of.sum()
    for name in ("p", "p_equivalence"):
        known = table[name].notna()
        table.loc[known, f"{name}_adjusted"] = multiplicity.adjusted(
            table.loc[known, name].to_numpy(), how.correction
        )
    tested, corrected = (table.loc[family_of, name].to_numpy() for name in ("p", "p_adjusted"))
    table.loc[family_of, "level"] = multiplicity.levels(tested, corrected, how.correction)
    half = half_width(*(table[name].to_numpy() for name in ("se", "df", "level")))
    return table.assign(
        low_adjusted=table["difference"] - half, high_adjusted=table["difference"] + half
    )


def _powered(table: pd.DataFrame) -> pd.DataFrame:
    """What the seeds could show, and how many more would be needed: with one correction for all,
    Bonferroni's.
    """
    alpha = thresholds.ALPHA / table["comparisons"].where(
        table["comparisons"] > 0, len(table)
    ).to_numpy(dtype=float)
    se, df, spread, freedom = (table[name].to_numpy() for name in ("se", "df", "spread", "freedom"))
    needed = power.seeds_needed(table["difference"].to_numpy(), spread, freedom, alpha)
    return table.assign(detectable=power.detectable(se, df, alpha), seeds_needed=needed)


def _worded(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    table = table.assign(metric=metric.column, evaluation=metric.evaluation)
    table["verdict"] = [verdict.word(row, metric) for row in table.to_dict("records")]
    table["text"] = [verdict.text(row, metric) for row in table.to_dict("records")]
    return table[COLUMNS]
