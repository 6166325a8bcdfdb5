"""From the results table to verdicts: estimates, comparisons, published figures, the report.

`Results` reads a results folder. It is imported when it is first used, so that the packages below
stay light. Nothing here imports torch or Ray.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.results import Results as Results

__all__ = ["Results"]


def __getattr__(name: str) -> Any:
    """Import `Results` on first use."""
    if name != "Results":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from analysis.results import Results

    return Results
