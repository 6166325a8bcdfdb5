"""A t-test that holds whenever the seeds stop: an e-process.

For near-normal differences d₁ … dₙ with t = √n · mean / SD, and an effect of N(0, 1) standard
deviations under the alternative, the Bayes factor

    e = (1 + n)^(-1/2) · ((1 + t²/ν) / (1 + t²/(ν(1 + n))))^((ν + 1)/2),    ν = n - 1,

(Gönen et al., 2005, Am. Stat. 59:252, eq. 2) is a test martingale without a difference, under the
right Haar prior on the SD (Grünwald et al., 2024, J. R. Stat. Soc. B 86:1091). So e ≥ 1/α happens
with probability α at most, however often one looks (Ville's inequality), and min(1, 1/e) is a p.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.stats.thresholds import ALPHA

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnytimeTest:
    """The test of n differences with this mean and standard error, in their unit."""

    mean: float
    se: float
    n: int

    @classmethod
    def of(cls, differences: Floats) -> "AnytimeTest":
        """That of some differences: (n,)."""
        n = len(differences)
        if n < 2:
            return cls(float(differences.mean()) if n else math.nan, math.nan, n)
        return cls(float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(n), n)

    @property
    def p(self) -> float:
        """p of no difference; nan where it has no spread or too few pairs."""
        return self._p_at(0.0)

    def interval(self, alpha: float = ALPHA) -> tuple[float, float]:
        """The interval that holds the true difference at every time, with probability 1 - alpha."""
        half = float(critical_t(np.array([self.n]), alpha)[0]) * self.se
        return self.mean - half, self.mean + half

    def equivalence_p(self, margin: float) -> float:
        """p that the difference is `margin` or more: the larger p of both margins."""
        if not abs(self.mean) < margin:
            return 1.0
        return max(self._p_at(margin), self._p_at(-margin))

    def _p_at(self, value: float) -> float:
        if not self.se > 0:
            return math.nan
        return float(anytime_p(np.array([(self.mean - value) / self.se]), np.array([self.n]))[0])


def e_value(t: Floats, n: Floats) -> Floats:
    """Evidence against no difference from t of n pairs; 1 below two pairs: (comparisons,)."""
    return np.exp(_log_e(np.asarray(t, float), np.asarray(n, float)))


def anytime_p(t: Floats, n: Floats) -> Floats:
    """min(1, 1/e): a p-value at any stopping time: (comparisons,).

    >>> float(anytime_p(np.array([6.0]), np.array([10]))[0]).__round__(4)
    0.005
    """
    return np.asarray(np.exp(np.minimum(0.0, -_log_e(np.asarray(t, float), np.asarray(n, float)))))


def critical_t(n: Floats, alpha: Floats | float) -> Floats:
    """The |t| of n pairs at which e = 1/alpha; infinite where no t is enough: (comparisons,)."""
    n = np.asarray(n, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (np.sqrt(1 + n) / alpha) ** (2 / n)
        squared = (n - 1) * (ratio - 1) / (1 - ratio / (1 + n))
        return np.asarray(np.where((ratio < 1 + n) & (n > 1), np.sqrt(squared), np.inf))


def _log_e(t: Floats, n: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        df = n - 1
        log_e = -np.log1p(n) / 2 + n / 2 * (np.log1p(t**2 / df) - np.log1p(t**2 / (df * (1 + n))))
        at_infinity = -np.log1p(n) / 2 + n / 2 * np.log1p(n)
    known = np.where(np.isinf(t), at_infinity, log_e)
    return np.where(n < 2, 0.0, known)
