"""Which arms of ours were trained as the protocol says, hence may stand beside a printed row."""

import json
from typing import Any

import pandas as pd

from analysis.frames.arm_names import labels
from analysis.frames.metrics import METRICS
from analysis.reproduction.references import Protocol, References
from analysis.sections.summary import scaled
from analysis.stats.estimates import arms

EXACT = ("model", "supervision", "labels", "beta", "dataset", "batch_size", "learning_rate")


def candidates(rows: pd.DataFrame, references: References) -> pd.DataFrame:
    """Results table -> what `estimate.arms` says of every arm and metric, in the metric's unit, with two columns more.

    arm: its name. elsewhere: whether its subset_* were scored on another list of images than the source report's.
    """
    table = scaled(arms(rows, [metric.column for metric in METRICS]))
    table = table.assign(arm=labels(table))
    return table.assign(elsewhere=table["arm"].isin(_elsewhere(rows, references.report_subset)))


def _elsewhere(rows: pd.DataFrame, checksum: str) -> set[str]:
    other = rows["subset_checksum"].notna() & (rows["subset_checksum"] != checksum)
    return set(rows.loc[other, "arm"])


def matching(ours: pd.DataFrame, protocol: Protocol) -> pd.Series:
    """Which rows of `arms` were trained as `protocol` says; a setting that an arm does not list is not compared."""
    same = ours["settings"].map(lambda text: _agree(json.loads(text), protocol))
    for column in EXACT:
        same &= ours[column] == getattr(protocol, column)
    return same


def _agree(settings: dict[str, Any], protocol: Protocol) -> bool:
    return all(settings.get(name, value) == value for name, value in protocol.settings.items())
