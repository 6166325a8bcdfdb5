"""Two classifiers on the same images: which of them the images tell apart, given one run of each.

It is a second level below the seeds: it says that two trained networks differ, not that two ways of
training do.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.stats.thresholds import CONFIDENCE

Classes = NDArray[np.uint8]


class Agreement(NamedTuple):
    """How many images only a, only b, both or neither classify right, and the p of McNemar's exact
    test.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    p: float

    @property
    def difference(self) -> float:
        """Accuracy of a less that of b, a fraction."""
        return (self.only_a - self.only_b) / (self.both + self.only_a + self.only_b + self.neither)


def mcnemar(a: Classes, b: Classes, targets: Classes) -> Agreement:
    """Predictions of a and b, true classes, each (images,) -> McNemar's exact test, Psychometrika
    12:153 (1947).
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact  # slow to import

    correct = a == targets, b == targets
    both, only_a = int((correct[0] & correct[1]).sum()), int((correct[0] & ~correct[1]).sum())
    only_b, neither = int((~correct[0] & correct[1]).sum()), int((~correct[0] & ~correct[1]).sum())
    p = exact([[both, only_a], [only_b, neither]], exact=True).pvalue if only_a + only_b else 1.0
    return Agreement(both, only_a, only_b, neither, min(1.0, float(p)))


def wilson_interval(correct: int, images: int) -> tuple[float, float]:
    """95 % interval of one network's accuracy over the images, fractions: Wilson (1927), J. Am.
    Stat. Assoc. 22:209.

    >>> [round(end, 4) for end in wilson_interval(81, 263)]
    [0.2553, 0.3662]
    """
    from scipy.stats import binomtest

    low, high = binomtest(correct, images).proportion_ci(CONFIDENCE, method="wilson")
    return float(low), float(high)
