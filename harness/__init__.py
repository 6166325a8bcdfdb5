"""The harness: knows how to run any model and names none.

`run` runs a grid from Python. It is imported when it is first used, so that importing the harness
stays light.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import run as run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    """Import `run` on first use."""
    if name != "run":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from harness.api import run

    return run
