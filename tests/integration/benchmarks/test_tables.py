import numpy as np

from analysis.comparison.comparisons import compare_arms
from benchmarks import calibration, scale, sequential


def test_simulated_tables_have_the_columns_that_the_analysis_reads() -> None:
    rng = np.random.default_rng(0)
    values = calibration.drawn(rng, 3, 6, 2, 0.5)
    assert len(calibration.verdicts(values, shared=True)) == 6
    assert len(compare_arms(scale.results(2, 3, 6), scale.HOW)) == 6


def test_tables_at_looks_give_the_claims_of_one_table() -> None:
    sequential.check_against_tables(np.random.default_rng(0))
