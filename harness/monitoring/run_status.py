"""The status of a run, as its driver writes it into the store. Imports neither torch nor Ray."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from harness.storage.artifacts import STALE_SECONDS as STALE_SECONDS
from harness.storage.layout import PROGRESS, log_key, progress_key
from harness.storage.store import Store

MAX_RECORDED = 100  # packs and failures that are kept by name
DONE = "done"


@dataclass(frozen=True)
class PackProgress:
    """A running pack: steps done and in all, steps per second of its cells together, and NELBO of
    its first cell. `stage` describes the scoring that is under way.
    """

    name: str
    step: int
    total: int
    speed: float | None = None
    nelbo: float | None = None
    stage: str = ""


@dataclass(frozen=True)
class Failure:
    """A cell that failed or diverged."""

    cell: str
    name: str
    status: str


@dataclass(frozen=True)
class RunStatus:
    """Snapshot of a run. `cells`: cells of this run; `asked`: cells of the grid; `before`: cells of
    the grid that earlier runs had done.

    `ended` counts the cells of this run by status. `running` counts the packs that run, and `speed`
    is the sum of their steps per second. `elapsed`, `left` and `quiet` (since the last update of a
    trial) are in seconds. `outlook` says what may follow besides. `end` is empty while the run goes
    on. `packs` and `failures` hold at most 100 entries each.
    """

    run: str = ""
    grid: str = ""
    host: str = ""
    written: str = ""
    asked: int = 0
    before: int = 0
    cells: int = 0
    ended: Mapping[str, int] = field(default_factory=dict)
    running: int = 0
    speed: float = 0.0
    packs: Sequence[PackProgress] = ()
    failures: Sequence[Failure] = ()
    elapsed: float = 0.0
    left: float = 0.0
    quiet: float = 0.0
    outlook: str = ""
    end: str = ""

    @property
    def done(self) -> int:
        """Cells of this run that succeeded."""
        return self.ended.get("ok", 0)

    @property
    def failed(self) -> int:
        """Cells of this run that failed or diverged."""
        return sum(self.ended.values()) - self.done

    @property
    def complete(self) -> bool:
        """Whether every cell of the grid is done."""
        return self.before + self.done == self.asked

    @property
    def stale_seconds(self) -> float:
        """Seconds since the driver wrote this, of a run that has not ended."""
        if self.end:
            return 0.0
        return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(self.written)).total_seconds())

    @property
    def is_active(self) -> bool:
        """Whether the run has not ended and wrote its status within the last minute."""
        return not self.end and self.stale_seconds < STALE_SECONDS

    @property
    def healthy(self) -> bool:
        """Whether the run sends news or has ended with no cell failed or missing."""
        return not self.failed and (
            self.complete if self.end else self.stale_seconds < STALE_SECONDS
        )


def write(store: Store, status: RunStatus) -> None:
    """Write the status of a run into the store."""
    store.write(progress_key(status.run), json.dumps(asdict(status)).encode())


def read(store: Store) -> list[RunStatus]:
    """The statuses of all runs, oldest first; damaged ones are left out."""
    statuses = (_parse(store.read(place) or b"") for place in store.keys(*PROGRESS))
    return sorted(
        (one for one in statuses if one is not None), key=lambda one: (one.run[:17], one.written)
    )


def describe_end(error: BaseException | None) -> str:
    """How a run ended, in a word or a line, from the error that ended it."""
    if error is None:
        return DONE
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) or type(error).__name__


def read_failure_reason(store: Store, cell: str) -> str:
    """Why a cell (its id) failed, in one line, from its row or its log."""
    row = store.row(cell) or {}
    log = (store.read(log_key(cell)) or b"").decode(errors="replace")
    return str(row.get("error") or log or "no reason was written").splitlines()[0]


def _parse(content: bytes) -> RunStatus | None:
    try:
        values = json.loads(content)
        packs, failures = values.pop("packs"), values.pop("failures")
        return RunStatus(
            **values,
            packs=tuple(PackProgress(**one) for one in packs),
            failures=tuple(Failure(**one) for one in failures),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def active_runs(store: Store) -> list[RunStatus]:
    """Runs that have not ended and wrote their status within the last minute."""
    return [status for status in read(store) if status.is_active]
