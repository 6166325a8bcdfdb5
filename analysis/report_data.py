"""What a section of the report is, and what all sections are built from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.frames.declared import Declaration
from analysis.frames.load import ResultFrames
from analysis.frames.metrics import Metric
from analysis.rendering.section import Content, Family
from analysis.reproduction.references import References
from harness.storage.store import PictureKind, Store

SampleSheets = Mapping[PictureKind, Mapping[str, bytes]]  # PNGs by kind and cell


@dataclass(frozen=True)
class ReportData:
    """A results folder and what is derived from it, computed once for all sections.

    - store, results_path: the folder, and its name as the user wrote it.
    - frames: everything that was read from it.
    - rows: the rows that count, with `arm` and `adaptive`; a seed that several cells claim is not
      among them.
    - arms: `summarize_arms` of the rows. arm_counts: `count_cells` of the rows.
    - units: what comparisons count, one a row: the rows, or the studies of searches where the grid
      compares these. unit_arms: `summarize_arms` of them.
    - finished: those of the rows whose cells have a result.
    - arms: `summarize_arms` of the rows. arm_counts: `count_cells` of the rows. arm_names: their
      names, in the order of the tables.
    - metrics: those of every table and those that the rows describe, by column. estimates:
      `estimate_arms` of all of them, in their units. main_metrics: those of the short tables.
    - declaration: which comparisons the grid declared. comparisons: their results, the columns
      `analysis.comparison.comparisons.COLUMNS`. families: the same by metric, in words.
    - caveats: sentences that a reader needs before citing a number.
    - references: the published figures. show_all_references: whether to show them even if no arm
      was trained as they were.
    - sheets: PNGs of samples, reconstructions and traversals.
    """

    store: Store
    results_path: str
    frames: ResultFrames
    rows: pd.DataFrame
    finished: pd.DataFrame
    arms: pd.DataFrame
    arm_counts: pd.DataFrame
    units: pd.DataFrame
    unit_arms: pd.DataFrame
    arm_names: Sequence[str]
    metrics: Mapping[str, Metric]
    estimates: pd.DataFrame
    main_metrics: Sequence[Metric]
    declaration: Declaration
    comparisons: pd.DataFrame
    families: Sequence[Family]
    caveats: Sequence[str]
    references: References
    show_all_references: bool
    sheets: SampleSheets


@dataclass(frozen=True)
class Section:
    """A section of the report: its name in addresses, its heading, and what builds it.

    dense: whether the page sets its tables smaller.
    """

    name: str
    title: str
    build: Callable[[ReportData], Content]
    dense: bool = False
