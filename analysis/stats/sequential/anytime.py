"""A t-test that holds whenever the seeds stop: an e-process.

For near-normal differences d₁ … dₙ with t = √n · mean / SD, and an effect of N(0, 1) standard
deviations under the alternative, the Bayes factor

    e = (1 + n)^(-1/2) · ((1 + t²/ν) / (1 + t²/(ν(1 + n))))^((ν + 1)/2),    ν = n - 1,

(Gönen et al., 2005, Am. Stat. 59:252, eq. 2) is a test martingale without a difference, under the
right Haar prior on the SD (Grünwald et al., 2024, J. R. Stat. Soc. B 86:1091). So e ≥ 1/α happens
with probability α at most, however often one looks (Ville's inequality), and min(1, 1/e) is a p.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def p_of_differences(differences: Floats) -> float:
    """p of no difference from pairs (n,); nan below two pairs and where they do not vary."""
    n = len(differences)
    if n < 2 or not np.ptp(differences) > 0:
        return math.nan
    t = differences.mean() / (differences.std(ddof=1) / math.sqrt(n))
    return float(anytime_p(np.array([t]), np.array([n]))[0])


def e_value(t: Floats, n: Floats) -> Floats:
    """Evidence against no difference from t of n pairs; 1 below two pairs: (comparisons,)."""
    return np.exp(_log_e(np.asarray(t, float), np.asarray(n, float)))


def anytime_p(t: Floats, n: Floats) -> Floats:
    """min(1, 1/e): a p-value at any stopping time: (comparisons,).

    >>> float(anytime_p(np.array([6.0]), np.array([10]))[0]).__round__(4)
    0.005
    """
    return np.asarray(np.exp(np.minimum(0.0, -_log_e(np.asarray(t, float), np.asarray(n, float)))))


def _log_e(t: Floats, n: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        df = n - 1
        log_e = -np.log1p(n) / 2 + n / 2 * (np.log1p(t**2 / df) - np.log1p(t**2 / (df * (1 + n))))
        at_infinity = -np.log1p(n) / 2 + n / 2 * np.log1p(n)
    known = np.where(np.isinf(t), at_infinity, log_e)
    return np.where(n < 2, 0.0, known)
