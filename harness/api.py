"""Runs a grid from a script or a notebook: `harness.run`, by the steps of the command line."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from harness.cli.experiment import read_experiment
from harness.cli.options import GRID_FLAGS, RunOptions
from harness.cli.outcome import finish_run
from harness.cli.run import complete
from harness.cli.workload import plan_workload
from harness.errors import InputError, short_repr, unknown_name_error
from harness.experiment.grid import Grid
from harness.experiment.validation import format_validation_error
from harness.plugins.registry import PluginSource, unload_afterwards

if TYPE_CHECKING:
    from analysis.results import Results

GridSource = str | Path | Mapping[str, Any] | Grid
OWN_ARGUMENTS = {"grid", "grid_keys", "results", "plugins", "launcher", "progress", "command"}
FLAGS = {field.name for field in fields(RunOptions)} - OWN_ARGUMENTS - {"dry_run", "as_json"} | {
    *GRID_FLAGS
}
_OPTIONS = TypeAdapter(RunOptions)


def run(
    grid: GridSource | None = None,
    *,
    results: str | Path | None = None,
    plugins: Iterable[PluginSource] | PluginSource = (),
    launcher: Literal["ray", "in-process"] = "ray",
    progress: bool = True,
    **flags: Any,
) -> "Results":
    """Run what is missing of a grid, and read the results.

    grid: a shipped grid's name, a YAML file, the keys of a grid, or a `Grid`; without one `models`
        alone, or the grid `quick`
    results: a folder or the address of a bucket, by default results/NAME
    plugins: paths, and registered classes and functions of the calling script or notebook
    progress: show the run while it goes on, and what came of it
    flags: `seeds`, `betas`, `models`, `iterations`, `trackers` and the other names in `FLAGS`

    Cells that fail are rows; `Results.failed` has them. InputError, in one line, where something
    cannot be used: nothing is written then. StorageError or StalledError where the results cannot
    be kept or nothing moves, and KeyboardInterrupt: finished cells are kept.
    """
    from analysis.results import Results

    given = {"results": results, "plugins": plugins, "launcher": launcher, "progress": progress}
    options = make_options(grid, **given, **flags)
    if threading.current_thread() is not threading.main_thread():
        raise InputError("harness.run was called in a thread; expected a call in the main thread")
    with unload_afterwards():
        experiment = read_experiment(options)
        complete(experiment, plan_workload(experiment))
    if progress:
        finish_run(experiment)
    return Results.read(experiment.store.address)


def make_options(grid: GridSource | None, **arguments: Any) -> RunOptions:
    """The options of a call of `run`; InputError where an argument cannot be used."""
    given = {name: value for name, value in arguments.items() if value is not None}
    if unknown := given.keys() - FLAGS - OWN_ARGUMENTS:
        raise unknown_name_error("flag of harness.run", min(unknown), FLAGS)
    options = {name: value for name, value in given.items() if name not in GRID_FLAGS}
    options["models"] = _to_tuple(given.get("models", ()))
    options["plugins"] = _to_tuple(given.get("plugins", ()))
    options["trackers"] = _to_tuple(given.get("trackers", ()))
    options["results"] = str(given["results"]) if "results" in given else None
    options["grid"] = _read_keys(grid)
    options["grid_keys"] = {
        key: to_plain(given[flag]) for flag, key in GRID_FLAGS.items() if flag in given
    }
    try:
        return _OPTIONS.validate_python(options | {"command": describe_call(grid, arguments)})
    except ValidationError as error:
        raise InputError(format_validation_error(error, "flag '{}': ")) from None


def _read_keys(grid: object) -> str | dict[str, Any] | None:
    """The name or path of a grid, or its keys."""
    if isinstance(grid, Grid):
        return grid.model_dump(exclude_unset=True)
    if isinstance(grid, Mapping):
        return {str(key): to_plain(value) for key, value in grid.items()}
    if grid is None or isinstance(grid, (str, Path)):
        return None if grid is None else str(grid)
    raise InputError(
        f"grid {short_repr(grid)}: expected a shipped grid, a YAML file, a mapping or a Grid"
    )


def _to_tuple(value: Any) -> tuple[Any, ...]:
    """Several values, or one of them alone."""
    is_single = isinstance(value, (str, Path, type)) or not isinstance(value, Iterable)
    return (value,) if is_single else tuple(value)


def to_plain(value: Any) -> Any:
    """A value as YAML would have it: arrays, ranges and tuples are lists.

    >>> to_plain({"seeds": range(2), "beta": (1, 4)})
    {'seeds': [0, 1], 'beta': [1, 4]}
    """
    if hasattr(value, "tolist"):  # an array or a number of NumPy
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, Path):
        return str(value)
    return [to_plain(each) for each in value] if isinstance(value, (list, tuple, range)) else value


def describe_call(grid: object, arguments: Mapping[str, Any]) -> str:
    """A call of `run` as a user would type it, for the record.

    >>> describe_call("quick", {"seeds": 2, "results": None, "plugins": [int]})
    "harness.run('quick', seeds=2, plugins=[int])"
    """
    words = [] if grid is None else [_describe(grid)]
    words += [
        f"{name}={_describe(value)}"
        for name, value in arguments.items()
        if to_plain(value) not in (None, [], vars(RunOptions).get(name))
    ]
    return f"harness.run({', '.join(words)})"


def _describe(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_describe, value))}]"
    if isinstance(value, Path):
        return repr(str(value))
    name = getattr(value, "__qualname__", None)
    text = repr(to_plain(value))
    return str(name or (f"{type(value).__qualname__}(...)" if text.startswith("<") else text))
