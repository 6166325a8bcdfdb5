"""Grids as YAML files, shipped or a user's own, and the flags that change them."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from harness.errors import InputError, unknown_name_error
from harness.experiment import yaml_file
from harness.experiment.grid import ComparisonSpec, Grid, Sweep
from harness.experiment.search.space import Space
from harness.experiment.search.spec import SearchSpec
from harness.experiment.validation import format_validation_error

SHIPPED_FOLDER = Path(__file__).parent / "grids"


def list_shipped() -> dict[str, Path]:
    """The grids that come with the project, by name."""
    return {path.stem: path for path in sorted(SHIPPED_FOLDER.glob("*.yaml"))}


def read(name: str) -> dict[str, Any]:
    """The keys of a grid, given a shipped grid's name or the path of a YAML file.

    They are not validated yet, because flags may still change them (`apply_flags`).
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


def validate(keys: Mapping[str, Any], metrics: Collection[str] = ()) -> Grid:
    """A grid from its keys; InputError says in one line what is wrong with them.

    metrics: columns that registered metrics bring along, which comparisons may name
    """
    try:
        return Grid.model_validate(dict(keys), context={"metrics": metrics})
    except ValidationError as error:
        raise InputError(_format_error(error)) from None


def apply_flags(
    keys: Mapping[str, Any],
    flags: Mapping[str, Any],
    models: list[str] | None = None,
    metrics: Collection[str] = (),
) -> Grid:
    """A grid with flags in place of its keys; the flags of a sweep apply to every sweep.

    The keys of a recipe are laid over those of each sweep. Another number of seeds drops the looks
    at seeds.

    models: keep only the sweeps of these models, and add a plain sweep of a model that has none
    metrics: columns that registered metrics bring along
    """
    required = {key: value for key, value in flags.items() if key == "seeds"}
    # unset keys stay unset, so that `model_fields_set` tells them apart
    grid = validate({**required, **keys}, metrics).model_dump(exclude_unset=True)
    if models:
        kept_sweeps = [sweep for sweep in grid["sweeps"] if sweep["model"] in models]
        added_models = dict.fromkeys(
            name for name in models if name not in {sweep["model"] for sweep in kept_sweeps}
        )
        grid["sweeps"] = kept_sweeps + [{"model": name} for name in added_models]
    sweep_flags = {key: value for key, value in flags.items() if key in Sweep.model_fields}
    grid["sweeps"] = [_lay_over(sweep, sweep_flags) for sweep in grid["sweeps"]]
    grid_flags = {key: value for key, value in flags.items() if key not in sweep_flags}
    if "seeds" in flags and grid.get("compare", {}).get("unit") != "study":
        grid = {key: value for key, value in grid.items() if key not in ("looks", "stop")}
    return validate(grid | grid_flags, metrics)


def _lay_over(sweep: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    recipe = {**sweep.get("recipe", {}), **flags.get("recipe", {})}
    return {**sweep, **flags, **({"recipe": recipe} if recipe else {})}


def _format_error(error: ValidationError) -> str:
    """The first mistake in one line, an unknown key before all others: a typo has two mistakes."""
    unknown = [e["loc"] for e in error.errors() if e["type"] == "extra_forbidden"]
    if not unknown:
        return format_validation_error(error, "grid key '{}': ")
    *parents, key = map(str, unknown[0])
    parts: dict[str, type[BaseModel]] = {
        "sweeps": Sweep,
        "compare": ComparisonSpec,
        "search": SearchSpec,
        "space": Space,
    }
    model = next((parts[name] for name in reversed(parents) if name in parts), Grid)
    return str(unknown_name_error("grid key", key, model.model_fields))
