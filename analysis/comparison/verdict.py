"""Verdicts in words, with their reasons, and no stronger than the number of seeds allows."""

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from analysis.frames.metrics import Metric
from analysis.rendering.numbers import format_interval, format_number, format_p, format_p_cell
from analysis.rendering.section import DECIDED
from analysis.stats.multiplicity import CORRECTION_NAMES
from analysis.stats.permutation import SAMPLED_P_FLOOR
from analysis.stats.power import MAX_SEEDS
from analysis.stats.thresholds import ALPHA, MIN_SEEDS

Outcome = Literal[
    "better",
    "worse",
    "lower",
    "higher",
    "no difference shown",
    "equivalent",
    "too few seeds",
    "single run",
    "cannot be compared",
]
TEST_NAMES = {"paired": "paired t", "welch": "Welch's t"}
BEYOND_MAX_SEEDS = f"more than {MAX_SEEDS}"  # seeds, in place of infinity
Row = Mapping[Any, Any]


def has_enough_seeds(design: str, n: tuple[int, int], n_pairs: int) -> bool:
    """Whether there are at least five seeds: pairs of a paired design, else in both arms."""
    return (n_pairs if design == "paired" else min(n)) >= MIN_SEEDS


def outcome(row: Row, metric: Metric) -> Outcome:
    """The verdict on a against b; row: one of `analysis.comparison.comparisons`."""
    if row["obstacle"]:
        return "cannot be compared"
    if not row["enough"]:
        return "single run" if 1 in (row["n_a"], row["n_b"]) else "too few seeds"
    if row["seedless"]:
        return "single run"
    claim = decide(row["p_adjusted"], row["p_equivalence_adjusted"])
    if claim != "different":
        return claim
    return direction_words(metric)[(row["difference"] > 0) != higher_is_better(metric)]


def decide(
    p: float, p_equivalence: float
) -> Literal["equivalent", "different", "no difference shown"]:
    """What two adjusted p-values allow to claim, equivalence first; nan is no test."""
    if p_equivalence <= ALPHA:
        return "equivalent"
    return "different" if p <= ALPHA else "no difference shown"


def higher_is_better(metric: Metric) -> bool:
    """Whether higher values are better: of accuracies and gains, not of losses."""
    return metric.better == "higher"


def direction_words(metric: Metric) -> tuple[Outcome, Outcome]:
    """Words for an arm that differs: lower or higher where neither is better, else better or worse.

    One part of the bound is traded for the other, so neither direction is better.
    """
    return ("lower", "higher") if metric.better is None else ("better", "worse")


def bad_direction(metric: Metric) -> int:
    """The direction in which a run is worse: 1 (higher), -1 (lower), or 0 if neither is."""
    return 0 if metric.better is None else -1 if higher_is_better(metric) else 1


def describe(row: Row, metric: Metric) -> str:
    """The verdict and its reason.

    For example: `better by 2.3 nats [2.0, 2.6], paired t, n = 10, p = 1e-8 (Holm, 3 comparisons)`.
    """
    verdict_word = row["verdict"]
    if verdict_word == "cannot be compared":
        return f"cannot be compared: {row['obstacle']}"
    if verdict_word in ("too few seeds", "single run"):
        return f"{verdict_word} ({_no_verdict_reason(row)}): {_describe_difference(row, metric)}"
    if verdict_word in DECIDED:
        is_better = verdict_word == direction_words(metric)[0]
        sign = 1.0 if is_better == higher_is_better(metric) else -1.0
        return f"{verdict_word} by {_format_amount(row, metric, sign)}, {_describe_test(row)}"
    if verdict_word == "equivalent":
        return (
            f"equivalent within {_format_margin(row, metric)}: "
            f"{_describe_difference(row, metric)}, "
            f"{_describe_test(row, equivalent=True)}"
        )
    if row["same"]:
        return (
            f"no difference shown: every seed gave both arms the same value, {_format_sizes(row)}"
        )
    smallest = format_number(row["detectable"] * metric.factor, _decimals(row, metric))
    detectable = "" if row["constant"] else f" (smallest detectable: {smallest})"
    return (
        f"no difference shown{detectable}: {_describe_difference(row, metric)}, "
        f"{_describe_test(row)}"
    )


def to_words_of(unit: str, text: str) -> str:
    """A text about seeds in words of what the comparison counts, "seed" or "study".

    >>> to_words_of("study", "too few seeds (n = 3 common seeds of 3 and 4)")
    'too few studies (n = 3 common studies of 3 and 4)'
    """
    if unit == "seed":
        return text
    text = re.sub(r"\bn = (\d+( and \d+)?)(?! common)", r"n = \1 studies", text)
    for word, instead in (("seeds", "studies"), ("seed", "study")):
        text = re.sub(rf"\b{word}\b", instead, text)
        text = re.sub(rf"\b{word.capitalize()}\b", instead.capitalize(), text)
    return text


