"""Columns of the results table that a metric brings along, and how a table describes them.

The schema knows the columns that every table has. Any other column holds numbers of one metric
and is described in the table itself: by the metadata of its field, and by the text in the column
`own_columns` of each row that has it, as pandas drops metadata. So a reader needs no plug-in.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

Better = Literal["lower", "higher"]

OWN_COLUMNS = "own_columns"  # the column that holds the descriptions
NAME_FORM = "a lower-case letter, then at most 62 lower-case letters, digits or _"
# columns that the analysis adds to the rows, or that its tables of one metric have
_ANALYSIS_NAMES = """
    adaptive arm arms cells evaluation gain imbalance judges labelled metric missing objective
    python rank results samples size text torch unit unrecorded value
"""
RESERVED_NAMES = frozenset(_ANALYSIS_NAMES.split())
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_KEYS = {"unit", "better", "meaning"}


@dataclass(frozen=True)
class OwnColumn:
    """What a column of one metric holds.

    unit: of its values; empty for a number without a unit
    better: which direction is better; None where neither is
    meaning: in a few words
    """

    unit: str
    better: Better | None
    meaning: str

    def to_metadata(self) -> dict[str, str]:
        """The metadata of the column's field; no direction is an empty text."""
        return {"unit": self.unit, "better": self.better or "", "meaning": self.meaning}


def is_own_name(name: str) -> bool:
    """Whether a metric may bring along a column of this name; the schema's names are not checked.

    >>> is_own_name("sharpness"), is_own_name("Sharpness"), is_own_name("arm")
    (True, False, False)
    """
    return _NAME.fullmatch(name) is not None and name not in RESERVED_NAMES


def format_descriptions(columns: Mapping[str, OwnColumn]) -> str | None:
    """The text of a row's column `own_columns`; None where a row has no column of its own.

    >>> format_descriptions({"sharpness": OwnColumn("", "higher", "edges")})
    '{"sharpness": {"unit": "", "better": "higher", "meaning": "edges"}}'
    """
    if not columns:
        return None
    described = {name: asdict(columns[name]) for name in sorted(columns)}
    return json.dumps(described, ensure_ascii=False)


def parse_descriptions(text: str | None) -> dict[str, OwnColumn]:
    """The columns that a row describes, by name; ValueError for a text of another form."""
    return {} if text is None else dict(_parse_text(text))


@lru_cache(maxsize=1024)
def _parse_text(text: str) -> Mapping[str, OwnColumn]:
    try:
        described = json.loads(text)
    except (ValueError, RecursionError):
        described = None
    if not isinstance(described, dict):
        raise ValueError(f"{OWN_COLUMNS} is {text[:60]!r}; expected descriptions by column, JSON")
    return {name: _parse_description(name, values) for name, values in described.items()}


def parse_metadata(metadata: Mapping[bytes, bytes] | None) -> OwnColumn | None:
    """The description in a field's metadata, None if it holds none."""
    texts = [(key.decode(errors="replace"), value) for key, value in (metadata or {}).items()]
    values = {key: value.decode(errors="replace") for key, value in texts}
    if not values.keys() >= _KEYS or values["better"] not in ("", "lower", "higher"):
        return None
    return _make_column(values)


def _parse_description(name: str, values: Any) -> OwnColumn:
    """One description; ValueError if it is not whole or its column cannot be one."""
    if not is_own_name(name):
        raise ValueError(f"{OWN_COLUMNS} describes {name[:60]!r}; expected {NAME_FORM}")
    texts = isinstance(values, dict) and values.keys() == _KEYS
    if (
        not texts
        or not all(isinstance(values[key], str) for key in ("unit", "meaning"))
        or values["better"] not in (None, "lower", "higher")
    ):
        raise ValueError(
            f"{OWN_COLUMNS} describes {name} by {str(values)[:60]}; expected unit, better (lower, "
            "higher or null) and meaning"
        )
    return _make_column(values)


def _make_column(values: Mapping[str, Any]) -> OwnColumn:
    return OwnColumn(values["unit"], values["better"] or None, values["meaning"])
