"""The samples of an arm as a picture on the page."""

from collections.abc import Iterator, Sequence

from analysis.estimate import counts
from analysis.naming import labels
from analysis.page import Picture
from analysis.results import Results


def galleries(results: Results) -> Iterator[Picture]:
    """The samples of each arm's first finished seed, in the order of the tables, where it has any."""
    shown = results.rows[results.rows["cell"].isin(results.samples.keys())].set_index("arm")
    for arm in labels(counts(results.rows)):
        if arm in shown.index:
            cell, seed, digits = shown.loc[arm, ["cell", "seed", "digit_counts_200"]]
            yield Picture(results.samples[cell], arm, f"seed {seed}{_judged(digits)}")


def _judged(digits: Sequence[int] | None) -> str:
    return "" if digits is None else f"; the judge sees of digits 0 to 9: {' '.join(map(str, digits))}"
