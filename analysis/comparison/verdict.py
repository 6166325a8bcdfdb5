"""A comparison in words: the verdict with its reason, never more than the number of seeds can show."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from analysis.frames.metrics import ACCURACY, GAIN, PARTS, Metric
from analysis.rendering.numbers import chance, number
from analysis.rendering.section import DECIDED
from analysis.stats.multiplicity import CORRECTIONS
from analysis.stats.permutation import FLOOR
from analysis.stats.power import MOST
from analysis.stats.thresholds import ALPHA, FEW

Word = Literal[
    "better", "worse", "lower", "higher", "no difference shown", "equivalent", "too few seeds", "single run",
    "cannot be compared",
]  # fmt: skip
DESIGNS = {"paired": "paired t", "welch": "Welch's t"}
MORE = f"more than {MOST}"  # seeds, in place of infinity
Row = Mapping[Any, Any]


def enough(design: str, n: tuple[int, int], pairs: int) -> bool:
    """Whether there are five seeds to judge by: pairs of a paired design, else in both arms."""
    return (pairs if design == "paired" else min(n)) >= FEW


def word(row: Row, metric: Metric) -> Word:
    """The verdict on a against b, in a word: a row of `analysis.comparison.comparisons.compared`."""
    if row["obstacle"]:
        return "cannot be compared"
    if not row["enough"]:
        return "single run" if 1 in (row["n_a"], row["n_b"]) else "too few seeds"
    if row["seedless"]:
        return "single run"
    if row["p_equivalence_adjusted"] <= ALPHA:
        return "equivalent"
    if not row["p_adjusted"] <= ALPHA:
        return "no difference shown"
    return words(metric)[(row["difference"] > 0) != rises(metric)]


def rises(metric: Metric) -> bool:
    """Whether more of it is better: an accuracy, and what it gains; of a loss, less is."""
    return metric in (ACCURACY, GAIN)


def words(metric: Metric) -> tuple[Word, Word]:
    """What an arm is that differs: better or worse; in a part of the bound, which trades it for the
    other, lower.
    """
    return ("lower", "higher") if metric.name in PARTS else ("better", "worse")


def bad(metric: Metric) -> int:
    """In which direction a run is worse: 1, or -1 where more is better; 0 where neither is."""
    return 0 if metric.name in PARTS else -1 if rises(metric) else 1


def text(row: Row, metric: Metric) -> str:
    """The verdict and its reason: `better by 2.3 nats [2.0, 2.6], paired t, n = 10, p = 1e-8 (Holm,
    3 comparisons)`.
    """
    found = row["verdict"]
    if found == "cannot be compared":
        return f"cannot be compared: {row['obstacle']}"
    if found in ("too few seeds", "single run"):
        return f"{found} ({_seeds(row)}): {_described(row, metric)}"
    if found in DECIDED:
        return f"{found} by {_amount(row, metric, found == words(metric)[0])}, {_how(row)}"
    if found == "equivalent":
        return (
            f"equivalent within {_margin(row, metric)}: {_described(row, metric)}, "
            f"{_how(row, equivalent=True)}"
        )
    if row["same"]:
        return f"no difference shown: every seed gave both arms the same value, {_sizes(row)}"
    least = number(row["detectable"] * metric.factor, _decimals(row, metric))
    could = "" if row["constant"] else f" (smallest detectable: {least})"
    return f"no difference shown{could}: {_described(row, metric)}, {_how(row)}"


def numbers(row: Row, metric: Metric) -> dict[str, str]:
    """What stands behind the verdict, by name, as printed; None where n does not allow a number."""
    said = {
        f"mean of {side}": number(_scaled(row[f"mean_{side}"], metric), 2) for side in ("a", "b")
    }
    said |= {
        f"median of {side}": number(_scaled(row[f"median_{side}"], metric), 2)
        for side in ("a", "b")
    }
    said |= {f"worst seed of {side}": _worst(row, side, metric) for side in ("a", "b")}
    said |= _lost(row)
    said["Hedges' g (SD within the arms)"] = number(_known(row["g"]), 2)
    said[f"P(a {words(metric)[0]})"] = number(_known(row["superiority"]), 2)
    said["correlation of the pairs"] = number(_known(row["correlation"]), 2)
    exact = (
        "p of the exact paired test"
        if row["design"] == "paired"
        else "p of the permutations of Welch's t"
    )
    said[exact] = _chances(row["p_exact"], row["p_floor"])
    said["smallest detectable difference (80 % power)"] = number(
        _scaled(row["detectable"], metric), 3
    )
    needed = (
        "seeds an arm for 80 % power, were this difference the true one (optimistic after a choice)"
    )
    said[needed] = seeds(row["seeds_needed"])
    return {name: value for name, value in said.items() if value != "–"}


def seeds(needed: float | str | None) -> str:
    """A number of seeds as it is printed.

    >>> seeds(12.0), seeds(math.inf), seeds("more than 100000"), seeds(None)
    ('12', 'more than 100000', 'more than 100000', '–')
    """
    return MORE if needed in (MORE, math.inf) else number(_known(needed), 0)  # type: ignore[arg-type]


def _worst(row: Row, side: str, metric: Metric) -> str:
    value = number(_scaled(row[f"worst_{side}"], metric), 2)
    return value if value == "–" else f"{value} (seed {row[f'worst_seed_{side}']:.0f})"


def _lost(row: Row) -> dict[str, str]:
    """How many runs were lost, and the p of as many in both arms; nothing where none was."""
    if row["p_lost"] is None or math.isnan(row["p_lost"]):
        return {}
    kinds = ("collapsed", "failed", "diverged")
    told = {
        f"lost runs of {side}": ", ".join(f"{row[f'{kind}_{side}']} {kind}" for kind in kinds)
        for side in ("a", "b")
    }
    return told | {
        "p of as many lost runs in both (Fisher's exact test)": chance(row["p_lost"]).removeprefix(
            "p = "
        )
    }


def unit(metric: Metric) -> str:
    """nats, or percentage points for an accuracy."""
    return "points" if metric.unit == "%" else metric.unit


def _described(row: Row, metric: Metric) -> str:
    """The difference as it is, a - b, with its interval where there is one."""
    if math.isnan(row["difference"]):
        return "nothing to compare"
    differs = row["verdict"] == "equivalent" and row["p_adjusted"] <= ALPHA
    apart = row["verdict"] == "no difference shown" and row["low"] * row["high"] > 0
    return (
        f"{'yet differs by' if differs else 'difference'} "
        f"{_interval(row, metric, 1.0)}{' unadjusted' if apart else ''}"
    )


def _amount(row: Row, metric: Metric, better: bool) -> str:
    """The difference without its direction, which the word tells."""
    return _interval(row, metric, 1.0 if better == rises(metric) else -1.0)


def _interval(row: Row, metric: Metric, sign: float) -> str:
    decimals = _decimals(row, metric)
    value, *ends = (sign * metric.factor * row[name] for name in ("difference", "low", "high"))
    said = f"{number(value, decimals)} {unit(metric)}"
    if row["constant"]:
        return f"{said}, which does not vary"
    if math.isnan(ends[0]):
        return said
    return f"{said} [{', '.join(number(end, decimals) for end in sorted(ends))}]"


def _decimals(row: Row, metric: Metric) -> int:
    """As many as show two digits of half the interval's width, two where there is no interval."""
    half = (row["high"] - row["low"]) / 2 * metric.factor
    return min(6, max(0, 1 - math.floor(math.log10(half)))) if half > 0 else 2


