"""The options of a run, typed: the command line and `harness.run` make them and hand them on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.experiment.options import Compile, Resume

# the flags that replace a key of the grid, with this key
GRID_FLAGS: Mapping[str, str] = {
    "betas": "beta",
    "seeds": "seeds",
    "iterations": "iterations",
    "dataset": "dataset",
    "learning_rate": "learning_rate",
    "batch_size": "batch_size",
    "recipe": "recipe",
    "validation": "validation",
    "labels": "labels",
    "label_draw": "label_draw",
    "subset": "subset",
    "iwae": "iwae",
    "iwae_on": "iwae_on",
    "samples": "samples",
    "metrics": "metrics",
}


@dataclass(frozen=True)
class RunOptions:
    """What one run is to do and how.

    `grid` is a shipped grid, a YAML file or the keys of a grid. Without it the run takes `models`
    alone, or the grid `quick`. `grid_keys` are the flags that replace keys of the grid, by key.
    `plugins` are paths, or classes and functions of this process. `results` and `data` are
    addresses of folders, None for the default. `pack_size` is in cells. `cpus` and `gpus` are those
    of one trial. `checkpoint_seconds` is the time between two checkpoints, and `patience_seconds`
    the time without news after which the run ends. `trackers` are names, or classes and objects of
    this process. `progress` shows the run while it goes on. `as_json` prints a dry run as JSON.
    `command` is what a user typed, empty for the command line of the process.
    """

    grid: str | Mapping[str, Any] | None = None
    models: tuple[str, ...] = ()
    grid_keys: Mapping[str, Any] = field(default_factory=dict)
    plugins: tuple[Any, ...] = ()
    results: str | None = None
    data: str | None = None
    dry_run: bool = False
    as_json: bool = False
    resume: Resume = "missing"
    pack_size: Annotated[int, Field(gt=0)] | Literal["auto"] = "auto"
    compile: Compile = "auto"
    cpus: int = 1
    gpus: float = 0.0
    launcher: Literal["ray", "in-process"] = "ray"
    address: str | None = None
    checkpoint_seconds: float = 60.0
    patience_seconds: Annotated[float, Field(gt=0)] = 1800.0
    trackers: tuple[Any, ...] = ()
    progress: bool = True
    command: str = ""
