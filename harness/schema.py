"""Deprecated name of `harness.storage.schema`: kept for plug-ins and scripts of version 0.1."""

from harness.storage.schema import ARM as ARM
from harness.storage.schema import COLUMNS as COLUMNS
from harness.storage.schema import CURVE as CURVE
from harness.storage.schema import CURVE_LATER as CURVE_LATER
from harness.storage.schema import INDEX as INDEX
from harness.storage.schema import LATER as LATER
from harness.storage.schema import NAMES as NAMES
from harness.storage.schema import SCHEMA as SCHEMA
from harness.storage.schema import TOLERANCE as TOLERANCE
from harness.storage.schema import VERSION as VERSION
from harness.storage.schema import Column as Column
from harness.storage.schema import Estimator as Estimator
from harness.storage.schema import Row as Row
from harness.storage.schema import Status as Status
from harness.storage.schema import adds_up as adds_up
from harness.storage.schema import describe as describe
from harness.storage.schema import estimator as estimator
from harness.storage.schema import fitted as fitted
from harness.storage.schema import known as known
from harness.storage.schema import row as row