def format_details(row: Row, metric: Metric) -> dict[str, str]:
    """The numbers behind the verdict as text, by name; those that n does not allow are left out."""
    decimals = metric.count_decimals(
        _in_metric_unit(row[f"mean_{side}"], metric) for side in ("a", "b")
    )
    details = {
        f"{what} of {side}": format_number(_in_metric_unit(row[f"{what}_{side}"], metric), decimals)
        for what in ("mean", "median")
        for side in ("a", "b")
    }
    details |= {
        f"worst seed of {side}": _format_worst(row, side, metric, decimals) for side in ("a", "b")
    }
    details |= _lost_run_details(row)
    details |= _effect_details(row, metric)
    details |= _power_details(row, metric, max(3, decimals))
    return {name: value for name, value in details.items() if value != "–"}


def _effect_details(row: Row, metric: Metric) -> dict[str, str]:
    """Standardised effects, and the p of the exact test."""
    names = {
        "Hedges' g (SD within the arms)": "g",
        f"P(a {direction_words(metric)[0]})": "superiority",
        "correlation of the pairs": "correlation",
    }
    exact_label = (
        "p of the exact paired test"
        if row["design"] == "paired"
        else "p of the permutations of Welch's t"
    )
    effects = {label: format_number(_none_to_nan(row[name]), 2) for label, name in names.items()}
    return effects | {exact_label: _format_exact_p(row["p_exact"], row["p_floor"])}


def _power_details(row: Row, metric: Metric, decimals: int) -> dict[str, str]:
    """What these seeds can detect, and how many would detect this difference."""
    seeds_label = (
        "seeds an arm for 80 % power, were this difference the true one (optimistic after a choice)"
    )
    return {
        "smallest detectable difference (80 % power)": format_number(
            _in_metric_unit(row["detectable"], metric), decimals
        ),
        seeds_label: format_seeds(row["seeds_needed"]),
    }


def format_seeds(needed: float | str | None) -> str:
    """Format a number of seeds.

    >>> [format_seeds(needed) for needed in (12.0, math.inf, "more than 100000", None)]
    ['12', 'more than 100000', 'more than 100000', '–']
    """
    if isinstance(needed, str) or needed == math.inf:
        return BEYOND_MAX_SEEDS
    return format_number(_none_to_nan(needed), 0)


def _format_worst(row: Row, side: str, metric: Metric, decimals: int) -> str:
    value = format_number(_in_metric_unit(row[f"worst_{side}"], metric), decimals)
    return value if value == "–" else f"{value} (seed {row[f'worst_seed_{side}']:.0f})"


def _lost_run_details(row: Row) -> dict[str, str]:
    """How many runs were lost, and p of equally many in both arms; empty if none was."""
    if row["p_lost"] is None or math.isnan(row["p_lost"]):
        return {}
    kinds = ("collapsed", "failed", "diverged")
    details = {
        f"lost runs of {side}": ", ".join(f"{row[f'{kind}_{side}']} {kind}" for kind in kinds)
        for side in ("a", "b")
    }
    return details | {
        "p of as many lost runs in both (Fisher's exact test)": format_p_cell(row["p_lost"])
    }


def _describe_difference(row: Row, metric: Metric) -> str:
    """The signed difference a - b, with its interval where there is one."""
    if math.isnan(row["difference"]):
        return "nothing to compare"
    equivalent = row["verdict"] == "equivalent"
    excludes_zero = row["verdict"] == "no difference shown" and row["low"] * row["high"] > 0
    return (
        f"{introduce_difference(equivalent, row['p_adjusted'])} "
        f"{_format_amount(row, metric, 1.0)}{' unadjusted' if excludes_zero else ''}"
    )


def introduce_difference(equivalent: bool, p_adjusted: float) -> str:
    """The words before a difference: arms may be equivalent and yet differ significantly."""
    return "yet differs by" if equivalent and p_adjusted <= ALPHA else "difference"


def format_amount(
    difference: float, interval: tuple[float, float], metric: Metric, decimals: int
) -> str:
    """A difference with its interval, all in the metric's unit: `2.3 nats [2.0, 2.6]`.

    >>> from analysis.frames.metrics import ACCURACY
    >>> nans = (math.nan, math.nan)
    >>> format_amount(1.5, (1.0, 2.0), ACCURACY, 1), format_amount(1.5, nans, ACCURACY, 1)
    ('1.5 points [1.0, 2.0]', '1.5 points')
    """
    amount = f"{format_number(difference, decimals)} {metric.difference_unit}".rstrip()
    return amount if math.isnan(interval[0]) else f"{amount} {format_interval(*interval, decimals)}"


