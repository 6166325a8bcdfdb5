"""Two classifiers on the same images: which of them the images tell apart, given one run of each.

It is a second level below the seeds: it says that two trained networks differ, not that two ways of training do.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.stats.estimates import LEVEL
from analysis.stats.multiplicity import adjusted
from harness.storage.store import Store

Classes = NDArray[np.uint8]
# fmt: off
COLUMNS = [
    "seed", "images", "accuracy_a", "low_a", "high_a", "accuracy_b", "low_b", "high_b", "both", "only_a", "only_b",
    "neither", "difference", "p",
]
# fmt: on


class Agreement(NamedTuple):
    """How many images only a, only b, both or neither classify right, and the p of McNemar's exact test."""

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
    """Predictions of a and b, true classes, each (images,) -> McNemar's exact test, Psychometrika 12:153 (1947)."""
    from statsmodels.stats.contingency_tables import mcnemar as exact  # slow to import

    right = a == targets, b == targets
    both, only_a = int((right[0] & right[1]).sum()), int((right[0] & ~right[1]).sum())
    only_b, neither = int((~right[0] & right[1]).sum()), int((~right[0] & ~right[1]).sum())
    p = exact([[both, only_a], [only_b, neither]], exact=True).pvalue if only_a + only_b else 1.0
    return Agreement(both, only_a, only_b, neither, min(1.0, float(p)))


def wilson(right: int, images: int) -> tuple[float, float]:
    """95 % interval of one network's accuracy over the images, fractions: Wilson (1927), J. Am. Stat. Assoc. 22:209.

    >>> [round(end, 4) for end in wilson(81, 263)]
    [0.2553, 0.3662]
    """
    from scipy.stats import binomtest

    low, high = binomtest(right, images).proportion_ci(LEVEL, method="wilson")
    return float(low), float(high)


def agreements(store: Store, rows: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Store, results table with `arm`, two arms of one data set -> one row a seed that both predicted the images with.

    Accuracies are fractions with their Wilson intervals over the images; p_adjusted is Holm's over the seeds. A seed
    that lacks the predictions of either arm has no row: older results hold none.
    """
    finished = rows.loc[rows["status"] == "ok", ["arm", "seed", "cell", "dataset"]]
    arms = [finished[finished["arm"] == arm].set_index("seed") for arm in (a, b)]
    seeds = arms[0].join(arms[1]["cell"].rename("other"), how="inner").sort_index()
    found = [
        {"seed": seed, **_said(*classes)}
        for seed, cell, dataset, other in seeds[["cell", "dataset", "other"]].itertuples()
        if (classes := _classes(store, cell, other, dataset))
    ]
    table = pd.DataFrame(found, columns=COLUMNS)
    return table.assign(p_adjusted=adjusted(table["p"].to_numpy(dtype=float), "holm"))


def _classes(store: Store, a: str, b: str, dataset: str) -> tuple[Classes, Classes, Classes] | None:
    predicted, others, targets = store.predictions(a), store.predictions(b), store.targets(dataset)
    if predicted is None or others is None or targets is None:
        return None
    return predicted, others, targets


def _said(a: Classes, b: Classes, targets: Classes) -> dict[str, float]:
    found = mcnemar(a, b, targets)
    said: dict[str, float] = {"images": len(targets), **found._asdict(), "difference": found.difference}
    for name, only in (("a", found.only_a), ("b", found.only_b)):
        low, high = wilson(found.both + only, len(targets))
        said |= {f"accuracy_{name}": (found.both + only) / len(targets), f"low_{name}": low, f"high_{name}": high}
    return said
