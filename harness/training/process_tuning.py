"""Imports and compilation without Python's search for cyclic garbage, which takes a third to half of their time.

They make a million objects, all of which stay; the collector would look through them again and again.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for cyclic garbage meanwhile."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
