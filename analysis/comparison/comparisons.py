"""Compare arms: verdicts with their numbers, one row per pair and metric."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.comparison import batch, growth, looks, pairing, verdict
from analysis.comparison import flags as pair_flags
from analysis.comparison.looks import Look
from analysis.frames.arm_table import summarize_arms
from analysis.frames.declared import LookPlan
from analysis.frames.metrics import Metric, describe_metrics
from analysis.rendering.section import DECIDED
from analysis.stats import multiplicity, outliers, power, thresholds
from analysis.stats.differences import Bools, Floats, half_width, has_no_spread
from harness.errors import InputError
from harness.experiment.grid import ComparisonSpec

ArmPairs = Sequence[tuple[str, str]]

COLUMNS = [
    "metric",
    "evaluation",
    "a",
    "b",
    "design",
    "n_a",
    "n_b",
    "n_pairs",
    "mean_a",
    "mean_b",
    "difference",
    "low",
    "high",
    "low_adjusted",
    "high_adjusted",
    "p",
    "p_adjusted",
    "correction",
    "comparisons",
    "g",
    "superiority",
    "correlation",
    "p_exact",
    "p_floor",
    "detectable",
    "seeds_needed",
    "margin",
    "p_equivalence",
    "p_equivalence_adjusted",
    "median_a",
    "median_b",
    "worst_a",
    "worst_b",
    "worst_seed_a",
    "worst_seed_b",
    "collapsed_a",
    "collapsed_b",
    "failed_a",
    "failed_b",
    "diverged_a",
    "diverged_b",
    "p_lost",
    "verdict",
    "text",
    "flags",
]


def compare_arms(rows: pd.DataFrame, declared: ComparisonSpec) -> pd.DataFrame:
    """Results table with `arm` -> one row per comparison of `declared`, columns `COLUMNS`.

    - mean_a, mean_b: over the compared seeds, which are the common ones if they are paired.
    - low, high: the 95 % interval of the difference. low_adjusted, high_adjusted: at the level at
      which the family tested it (`multiplicity.alpha_levels`), so they exclude zero exactly where
      p_adjusted is at most .05.
    - superiority: P(a better), or P(a lower) for a part of the bound.
    - p_exact: that of the permutations, up to `permutation.MAX_SEEDS` seeds, never adjusted. No
      verdict depends on it; a flag is set if it and p are on different sides of .05.
    - detectable, seeds_needed: for 80 % power at alpha / comparisons.
    - median, worst (with its seed), collapsed (far on the bad side, `stats.outliers`): over all
      scored seeds of an arm.
    - p_lost: compares how many runs collapsed, failed or diverged; nan if none did.

    Below five seeds there is no p and, if seeds are not shared, no interval: at three seeds Welch's
    covers the true difference in 96.3 % of cases. A difference that does not vary has no interval,
    and its p is that of the signs.
    """
    arms = summarize_arms(rows)
    return compare_pairs(rows, arms, pairing.choose_pairs(arms, declared), declared)


def compare_pairs(
    rows: pd.DataFrame,
    arms: pd.DataFrame,
    pairs: ArmPairs,
    declared: ComparisonSpec,
    plan: LookPlan | None = None,
) -> pd.DataFrame:
    """Compare these pairs of arms; each metric is a family of tests.

    plan: the looks that were declared; the table then has `looks.COLUMNS` besides

    A metric that neither every table has nor a row describes has no comparisons.
    """
    duplicated = rows.duplicated(["arm", "seed"])
    if duplicated.any():
        arm, seed = rows.loc[duplicated, ["arm", "seed"]].iloc[0]
        raise InputError(f"two rows of arm {arm} with seed {seed}; expected one a seed")
    metrics = describe_metrics(rows)
    tables = [
        compare_family(rows, arms, pairs, metrics[column], declared)
        if plan is None
        else compare_at_looks(rows, pairs, metrics[column], declared, plan)
        for column in dict.fromkeys(declared.metrics)
        if column in metrics
    ]
    nonempty = [table for table in tables if len(table)]
    return pd.concat(nonempty, ignore_index=True) if nonempty else pd.DataFrame(columns=COLUMNS)


def compare_at_looks(
    rows: pd.DataFrame,
    pairs: ArmPairs,
    metric: Metric,
    declared: ComparisonSpec,
    plan: LookPlan,
) -> pd.DataFrame:
    """Compare pairs in one metric at each look that all arms of open pairs have reached.

    A pair has the row of the look that claimed a difference or equivalence, else that of the last
    look.
    """
    settled: list[pd.DataFrame] = []
    latest, open_pairs, look = pd.DataFrame(columns=COLUMNS), list(pairs), Look(plan, 0)
    for number in range(len(plan.looks)):
        names = {name for pair in open_pairs for name in pair}
        if not open_pairs or not plan.has_reached(rows, sorted(names), number):
            break
        look = replace(look, number=number)
        seen = plan.select(rows, number)
        table = compare_family(seen, summarize_arms(seen), open_pairs, metric, declared, look)
        different, equivalent = table["verdict"].isin(DECIDED), table["verdict"] == "equivalent"
        settled.append(table[different | equivalent])
        latest = table[~different & ~equivalent]
        open_pairs = list(zip(latest["a"], latest["b"], strict=True))
        look = replace(
            look,
            n_different=look.n_different + int(different.sum()),
            n_equivalent=look.n_equivalent + int(equivalent.sum()),
        )
    found = pd.concat([part for part in settled if len(part)] + [latest], ignore_index=True)
    return (
        found.set_index(["a", "b"], drop=False)
        .reindex([pair for pair in pairs if pair in {*zip(found["a"], found["b"], strict=True)}])
        .reset_index(drop=True)[found.columns]
    )


def compare_family(
    rows: pd.DataFrame,
    arms: pd.DataFrame,
    pairs: ArmPairs,
    metric: Metric,
    declared: ComparisonSpec,
    look: Look | None = None,
) -> pd.DataFrame:
    """Compare pairs in one metric, a column of `rows`; pairs that cannot have it are left out.

    look: the declared look to which the rows belong
    """
    seeds, scores = _scores(rows, arms, metric, metric.column)
    table = _select_pairs(arms, pairs, metric, np.isfinite(scores).sum(axis=1))
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    indices, margin = _arm_indices(table, arms), declared.margin.get(metric.column)
    table = table.assign(
        n_pairs=batch.count_common_seeds(scores, *indices),
        margin=np.nan if margin is None else margin,
    )
    table = table.join(_run_columns(table, arms, scores, seeds, metric))
    differing = _differing_columns(rows, arms, metric, indices)
    far_seeds = {
        int(arm): list(seeds[held])
        for arm, held in enumerate(outliers.is_far(scores))
        if held.any()
    }
    table = table.join(_design_columns(table, arms, metric, differing, far_seeds))
    is_paired = (table["design"] == "paired").to_numpy()
    table = table.join(batch.compute_differences(scores, *indices, is_paired, margin))
    table = growth.add_anytime_p(table, arms, scores, indices)
    table["seedless"] = _differ_without_seeds(table, _constant_arms(scores), indices)
    table = _add_p_value_flags(_mask_untestable(table, metric))
    table = growth.describe_growth(table, declared.correction)
    adjusted = _adjust_p_values(table, declared) if look is None else _adjust_at_look(table, look)
    return _add_text(_add_power(adjusted), metric, declared.unit)


def _select_pairs(
    arms: pd.DataFrame, pairs: ArmPairs, metric: Metric, seed_counts: batch.Indices
) -> pd.DataFrame:
    """The pairs whose arms can have the metric, one of them with its estimator: a, b, n_a, n_b.

    seed_counts (arms,): how many seeds of each arm are scored; without any there is no pair.
    """
    scored = pd.Series(seed_counts, arms.index)
    fits = pairing.can_have_metric(arms, metric, scored).to_dict()
    holds = pairing.has_matching_estimator(arms, metric).to_dict()
    kept = [(a, b) for a, b in pairs if fits[a] and fits[b] and (holds[a] or holds[b])]
    table = pd.DataFrame(kept if scored.any() else [], columns=["a", "b"], dtype=str)
    return table.assign(n_a=scored[table["a"]].to_numpy(), n_b=scored[table["b"]].to_numpy())


def _differ_without_seeds(
    table: pd.DataFrame, is_constant: Bools, indices: tuple[batch.Indices, batch.Indices]
) -> pd.Series:
    """Which comparisons have two arms that differ although no seed changes either."""
    constant = is_constant[indices[0]] & is_constant[indices[1]]
    return table["enough"].astype(bool) & constant & (table["difference"] != 0)


def metric_values(rows: pd.DataFrame, arms: pd.DataFrame, metric: Metric) -> Floats:
    """The metric of every finished cell: (arms, seeds), nan where a seed has none."""
    return _scores(rows, arms, metric, metric.column)[1]


def _scores(
    rows: pd.DataFrame, arms: pd.DataFrame, metric: Metric, column: str
) -> tuple[np.ndarray, Floats]:
    """Seeds that have the metric (seeds,), and a column of them as numbers (arms, seeds) or nan.

    Distinct values of a column other than the metric are numbered.
    """
    needed = list(dict.fromkeys(["seed", "arm", metric.column, column]))
    scored = rows.loc[rows["status"] == "ok", needed]
    has_metric = np.isfinite(scored[metric.column].to_numpy(dtype=float, na_value=np.nan))
    scored = scored[has_metric]
    column_values = (
        scored[column] if column == metric.column else pd.Series(pd.factorize(scored[column])[0])
    )
    numbers = column_values.to_numpy(dtype=float, na_value=np.nan)
    seeds = scored["seed"].to_numpy(np.int64)
    arm_indices = arms.index.get_indexer(pd.Index(scored["arm"]))
    return np.unique(seeds), batch.build_matrix(arm_indices, seeds, numbers, len(arms))


def _arm_indices(table: pd.DataFrame, arms: pd.DataFrame) -> tuple[batch.Indices, batch.Indices]:
    """Positions in `arms` of both sides of the comparisons."""
    return arms.index.get_indexer(pd.Index(table["a"])), arms.index.get_indexer(
        pd.Index(table["b"])
    )


def _differing_columns(
    rows: pd.DataFrame,
    arms: pd.DataFrame,
    metric: Metric,
    places: tuple[batch.Indices, batch.Indices],
) -> list[frozenset[str]]:
    """For each comparison, which of `flags.PAIR_COLUMNS` differ between two cells of one seed."""
    varying = [
        name
        for name in pair_flags.PAIR_COLUMNS
        if rows.loc[rows["status"] == "ok", name].nunique() > 1
    ]
    masks = [
        batch.has_differing_seeds(_scores(rows, arms, metric, name)[1], *places) for name in varying
    ]
    if not masks:
        return [frozenset()] * len(places[0])
    return [
        frozenset(name for name, differs in zip(varying, row, strict=True) if differs)
        for row in zip(*masks, strict=True)
    ]


def _run_columns(
    table: pd.DataFrame, arms: pd.DataFrame, scores: Floats, seeds: np.ndarray, metric: Metric
) -> pd.DataFrame:
    """Median, worst run and numbers of lost runs of both arms of each comparison."""
    direction = verdict.bad_direction(metric)
    worst, worst_index = outliers.find_worst(scores, direction)
    per_arm = arms[["failed", "diverged"]].assign(
        median=outliers.medians(scores),
        worst=worst,
        worst_seed=np.where(np.isfinite(worst), seeds[worst_index] if len(seeds) else 0, np.nan),
        collapsed=outliers.is_collapsed(scores, direction).sum(axis=1),
        cells=arms[["ok", "failed", "diverged"]].sum(axis=1),
    )
    per_arm["lost"] = per_arm[["collapsed", "failed", "diverged"]].sum(axis=1)
    per_arm["kept"] = per_arm.pop("cells") - per_arm["lost"]
    sides = zip(("a", "b"), _arm_indices(table, arms), strict=True)
    both = pd.concat(
        [
            per_arm.iloc[place].reset_index(drop=True).add_suffix(f"_{side}")
            for side, place in sides
        ],
        axis=1,
    )
    return both.assign(p_lost=outliers.lost_runs_p(both[["lost_a", "kept_a", "lost_b", "kept_b"]]))


def _constant_arms(values: Floats) -> Bools:
    """Whether all seeds of an arm gave the same value: (arms, seeds) -> (arms,)."""
    high, low = (np.where(np.isfinite(values), values, end).T for end in (-np.inf, np.inf))
    high, low = high.max(axis=0, initial=-np.inf), low.min(axis=0, initial=np.inf)
    known = np.isfinite(high)
    return np.asarray(known) & has_no_spread(
        np.where(known, high, 0.0) - np.where(known, low, 0.0), *np.where(known, [high, low], 0.0)
    )


def _design_columns(
    table: pd.DataFrame,
    arms: pd.DataFrame,
    metric: Metric,
    differing: list[frozenset[str]],
    far_seeds: dict[int, list[int]],
) -> pd.DataFrame:
    """Design, enough seeds or not, obstacle and flags of each comparison.

    far_seeds: seeds far from the others by the position of their arm in `arms`.
    """
    by_name = arms.assign(name=arms.index).to_dict("index")
    for place, seeds in far_seeds.items():
        name = str(arms.index[place])
        by_name[name]["far"] = pair_flags.describe_far_seeds(seeds, name)
    records = []
    sides = table[["a", "b", "n_a", "n_b", "n_pairs"]].itertuples(index=False)
    for (a, b, n_a, n_b, n_common), columns in zip(sides, differing, strict=True):
        arm, other, n = by_name[a], by_name[b], (n_a, n_b)
        design = pairing.choose_design(arm, other, n, n_common)
        obstacle = pairing.find_obstacle(arm, other, metric)
        enough = verdict.has_enough_seeds(design, n, n_common) and not obstacle
        records.append(
            (
                design,
                enough,
                obstacle,
                tuple(pair_flags.flags(arm, other, n, n_common, design, enough, columns)),
            )
        )
    return pd.DataFrame(records, columns=["design", "enough", "obstacle", "flags"])


def _add_p_value_flags(table: pd.DataFrame) -> pd.DataFrame:
    """Add the flags for p-values that contradict each other."""
    tests = ["p", "p_exact", "p_lost", "lost_a", "lost_b", "a", "b", "flags"]
    all_flags = [
        (*flags, *pair_flags.p_value_flags(p, exact, p_lost, (lost_a, lost_b), (a, b)))
        for p, exact, p_lost, lost_a, lost_b, a, b, flags in table[tests].itertuples(index=False)
    ]
    return table.assign(flags=pd.Series(all_flags, table.index, dtype=object))


def _mask_untestable(table: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Set to nan what a comparison cannot show, and turn P(a > b) into P(a better)."""
    tests = ["p", "p_exact", "p_equivalence"]
    table["same"] = table["p"].eq(1) & table["difference"].eq(0)
    no_spread = has_no_spread(*(table[name].to_numpy() for name in ("se", "mean_a", "mean_b")))
    table.loc[no_spread & ~table["same"], ["low", "high", "se", "sd_per_seed"]] = np.nan
    table["constant"] = no_spread & ~table["same"] & ~table["seedless"]
    table.loc[~table["enough"] | table["seedless"], tests] = np.nan
    estimate_columns = [name for name in batch.COLUMNS if name not in ("mean_a", "mean_b")]
    table.loc[table["obstacle"] != "", estimate_columns] = np.nan
    # Welch's degrees of freedom are no approximation there
    few_unpaired = (table["design"] == "welch") & ~table["enough"]
    table.loc[few_unpaired, ["low", "high"]] = np.nan
    better = table["superiority"] if verdict.higher_is_better(metric) else 1 - table["superiority"]
    return table.assign(superiority=better)


