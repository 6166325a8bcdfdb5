"""Simulate the shipped bounds of declared looks, analysis/stats/sequential/look_bounds.csv.

    python -m benchmarks.look_bounds

Four million samples a design, a minute. Each bound is given for an error of .05 / tests, tests
from 1 to 45 (ten arms, each pair). The relative Monte Carlo error of a bound is about one over the
root of the samples that its look claims: 0.5 % of one test, 3 % of 45.
"""

import numpy as np
import pandas as pd

from analysis.stats.sequential.look_bounds import SEED, TABLE, simulate_p_values, spend_evenly
from analysis.stats.thresholds import ALPHA

DRAWS = 4_000_000
MAX_TESTS = 45
DESIGNS = (
    (5, 10),
    (5, 10, 15),
    (5, 10, 15, 20),
    (5, 10, 20),
    (5, 8),
    (5, 8, 12),
    (6, 12, 18),
    (10, 20),
    (10, 20, 30),
)


def main() -> None:
    """Simulate all designs and write the table."""
    rows = []
    for looks in DESIGNS:
        p = simulate_p_values(looks, DRAWS, np.random.default_rng(SEED))
        for tests in range(1, MAX_TESTS + 1):
            bounds = " ".join(f"{bound:.4g}" for bound in spend_evenly(p, ALPHA / tests))
            rows.append({"looks": " ".join(map(str, looks)), "tests": tests, "bounds": bounds})
        print(rows[-MAX_TESTS])
    pd.DataFrame(rows).to_csv(TABLE, index=False)


if __name__ == "__main__":
    main()
