"""How a run stands, as its driver writes it into the store and everybody shows it. Knows neither
torch nor ray.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from harness.storage.layout import PROGRESS, log_key, progress_key
from harness.storage.store import Store

STALE_SECONDS = 60.0  # a driver writes every ten
MAX_RECORDED = 100  # packs and failures that are kept by name
DONE = "done"


@dataclass(frozen=True)
class PackProgress:
    """A pack at work: its name, steps done of all, steps a second of its cells together, NELBO of
    the first; `stage` says what is done beside training.
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
    """A run at a moment: `cells` of its own, of the `asked` ones of its grid, `before` of which
    were done already.

    `ended` counts its cells by status, `running` its packs that train, `speed` their steps a
    second. `elapsed`, `left` and `quiet` (since the last news of a trial) are seconds. `end` is
    empty while it runs. Of many packs and failures a hundred are named.
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
    end: str = ""

    @property
    def done(self) -> int:
        """Its cells that ended well."""
        return self.ended.get("ok", 0)

    @property
    def failed(self) -> int:
        """Its cells that failed or diverged."""
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
    def healthy(self) -> bool:
        """Whether it runs, or has ended, with nothing failed or missing."""
        return not self.failed and (
            self.complete if self.end else self.stale_seconds < STALE_SECONDS
        )


def write(store: Store, status: RunStatus) -> None:
    """Put a run's standing into the store."""
    store.write(progress_key(status.run), json.dumps(asdict(status)).encode())


def read(store: Store) -> list[RunStatus]:
    """The standings of all runs, oldest first; what is no whole one is left out, as nothing depends
    on it.
    """
    statuses = (_parse(store.read(place) or b"") for place in store.keys(*PROGRESS))
    return sorted(
        (one for one in statuses if one is not None), key=lambda one: (one.run[:17], one.written)
    )


def read_failure_reason(store: Store, cell: str) -> str:
    """Why a cell (its id) failed, in a line: its row's, or the first line of its log."""
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
    """Runs that have not ended and spoke within the last minute."""
    return [
        status for status in read(store) if not status.end and status.stale_seconds < STALE_SECONDS
    ]


# --- in words -------------------------------------------------------------------------------------