def _how(row: Row, equivalent: bool = False) -> str:
    """The test, n, p and the family: `paired t, n = 10, p = 0.02 (Holm, 3 comparisons)`."""
    alone, p = (
        (row["p_equivalence"], row["p_equivalence_adjusted"])
        if equivalent
        else (row["p"], row["p_adjusted"])
    )
    family = f"{CORRECTIONS[row['correction']]}, {row['comparisons']} comparisons"
    if row["comparisons"] == 1:
        family = "1 comparison"
    elif alone <= ALPHA < p:
        family = f"{family}; alone {chance(alone)}"
    test = "sign test" if row["constant"] else DESIGNS[row["design"]]
    test, more = (f"TOST, {test}", "") if equivalent else (test, _exact(row) + _floor(row))
    return f"{test}, {_sizes(row)}, {chance(p)} ({family}){more}"


def _exact(row: Row) -> str:
    """The p of the permutations, which no family adjusts; drawn where they are too many to try them
    all.
    """
    if math.isnan(row["p_exact"]) or row["constant"]:
        return ""
    which = "exact" if row["p_floor"] > FLOOR else "permutation"
    return f"; {which} {chance(row['p_exact'])}{', unadjusted' if row['comparisons'] > 1 else ''}"


def _floor(row: Row) -> str:
    """The least p of the exact test, where it and the family keep that test from ever reaching .05."""
    if not row["p_floor"] * row["comparisons"] > ALPHA or row["p_floor"] <= FLOOR:
        return ""
    which = "exact paired" if row["design"] == "paired" else "exact"
    return (
        f"; an {which} test could not reach .05 (floor {row['p_floor']:.2g} × {row['comparisons']})"
    )


def _margin(row: Row, metric: Metric) -> str:
    """The margin in the unit of the sentence, and as it was given where that is another: a
    fraction.
    """
    said = f"{number(row['margin'] * metric.factor, None)} {unit(metric)}"
    return said if metric.factor == 1 else f"{said} (margin {row['margin']:g}, a fraction)"


def _sizes(row: Row) -> str:
    if row["design"] == "paired":
        unequal = row["n_pairs"] < max(row["n_a"], row["n_b"])
        return f"n = {row['n_pairs']}" + (
            f" common seeds of {row['n_a']} and {row['n_b']}" if unequal else ""
        )
    return f"n = {row['n_a']}" if row["n_a"] == row["n_b"] else f"n = {row['n_a']} and {row['n_b']}"


def _seeds(row: Row) -> str:
    return (
        "the seed changes nothing in either arm"
        if row["seedless"]
        else f"{_sizes(row)}, no verdict below {FEW}"
    )


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _scaled(value: float | None, metric: Metric) -> float:
    return _known(value) * metric.factor


def _chances(p: float | None, floor: float | None) -> str:
    """The exact p with the least that it can be."""
    return "–" if p is None or floor is None else f"{p:.2g} (floor {floor:.2g})"
