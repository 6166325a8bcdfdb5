"""Deprecated path of version 0.1 to cells and grids: use `harness.experiment`."""

from harness.experiment.cell import Cell as Cell
from harness.experiment.cell import ModelCard as ModelCard
from harness.experiment.cell import Setting as Setting
from harness.experiment.cell import Supervision as Supervision
from harness.experiment.grid import DATASETS as DATASETS
from harness.experiment.grid import DEFAULT_SAMPLES as SAMPLES
from harness.experiment.grid import MAX_CELLS as CELLS
from harness.experiment.grid import MIN_SAMPLES as FEWEST_SAMPLES
from harness.experiment.grid import STRICT_CONFIG as Strict
from harness.experiment.grid import ComparisonSpec as Compare
from harness.experiment.grid import Count as Count
from harness.experiment.grid import Counts as Counts
from harness.experiment.grid import Grid as Grid
from harness.experiment.grid import LabelDraw as LabelDraw
from harness.experiment.grid import ListedDraw as ListedDraw
from harness.experiment.grid import Names as Names
from harness.experiment.grid import Positive as Positive
from harness.experiment.grid import Positives as Positives
from harness.experiment.grid import Seed as Seed
from harness.experiment.grid import Settings as Settings
from harness.experiment.grid import Supervisions as Supervisions
from harness.experiment.grid import Sweep as Sweep
from harness.experiment.grid import name_cells as names
from harness.experiment.grid_file import SHIPPED_FOLDER as SHIPPED
from harness.experiment.grid_file import apply_flags as overlaid
from harness.experiment.grid_file import list_shipped as shipped
from harness.experiment.grid_file import read as read
from harness.experiment.grid_file import validate as validate
from harness.experiment.metrics import BOUND_METRICS as BOUNDS
from harness.experiment.metrics import FRACTION_METRICS as FRACTIONS
from harness.experiment.metrics import IWAE_SAMPLES as IWAE_SAMPLES
from harness.experiment.metrics import MAX_FRACTION_MARGIN as WIDEST
from harness.experiment.metrics import METRICS as METRICS
from harness.experiment.metrics import check_margin as check_margin

__all__ = [
    "BOUNDS",
    "CELLS",
    "DATASETS",
    "FEWEST_SAMPLES",
    "FRACTIONS",
    "IWAE_SAMPLES",
    "METRICS",
    "SAMPLES",
    "SHIPPED",
    "WIDEST",
    "Cell",
    "Compare",
    "Count",
    "Counts",
    "Grid",
    "LabelDraw",
    "ListedDraw",
    "ModelCard",
    "Names",
    "Positive",
    "Positives",
    "Seed",
    "Setting",
    "Settings",
    "Strict",
    "Supervision",
    "Supervisions",
    "Sweep",
    "check_margin",
    "names",
    "overlaid",
    "read",
    "shipped",
    "validate",
]
