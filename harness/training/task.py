"""What a trial has to do, what its steps cost, and what it reports while it works."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.experiment.options import Compile
from harness.plugins.source_files import Plugin


@dataclass(frozen=True)
class Task:
    """What a worker needs to turn the cells of one pack into rows.

    results: the address of the store
    grid, run: names that the rows carry
    gpus: share of a GPU, 0 for a CPU trial
    checkpoint_seconds, report_seconds: intervals between checkpoints and between reports
    sends_points: whether updates carry the points of learning curves
    search_spec: the column of that name, empty without a search
    keeps_state: whether the training state of a trial is kept at its end, for a longer training
    reports_row: whether updates carry the row that a trial of a search would have if it ended there
    """

    cells: tuple[Cell, ...]
    results: str
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    grid: str = ""
    run: str = ""
    commit: str = "unknown"
    plugins: tuple[Plugin, ...] = ()
    threads: int = 1
    gpus: float = 0.0
    compile: Compile = "auto"
    checkpoint_seconds: float = 60.0
    report_seconds: float = 1.0
    sends_points: bool = False
    search_spec: str = ""
    keeps_state: bool = False
    reports_row: bool = False

    @property
    def is_search(self) -> bool:
        """Whether its cells are trials of a search, which are not scored."""
        return self.cells[0].stage == "search"


@dataclass(frozen=True)
class Update:
    """The state of a trial at one moment.

    steps: steps done, of all cells together
    step_seconds: seconds per step of one cell
    nelbo: the NELBO of the first cell, nats
    ended: the status of each cell that has ended, that of its row, or "unscored" if the row lacks a
        score that was requested
    saved: checkpoints that this process has written; what it did since the last one is lost if it
        dies now
    waits: whether the process has died and its remaining cells have not been started again
    stage: what is done besides training, in words
    scored: cells scored, with the share that is done of the present one
    score_seconds: seconds that scoring one cell took
    cpu_seconds, wall_seconds: clocks of the trial's process
    points: new points of learning curves, each with the id of its cell, if the task sends them
    row: columns of the row that the first cell would have at its last point with validation
        scores, and that step as `step`, if the task reports them; empty before
    """

    steps: int = 0
    step_seconds: float | None = None
    nelbo: float | None = None
    ended: Mapping[str, str] = field(default_factory=dict)
    saved: int = 0
    waits: bool = False
    stage: str = ""
    scored: float = 0.0
    score_seconds: float | None = None
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    points: Sequence[tuple[str, Mapping[str, Any]]] = ()
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """Seconds that work on a pack takes.

    fixed, per_cell: a step takes `fixed` + `per_cell` · cells
    score: scoring of one cell
    load: loading compiled code before the first step; 0 without compiling
    compile: compiling it, which a machine does once for each size of pack; 0 without
    compiled_sizes: sizes of packs whose code this machine has
    """

    fixed: float
    per_cell: float
    score: float = 0.0
    load: float = 0.0
    compile: float = 0.0
    compiled_sizes: frozenset[int] = frozenset()

    def step_seconds(self, cells: int) -> float:
        """Seconds of a step of a pack of `cells` cells.

        >>> Cost(fixed=0.002, per_cell=0.005).step_seconds(8)
        0.042
        """
        return self.fixed + self.per_cell * cells

    def compile_seconds(self, cells: int) -> float:
        """Seconds to compile the code of a pack of `cells` cells; 0 where this machine has it."""
        return 0.0 if cells in self.compiled_sizes else self.compile

    def saturation_size(self, max_size: int) -> int:
        """The size, at most `max_size`, from which a larger pack gains little.

        >>> costs = Cost(0.002, 0.005), Cost(0.0, 0.04), Cost(0.001, 0.0)
        >>> [cost.saturation_size(64) for cost in costs]
        [4, 1, 64]
        """
        return next(
            (
                size
                for size in range(1, max_size)
                if self.fixed <= OVERHEAD_SHARE * self.per_cell * size
            ),
            max_size,
        )


Costs = Mapping[Cell, Cost]  # by `Cell.pack_key`


# a pack is large enough when its fixed seconds are at most this share of those of its cells
OVERHEAD_SHARE = 0.1


MAX_PACK_SIZE = 64  # cells; a larger pack gains nothing, and loses more work when it dies
