"""Deprecated path of version 0.1 to the results store: use `harness.storage.store`."""

from harness.storage.store import TABLE as TABLE
from harness.storage.store import Contents as Found
from harness.storage.store import PictureKind as Pictures
from harness.storage.store import Store as Store
from harness.storage.store import make_backend as place
from harness.storage.table import SETTLED_NS as SETTLED
from harness.storage.table import VERSIONS_KEY as STAMPS

__all__ = ["SETTLED", "STAMPS", "TABLE", "Found", "Pictures", "Store", "place"]
