"""Single runs of an arm: median, worst run, runs far from the others, and lost runs.

A mean and a t-test do not show one collapsed run in ten; a count of lost runs does. Values are
(arms, seeds), nan where there is none.
"""

import numpy as np
import pandas as pd

from analysis.stats.differences import Bools, Floats
from analysis.stats.thresholds import MIN_SEEDS

# standard deviations: a normal arm of 5 has such a run in 5 % of cases, one of 10 in 0.5 %
MAX_DEVIATION = 8.0
# of a normal law, in median absolute deviations: Hampel (1974), J. Am. Stat. Assoc. 69:383
_SD_PER_MAD = 1.4826


def medians(values: Floats) -> Floats:
    """The median of every arm, nan without a value: (arms, seeds) -> (arms,)."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    n_values, ordered = np.isfinite(values).sum(axis=1), np.sort(values, axis=1)  # nan comes last
    middle = [
        np.maximum(place, 0)
        for place in ((n_values - 1) // 2, np.minimum(n_values // 2, values.shape[1] - 1))
    ]
    middle_values = [np.take_along_axis(ordered, place[:, None], axis=1)[:, 0] for place in middle]
    return np.where(n_values > 0, (middle_values[0] + middle_values[1]) / 2, np.nan)


def deviations(values: Floats) -> Floats:
    """Distance of each run from the median of its arm in robust SDs: (arms, seeds).

    It is nan with fewer than five seeds, and if half of the seeds have one value.
    """
    distances = values - medians(values)[:, None]
    scale = _SD_PER_MAD * medians(np.abs(distances))
    known = (scale > 0) & (np.isfinite(values).sum(axis=1) >= MIN_SEEDS)
    return np.where(known[:, None], distances / np.where(known, scale, 1.0)[:, None], np.nan)


def is_far(values: Floats) -> Bools:
    """Which runs are far from the others of their arm: (arms, seeds)."""
    return np.abs(deviations(values)) > MAX_DEVIATION


def is_collapsed(values: Floats, direction: int) -> Bools:
    """Which runs are far on the bad side `direction`, 1 or -1; 0 means on either side."""
    distances = deviations(values)
    return (np.abs(distances) if direction == 0 else direction * distances) > MAX_DEVIATION


def find_worst(values: Floats, direction: int) -> tuple[Floats, np.ndarray]:
    """The extreme value of every arm in a direction, 1 or -1, and its index: (arms,) each.

    The value is nan for an arm without values.
    """
    if not values.shape[1] or not direction:
        return np.full(len(values), np.nan), np.zeros(len(values), np.int64)
    place = np.where(np.isfinite(values), direction * values, -np.inf).argmax(axis=1)
    return np.take_along_axis(values, place[:, None], axis=1)[:, 0], place


def lost_runs_p(counts: pd.DataFrame) -> Floats:
    """Fisher's exact test, two-sided, of equally many lost runs in both arms: (comparisons,).

    counts: a row per comparison with lost and kept of a, lost and kept of b. nan if no run was
    lost. Fisher (1935), The Design of Experiments.
    """
    from scipy.stats import fisher_exact

    p = np.full(len(counts), np.nan)
    any_lost = counts.iloc[:, 0].to_numpy() + counts.iloc[:, 2].to_numpy() > 0
    if any_lost.any():
        tables, place = np.unique(counts.to_numpy(np.int64)[any_lost], axis=0, return_inverse=True)
        p[any_lost] = np.array([fisher_exact(each.reshape(2, 2)).pvalue for each in tables])[place]
    return p
