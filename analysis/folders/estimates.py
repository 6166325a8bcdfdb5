"""The cells of a folder that count, and the estimates of its arms, as the report has them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from analysis.frames import duplicates, searches
from analysis.frames.arm_table import count_cells, estimate_arms, scale_estimates, summarize_arms
from analysis.frames.load import ResultFrames
from analysis.frames.metrics import Metric, describe_metrics
from harness.errors import InputError


def select_counted(frames: ResultFrames) -> pd.DataFrame:
    """The rows of arms, without trainings of former winners and seeds that several cells claim.

    InputError if none is left.
    """
    current, _ = searches.drop_stale(frames.rows, frames.trials)
    counted = duplicates.drop_duplicates(current) if len(current) else current
    if counted.empty:
        raise InputError("no row of an arm counts; expected a folder with trainings")
    return counted


@dataclass(frozen=True)
class Estimates:
    """The arms of the rows that count, and their estimates in the units of the metrics."""

    rows: pd.DataFrame

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """All metrics by column."""
        return describe_metrics(self.rows)

    @cached_property
    def arm_counts(self) -> pd.DataFrame:
        """A row an arm: `count_cells`."""
        return count_cells(self.rows)

    @cached_property
    def arms(self) -> pd.DataFrame:
        """A row an arm: `summarize_arms`."""
        return summarize_arms(self.rows)

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row an arm and metric: scaled `estimate_arms`."""
        columns: Iterable[str] = self.metrics
        return scale_estimates(estimate_arms(self.rows, self.arm_counts, list(columns)))
