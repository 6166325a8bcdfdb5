"""Compare two trained classifiers on the same images.

A significant result shows that these two networks differ, not that the two ways of training do:
that is tested over seeds.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.stats.thresholds import CONFIDENCE

Floats = NDArray[np.float64]
Classes = NDArray[np.uint8]


class Agreement(NamedTuple):
    """Numbers of images that both, one or neither network classifies right, and McNemar's p."""

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
    """McNemar's exact test: predictions of a and b and true classes, each (images,).

    McNemar (1947), Psychometrika 12:153.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact  # slow to import

    correct = a == targets, b == targets
    both, only_a = int((correct[0] & correct[1]).sum()), int((correct[0] & ~correct[1]).sum())
    only_b, neither = int((~correct[0] & correct[1]).sum()), int((~correct[0] & ~correct[1]).sum())
    p = exact([[both, only_a], [only_b, neither]], exact=True).pvalue if only_a + only_b else 1.0
    return Agreement(both, only_a, only_b, neither, min(1.0, float(p)))


def wilson_interval(counts: ArrayLike, total: int) -> tuple[Floats, Floats]:
    """Low and high end of the 95 % interval of counts / total, fractions of the shape of counts.

    Wilson (1927), J. Am. Stat. Assoc. 22:209.

    >>> [end.round(4).item() for end in wilson_interval(81, 263)]
    [0.2553, 0.3662]
    """
    from statsmodels.stats.proportion import proportion_confint  # slow to import

    counts = np.asarray(counts)
    low, high = proportion_confint(counts, total, alpha=1 - CONFIDENCE, method="wilson")
    # rounding puts the ends of 0 and 1 a last digit inside
    share = counts / total
    return np.clip(np.minimum(low, share), 0.0, 1.0), np.clip(np.maximum(high, share), 0.0, 1.0)
