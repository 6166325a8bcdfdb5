"""Student's and Welch's t from n, mean and SD: p, interval, equivalence, and one more run.

Samples that are known run by run are summarised first (`summarize`), so that printed figures and
our own runs go through the same test. Differences are ours − theirs. All arrays are
(comparisons,), in the unit of the values.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from analysis.stats.thresholds import CONFIDENCE

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SampleSummary:
    """How many runs, their mean, and their standard deviation with n − 1 in the denominator."""

    n: NDArray[np.int64]
    mean: Floats
    sd: Floats

    @property
    def variance(self) -> Floats:
        """The squared standard error of the mean."""
        return np.asarray(self.sd**2 / np.maximum(self.n, 1))


def summarize(values: Floats) -> SampleSummary:
    """Values (comparisons, n) -> n, mean and SD of each row; nan where n is too small for them."""
    n, nans = values.shape[-1], np.full(len(values), np.nan)
    mean = np.asarray(values.mean(axis=-1)) if n else nans
    sd = np.asarray(np.std(values, axis=-1, ddof=1)) if n > 1 else nans
    return SampleSummary(np.full(len(values), n), mean, sd)


@dataclass(frozen=True)
class TTest:
    """A difference, its standard error and degrees of freedom, from which all else follows.

    A result is nan where se is zero or nan and the statistic has no value.
    """

    difference: Floats
    se: Floats
    df: Floats

    @property
    def p(self) -> Floats:
        """Two-sided p of no difference."""
        return np.asarray(2 * stdtr(self.df, -np.abs(self._in_se(self.difference))))

    @property
    def interval(self) -> tuple[Floats, Floats]:
        """Low and high end of the 95 % interval: difference ∓ t(0.975, df) · SE."""
        half = stdtrit(self.df, (1 + CONFIDENCE) / 2) * self.se
        return self.difference - half, self.difference + half

    def tost_p(self, margin: Floats | float) -> Floats:
        """p that the means are `margin` or more apart: the larger p of two one-sided tests.

        Schuirmann (1987), J. Pharmacokin. Biopharm. 15:657.
        """
        above = stdtr(self.df, self._in_se(self.difference - margin))
        below = stdtr(self.df, -self._in_se(self.difference + margin))
        return np.asarray(np.maximum(above, below))

    def _in_se(self, distance: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(distance / self.se)


def paired_test(pairs: SampleSummary) -> TTest:
    """Student's t of the differences within pairs: Student (1908), Biometrika 6:1."""
    return TTest(pairs.mean, np.sqrt(pairs.variance), pairs.n.astype(float) - 1)


def welch_test(ours: SampleSummary, theirs: SampleSummary) -> TTest:
    """Welch's t of two independent samples, variances not assumed equal.

    Welch (1947), Biometrika 34:28; the degrees of freedom are those of Satterthwaite.
    """
    one, other = ours.variance, theirs.variance
    with np.errstate(divide="ignore", invalid="ignore"):  # n = 1, no variance: nan
        df = (one + other) ** 2 / (one**2 / (ours.n - 1) + other**2 / (theirs.n - 1))
    return TTest(ours.mean - theirs.mean, np.sqrt(one + other), np.asarray(df))


def prediction_interval(ours: SampleSummary) -> tuple[Floats, Floats]:
    """The 95 % prediction interval of one more run: mean ± t(0.975, n − 1) · SD · √(1 + 1/n).

    Hahn and Meeker (1991), Statistical Intervals, section 4.7. It assumes that runs are normal and
    that the new one is made as ours are.
    """
    half = stdtrit(ours.n - 1, (1 + CONFIDENCE) / 2) * ours.sd * np.sqrt(1 + 1 / ours.n)
    return ours.mean - half, ours.mean + half
