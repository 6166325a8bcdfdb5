"""The options of a run, typed: the command line makes them once and hands them on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.experiment.options import Compile, Resume


@dataclass(frozen=True)
class RunOptions:
    """What one run is to do and how.

    `grid` is a shipped grid or a YAML file. Without it the run takes `models` alone, or the grid
    `quick`. `grid_keys` are the flags that replace keys of the grid, by key. `results` and `data`
    are addresses of folders, None for the default. `pack_size` is in cells. `cpus` and `gpus` are
    those of one trial. `checkpoint_seconds` is the time between two checkpoints, and
    `patience_seconds` the time without news after which the run ends.
    """

    grid: str | None = None
    models: tuple[str, ...] = ()
    grid_keys: Mapping[str, Any] = field(default_factory=dict)
    plugins: tuple[str, ...] = ()
    results: str | None = None
    data: str | None = None
    dry_run: bool = False
    resume: Resume = "missing"
    pack_size: int | Literal["auto"] = "auto"
    compile: Compile = "auto"
    cpus: int = 1
    gpus: float = 0.0
    launcher: Literal["ray", "in-process"] = "ray"
    address: str | None = None
    checkpoint_seconds: float = 60.0
    patience_seconds: float = 1800.0
    tensorboard: bool = False
