"""Two means of which only n, mean and SD are known: Welch's test, the interval, equivalence, one
run more.

The samples are ours and theirs; differences are ours − theirs. Arrays of one length in and out, in
the metric's unit.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import ttest_ind_from_stats

from analysis.stats.thresholds import CONFIDENCE

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SampleSummary:
    """Summary numbers, each (comparisons,): how many runs, their mean, their standard deviation (n
    − 1).
    """

    n: NDArray[np.int64]
    mean: Floats
    sd: Floats

    @property
    def variance(self) -> Floats:
        """The squared standard error of the mean: (comparisons,)."""
        return np.asarray(self.sd**2 / self.n)


def welch_p(ours: SampleSummary, theirs: SampleSummary) -> Floats:
    """Two-sided p of equal means, variances not assumed equal: Welch (1947), Biometrika 34:28."""
    return _t_test_p(ours, theirs, 0.0, "two-sided")


def tost_p(ours: SampleSummary, theirs: SampleSummary, margin: Floats) -> Floats:
    """p that the means lie `margin` or more apart: two one-sided Welch tests, Schuirmann (1987),
    the larger p.
    """
    return np.maximum(
        _t_test_p(ours, theirs, -margin, "greater"), _t_test_p(ours, theirs, margin, "less")
    )


def _t_test_p(
    ours: SampleSummary,
    theirs: SampleSummary,
    shift: Floats | float,
    alternative: Literal["two-sided", "less", "greater"],
) -> Floats:
    result = ttest_ind_from_stats(
        mean1=ours.mean - shift,
        std1=ours.sd,
        nobs1=ours.n,
        mean2=theirs.mean,
        std2=theirs.sd,
        nobs2=theirs.n,
        equal_var=False,
        alternative=alternative,
    )
    return np.asarray(result.pvalue)


def confidence_interval(ours: SampleSummary, theirs: SampleSummary) -> tuple[Floats, Floats]:
    """The 95 % interval of the difference: d ± t(0.975, Welch's degrees of freedom) · SE of d."""
    half = stdtrit(degrees_of_freedom(ours, theirs), (1 + CONFIDENCE) / 2) * standard_error(
        ours, theirs
    )
    difference = ours.mean - theirs.mean
    return difference - half, difference + half


def standard_error(ours: SampleSummary, theirs: SampleSummary) -> Floats:
    """The standard error of the difference."""
    return np.sqrt(ours.variance + theirs.variance)


def degrees_of_freedom(ours: SampleSummary, theirs: SampleSummary) -> Floats:
    """Welch–Satterthwaite degrees of freedom."""
    one, other = ours.variance, theirs.variance
    return np.asarray((one + other) ** 2 / (one**2 / (ours.n - 1) + other**2 / (theirs.n - 1)))


def prediction_interval(ours: SampleSummary) -> tuple[Floats, Floats]:
    """The 95 % prediction interval of one more run: mean ± t(0.975, n − 1) · SD · √(1 + 1/n).

    Hahn and Meeker (1991), Statistical Intervals, section 4.7; it supposes normal runs, made as
    ours are.
    """
    half = stdtrit(ours.n - 1, (1 + CONFIDENCE) / 2) * ours.sd * np.sqrt(1 + 1 / ours.n)
    return ours.mean - half, ours.mean + half