def _adjust_p_values(table: pd.DataFrame, declared: ComparisonSpec) -> pd.DataFrame:
    """Add adjusted p-values and intervals; the family are the comparisons that have a p."""
    table = table.assign(correction=declared.correction, comparisons=0, level=np.nan)
    table = table.assign(p_adjusted=np.nan, p_equivalence_adjusted=np.nan)
    in_family = table["p"].notna()
    table.loc[in_family, "comparisons"] = in_family.sum()
    for name in ("p", "p_equivalence"):
        known = table[name].notna()
        table.loc[known, f"{name}_adjusted"] = multiplicity.adjust_p_values(
            table.loc[known, name].to_numpy(), declared.correction
        )
    tested, corrected = (table.loc[in_family, name].to_numpy() for name in ("p", "p_adjusted"))
    table.loc[in_family, "level"] = multiplicity.alpha_levels(
        tested, corrected, declared.correction
    )
    half = half_width(*(table[name].to_numpy() for name in ("se", "df", "level")))
    return table.assign(
        low_adjusted=table["difference"] - half, high_adjusted=table["difference"] + half
    )


def _adjust_at_look(table: pd.DataFrame, look: Look) -> pd.DataFrame:
    """Add adjusted p-values, and intervals that hold at every look, by the bounds of one.

    low, high: at the bound of a single test; low_adjusted, high_adjusted: at the bound of the step
    of Holm's procedure.
    """
    table = table.assign(correction="holm", comparisons=0, bound=np.nan, look=look.label)
    table = table.assign(p_adjusted=np.nan, p_equivalence_adjusted=np.nan, level=np.nan)
    claimed = {"p": look.n_equivalent, "p_equivalence": look.n_different}
    for name, n_settled in claimed.items():
        known = table[name].notna()
        p, n_family = table.loc[known, name].to_numpy(), int(known.sum()) + n_settled
        adjusted, bounds = look.step_down(p, n_family)
        table.loc[known, f"{name}_adjusted"] = adjusted
        if name == "p":
            table.loc[known, ["comparisons", "level", "bound"]] = np.column_stack(
                [np.full(len(p), n_family + look.n_different), bounds, bounds]
            )
    half, adjusted_half = (
        half_width(table["se"].to_numpy(), table["df"].to_numpy(), level)
        for level in (look.find_bound(), table["level"].to_numpy())
    )
    varies = np.isfinite(table["low"].to_numpy()) & (table["se"].to_numpy() > 0)
    return table.assign(
        low=np.where(varies, table["difference"] - half, table["low"]),
        high=np.where(varies, table["difference"] + half, table["high"]),
        low_adjusted=table["difference"] - adjusted_half,
        high_adjusted=table["difference"] + adjusted_half,
        comparisons=table["comparisons"].astype(int),
    )


