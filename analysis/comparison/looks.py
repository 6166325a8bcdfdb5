"""Compare arms at declared looks: a comparison that is settled at one is not tested again.

At each look every open comparison of a family is tested with the bound of that look, step by step
as in Holm's procedure: the k-th smallest p of m open ones has the bound of an error of
.05 / (m - k + 1) (Maurer and Bretz, 2013, Stat. Biopharm. Res. 5:311). What is claimed at a look
stays claimed. Equivalence is tested by two one-sided tests at the same bounds.
"""

from dataclasses import dataclass

import numpy as np

from analysis.frames.declared import LookPlan
from analysis.stats.differences import Floats
from analysis.stats.sequential.look_bounds import find_bounds
from analysis.stats.thresholds import ALPHA

COLUMNS = ["look", "bound"]  # of a comparison table, besides, where looks were declared


@dataclass(frozen=True)
class Look:
    """One look at a family of comparisons.

    number: from 0
    n_different, n_equivalent: comparisons of the family that earlier looks have claimed so
    """

    plan: LookPlan
    number: int
    n_different: int = 0
    n_equivalent: int = 0

    @property
    def label(self) -> str:
        """Which look it is: `look 2 of 4`."""
        return f"look {self.number + 1} of {len(self.plan.looks)}"

    def find_bound(self, tests: int = 1) -> float:
        """The bound of p at this look for an error of .05 / tests."""
        return float(find_bounds(self.plan.looks, tests)[self.number])

    def step_down(self, p: Floats, n_family: int) -> tuple[Floats, Floats]:
        """p of the open comparisons -> p in proportion to its bound, and the bound: (comparisons,).

        n_family: comparisons of the family whose hypothesis no look has rejected, these included

        The first is .05 · p / bound, made to rise with p as Holm's adjusted p does: it is at most
        .05 exactly where the look claims the comparison. The bound is that of the step at which
        the comparison was tested, or at which the steps ended.
        """
        order = np.argsort(p, kind="stable")
        bounds = np.array([self.find_bound(n_family - step) for step in range(len(p))])
        ratios = np.maximum.accumulate(np.minimum(ALPHA * p[order] / bounds, 1.0))
        n_passed = int((ratios <= ALPHA).sum())
        steps = np.minimum(np.arange(len(p)), min(n_passed, max(len(p) - 1, 0)))
        adjusted, used = np.empty(len(p)), np.empty(len(p))
        adjusted[order], used[order] = ratios, bounds[steps]
        return adjusted, used
