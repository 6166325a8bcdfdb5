"""Deprecated path of version 0.1 to the columns of results: use `harness.storage.schema`."""

from harness.storage.schema import ARM_COLUMNS as ARM
from harness.storage.schema import COLUMN_NAMES as NAMES
from harness.storage.schema import COLUMNS as COLUMNS
from harness.storage.schema import CURVE_SCHEMA as CURVE
from harness.storage.schema import LATER_COLUMNS as LATER
from harness.storage.schema import LATER_CURVE_COLUMNS as CURVE_LATER
from harness.storage.schema import PANDAS_INDEX as INDEX
from harness.storage.schema import SCHEMA as SCHEMA
from harness.storage.schema import SUM_TOLERANCE as TOLERANCE
from harness.storage.schema import VERSION as VERSION
from harness.storage.schema import Column as Column
from harness.storage.schema import Estimator as Estimator
from harness.storage.schema import Row as Row
from harness.storage.schema import Status as Status
from harness.storage.schema import adds_up as adds_up
from harness.storage.schema import conform_to_schema as fitted
from harness.storage.schema import describe_cell as describe
from harness.storage.schema import infer_estimator as estimator
from harness.storage.schema import is_known_version as known
from harness.storage.schema import make_row as row

__all__ = [
    "ARM",
    "COLUMNS",
    "CURVE",
    "CURVE_LATER",
    "INDEX",
    "LATER",
    "NAMES",
    "SCHEMA",
    "TOLERANCE",
    "VERSION",
    "Column",
    "Estimator",
    "Row",
    "Status",
    "adds_up",
    "describe",
    "estimator",
    "fitted",
    "known",
    "row",
]