def _add_power(table: pd.DataFrame) -> pd.DataFrame:
    """Add the detectable difference and the seeds needed, with Bonferroni's correction."""
    alpha = thresholds.ALPHA / table["comparisons"].where(
        table["comparisons"] > 0, len(table)
    ).to_numpy(dtype=float)
    se, df, difference, sd_per_seed, df_per_seed = (
        table[name].to_numpy() for name in ("se", "df", "difference", "sd_per_seed", "df_per_seed")
    )
    return table.assign(
        detectable=power.detectable_difference(se, df, alpha),
        seeds_needed=power.seeds_needed(difference, sd_per_seed, df_per_seed, alpha),
    )


def _add_text(table: pd.DataFrame, metric: Metric, unit: str) -> pd.DataFrame:
    table = table.assign(metric=metric.column, evaluation=metric.evaluation)
    table["verdict"] = [verdict.outcome(row, metric) for row in table.to_dict("records")]
    texts = [verdict.describe(row, metric) for row in table.to_dict("records")]
    table["text"] = [verdict.to_words_of(unit, text) for text in texts]
    table["flags"] = [
        tuple(verdict.to_words_of(unit, flag) for flag in flags) for flags in table["flags"]
    ]
    return table[[*COLUMNS, *(name for name in looks.COLUMNS if name in table)]]
