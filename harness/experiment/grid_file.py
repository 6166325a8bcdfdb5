"""Grids as YAML files: the shipped ones and a user's own, with flags laid over them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.errors import BadInput, given, shortened, unknown
from harness.experiment import yaml_file
from harness.experiment.grid import Compare, Grid, Sweep

SHIPPED = Path(__file__).parent / "grids"


def shipped() -> dict[str, Path]:
    """The grids that come with the project, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def read(name: str) -> dict[str, Any]:
    """A shipped grid's name or a YAML file -> its keys, not validated yet, so that flags can be
    laid over them.
    """
    path = shipped().get(name) or Path(name)
    if not path.is_file():
        if re.search(r"[/\\.]", name):
            raise BadInput(
                f"no grid file {name!r}; expected a YAML file or a shipped grid: "
                f"{', '.join(shipped())}"
            )
        raise unknown("grid", name, shipped())
    try:
        keys = yaml_file.parsed(path.read_bytes())
    except OSError as error:
        raise BadInput(
            f"grid {name!r} cannot be read: {error.strerror}; expected a YAML file"
        ) from None
    except ValueError as error:
        raise BadInput(f"grid {name!r} is not YAML: {error}") from None
    if not isinstance(keys, dict):
        raise BadInput(
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
        raise BadInput(_one_line(error)) from None


def overlaid(
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
        kept = [sweep for sweep in grid["sweeps"] if sweep["model"] in models]
        new = dict.fromkeys(
            name for name in models if name not in {sweep["model"] for sweep in kept}
        )
        grid["sweeps"] = kept + [{"model": name} for name in new]
    over = {key: value for key, value in flags.items() if key in Sweep.model_fields}
    grid["sweeps"] = [sweep | over for sweep in grid["sweeps"]]
    return validate(grid | {key: value for key, value in flags.items() if key not in over})


def _one_line(error: ValidationError) -> str:
    errors = error.errors()
    # a typo also leaves a key missing
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    place = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        parts: dict[str, type[BaseModel]] = {"sweeps": Sweep, "compare": Compare}
        holder = parts.get(place[0], Grid) if len(place) > 1 else Grid
        return str(unknown("grid key", place[-1], holder.model_fields))
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "bool_type":  # pydantic names the first type that a setting can have
        place, what = place[:-1], "expected a number, a word or a truth value"
    where = ".".join(part for part in place if not part.startswith(("list[", "function-")))
    got = "" if first["type"] in ("missing", "value_error") else f", got {given(first['input'])}"
    return f"grid key '{shortened(where)}': {what[0].lower()}{what[1:]}{got}"
