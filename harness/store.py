"""Deprecated name of `harness.storage.store`: kept for plug-ins and scripts of version 0.1."""

from harness.storage.store import SETTLED as SETTLED
from harness.storage.store import STAMPS as STAMPS
from harness.storage.store import TABLE as TABLE
from harness.storage.store import Found as Found
from harness.storage.store import Pictures as Pictures
from harness.storage.store import Store as Store
from harness.storage.store import place as place
