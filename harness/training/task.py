"""What a trial is asked to do, and what it reports while it works."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.experiment.options import Compile
from harness.plugins.source_files import Plugin


@dataclass(frozen=True)
class Task:
    """What a worker is handed: the cells of one pack and all it must know to turn them into rows.
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
    tensorboard: bool = False


@dataclass(frozen=True)
class Update:
    """How a trial stands: steps done of its cells together, seconds a step, NELBO of the first,
    cells that ended.

    A cell ends with the status of its row, or as "unscored" where its row lacks a score that was
    asked for. `saved` counts the checkpoints written by this process: what is lost if it dies now
    began at the last of them. `waits` is set where the process has died, and no other has begun
    with what is left. `stage` says what is done beside training, in words; `scored` counts the
    cells that were scored, with the share that is done of the one at work, and `score_seconds` is
    what one of them took. The last two are clocks of the trial's process.
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
