"""Standard errors of scores over the images of an evaluation set, and how rows keep them.

They say how far a score of these images may be from that of all such images. They say nothing of
other seeds.
"""

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor

COLUMN = "evaluation_se"  # JSON: the standard error of each score, by its column


def estimate_standard_error(values: Tensor) -> float | None:
    """SD / √n of values (n,), the SD with n - 1; None of fewer than two values."""
    return float(values.std()) / len(values) ** 0.5 if len(values) > 1 else None


def merge_errors(text: str | None, errors: Mapping[str, float | None]) -> str | None:
    """The column of a row: what it had, and these; None if there is nothing in it.

    >>> merge_errors('{"kl": 0.5}', {"nelbo": 0.25, "rec": None})
    '{"kl": 0.5, "nelbo": 0.25}'
    """
    known: dict[str, Any] = json.loads(text) if text else {}
    known |= {name: error for name, error in errors.items() if error is not None}
    return json.dumps(known, sort_keys=True) if known else None
