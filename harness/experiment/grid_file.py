"""Grids as YAML files: the shipped ones and a user's own, with flags laid over them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.errors import InputError, short_repr, truncate, unknown_name_error
from harness.experiment import yaml_file
from harness.experiment.grid import ComparisonSpec, Grid, Sweep

SHIPPED_FOLDER = Path(__file__).parent / "grids"


def list_shipped() -> dict[str, Path]:
    """The grids that come with the project, by name."""
    return {path.stem: path for path in sorted(SHIPPED_FOLDER.glob("*.yaml"))}


def read(name: str) -> dict[str, Any]:
    """A shipped grid's name or a YAML file -> its keys, not validated yet, so that flags can be
    laid over them.
    """
    path = list_shipped().get(name) or Path(name)
    if not path.is_file():
        if re.search(r"[/\\.]", name):
            raise InputError(
                f"no grid file {name!r}; expected a YAML file or a shipped grid: "
                f"{', '.join(list_shipped())}"
            )
        raise unknown_name_error("grid", name, list_shipped())
    try:
        keys = yaml_file.parse_yaml(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"grid {name!r} cannot be read: {error.strerror}; expected a YAML file"
        ) from None
    except ValueError as error:
        raise InputError(f"grid {name!r} is not YAML: {error}") from None
    if not isinstance(keys, dict):
        raise InputError(
            f"grid {name!r}: expected a mapping with the keys {', '.join(Grid.model_fields)}"
        )
    return {"name": path.stem, **keys}


def validate(keys: Mapping[str, Any]) -> Grid:
    """A grid from its keys; bad ones are told in one line: where, what was given, what was
    expected.
    """
    try:
        return Grid.model_validate(dict(keys))
    except ValidationError as error:
        raise InputError(_format_validation_error(error)) from None


def apply_flags(
    keys: Mapping[str, Any], flags: Mapping[str, Any], models: list[str] | None = None
) -> Grid:
    """A grid with flags laid over it: a sweep's keys over every sweep, the grid's own over the
    grid.

    `models` keeps the sweeps of these models alone and adds a plain sweep of one that the grid
    lacks.
    """
    # what was not said stays unsaid: `model_fields_set`
    grid = validate(keys).model_dump(exclude_unset=True)
    if models:
        kept_sweeps = [sweep for sweep in grid["sweeps"] if sweep["model"] in models]
        added_models = dict.fromkeys(
            name for name in models if name not in {sweep["model"] for sweep in kept_sweeps}
        )
        grid["sweeps"] = kept_sweeps + [{"model": name} for name in added_models]
    sweep_flags = {key: value for key, value in flags.items() if key in Sweep.model_fields}
    grid["sweeps"] = [sweep | sweep_flags for sweep in grid["sweeps"]]
    return validate(grid | {key: value for key, value in flags.items() if key not in sweep_flags})


def _format_validation_error(error: ValidationError) -> str:
    errors = error.errors()
    # a typo also leaves a key missing
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    location = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        parts: dict[str, type[BaseModel]] = {"sweeps": Sweep, "compare": ComparisonSpec}
        holding_model = parts.get(location[0], Grid) if len(location) > 1 else Grid
        return str(unknown_name_error("grid key", location[-1], holding_model.model_fields))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "bool_type":  # pydantic names the first type that a setting can have
        location, message = location[:-1], "expected a number, a word or a truth value"
    key_path = ".".join(part for part in location if not part.startswith(("list[", "function-")))
    input_text = (
        "" if first["type"] in ("missing", "value_error") else f", got {short_repr(first['input'])}"
    )
    return f"grid key '{truncate(key_path)}': {message[0].lower()}{message[1:]}{input_text}"