def _format_amount(row: Row, metric: Metric, sign: float) -> str:
    """The difference times `sign`: -1 where the verdict's word gives the direction."""
    value, low, high = (sign * metric.factor * row[name] for name in ("difference", "low", "high"))
    interval = (low, high) if sign > 0 else (high, low)
    amount = format_amount(value, interval, metric, _decimals(row, metric))
    return f"{amount}, which does not vary" if row["constant"] else amount


def _decimals(row: Row, metric: Metric) -> int:
    """As many as show two digits of half the interval's width, two where there is no interval."""
    half = (row["high"] - row["low"]) / 2 * metric.factor
    return min(6, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else 2


def _describe_test(row: Row, equivalent: bool = False) -> str:
    """The test, n, p and the family: `paired t, n = 10, p = 0.02 (Holm, 3 comparisons)`."""
    unadjusted, p = (
        (row["p_equivalence"], row["p_equivalence_adjusted"])
        if equivalent
        else (row["p"], row["p_adjusted"])
    )
    family = f"{CORRECTION_NAMES[row['correction']]}, {row['comparisons']} comparisons"
    if row["comparisons"] == 1:
        family = "1 comparison"
    elif unadjusted <= ALPHA < p:
        family = f"{family}; alone {format_p(unadjusted)}"
    if "look" in row:
        return _describe_look(row, unadjusted, equivalent)
    test = "sign test" if row["constant"] else TEST_NAMES[row["design"]]
    test, more = (
        (f"TOST, {test}", "") if equivalent else (test, _exact_p_text(row) + _floor_text(row))
    )
    return f"{test}, {_format_sizes(row)}, {format_p(p)} ({family}){more}"


def _describe_look(row: Row, p: float, equivalent: bool) -> str:
    """The test at a declared look: `paired t, n = 10, p = 0.004 at look 2 of 4 (bound 0.014)`."""
    test = f"{'TOST, ' if equivalent else ''}{TEST_NAMES[row['design']]}"
    family = "" if row["comparisons"] == 1 else f"; Holm, {row['comparisons']} comparisons"
    bound = "" if equivalent else f" (bound {row['bound']:.2g}{family})"
    return f"{test}, {_format_sizes(row)}, {format_p(p)} at {row['look']}{bound}"


def _exact_p_text(row: Row) -> str:
    """The unadjusted p of the permutation test, called exact if all permutations were tried."""
    if math.isnan(row["p_exact"]) or row["constant"]:
        return ""
    which = "exact" if row["p_floor"] > SAMPLED_P_FLOOR else "permutation"
    return f"; {which} {format_p(row['p_exact'])}{', unadjusted' if row['comparisons'] > 1 else ''}"


def _floor_text(row: Row) -> str:
    """The smallest p of the exact test, if it is too large for .05 in a family of this size."""
    if not row["p_floor"] * row["comparisons"] > ALPHA or row["p_floor"] <= SAMPLED_P_FLOOR:
        return ""
    which = "exact paired" if row["design"] == "paired" else "exact"
    return (
        f"; an {which} test could not reach .05 (floor {row['p_floor']:.2g} × {row['comparisons']})"
    )


def _format_margin(row: Row, metric: Metric) -> str:
    """The margin in the unit of the sentence, and as it was declared if that is a fraction."""
    number = format_number(row["margin"] * metric.factor, None)
    printed = f"{number} {metric.difference_unit}".rstrip()
    return printed if metric.factor == 1 else f"{printed} (margin {row['margin']:g}, a fraction)"


def _format_sizes(row: Row) -> str:
    if row["design"] == "paired":
        unequal = row["n_pairs"] < max(row["n_a"], row["n_b"])
        return f"n = {row['n_pairs']}" + (
            f" common seeds of {row['n_a']} and {row['n_b']}" if unequal else ""
        )
    return f"n = {row['n_a']}" if row["n_a"] == row["n_b"] else f"n = {row['n_a']} and {row['n_b']}"


def _no_verdict_reason(row: Row) -> str:
    return (
        "the seed changes nothing in either arm"
        if row["seedless"]
        else f"{_format_sizes(row)}, no verdict below {MIN_SEEDS}"
    )


def _none_to_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _in_metric_unit(value: float | None, metric: Metric) -> float:
    return _none_to_nan(value) * metric.factor


def _format_exact_p(p: float | None, floor: float | None) -> str:
    """The exact p with the smallest value it can take."""
    return "–" if p is None or floor is None else f"{p:.2g} (floor {floor:.2g})"
