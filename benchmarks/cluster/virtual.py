"""The scheduler on a virtual clock: the harness's own queue hands out tasks, one driver serves one
event at a time.

A slot's trial works, reports, and waits until the driver has heard it; the driver hears in the
order of arrival. What an event costs the driver grows with the trials that it has begun and with
those that it looks at for news (`Costs`).
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

from harness.execution.ray_tune import MIN_PENDING_TRIALS
from harness.execution.retries import RetryQueue
from harness.storage.store import Store
from harness.training.task import Task

# seconds of its training and of what follows, in the trial's process
Work = Callable[[Task], tuple[float, float]]


@dataclass(frozen=True)
class Costs:
    """Seconds. Of the driver: a trial, a report, a cell; for every event also `look` a trial that
    runs or waits to, and `scan` a trial that was begun. Of a slot: `process` before its first
    trial, `handover` before each, `echo` a report.
    """

    trial: float = 0.0
    report: float = 0.0
    cell: float = 0.0
    look: float = 0.0
    scan: float = 0.0
    process: float = 0.0
    handover: float = 0.0
    echo: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Seconds until the last trial has ended, of them those that the driver served; reports that it
    heard.
    """

    seconds: float
    driver: float
    reports: int


class Driver:
    """One server with a queue, which it serves in the order of arrival."""

    def __init__(self) -> None:
        self.free = self.busy = 0.0

    def serve(self, at: float, cost: float) -> float:
        """When an event that arrives `at` has been served."""
        self.free = max(self.free, at) + cost
        self.busy += cost
        return self.free


def run(tasks: Sequence[Task], slots: int, work: Work, costs: Costs, pause: float) -> Outcome:
    """Hand out all tasks to so many slots; a trial reports every `pause` seconds of its work, and
    at its end.
    """
    tries, driver, reports = RetryQueue(tasks, Store("nowhere")), Driver(), 0
    # when a trial's next report arrives, and what it works then
    events: list[tuple[float, int, Iterator[float]]] = []

    def begin(at: float, delay: float) -> None:
        number = tries.next()
        if number is None:
            return
        task = tries.make_task(number)
        served = driver.serve(
            at, costs.trial + costs.cell * len(task.cells) + _event(costs, slots, tries)
        )
        pieces = _pieces(work(task), pause)
        heapq.heappush(events, (served + delay + next(pieces), number, pieces))

    for _ in range(slots):
        begin(0.0, costs.process + costs.handover)
    while events:
        at, number, pieces = heapq.heappop(events)
        heard = driver.serve(at, costs.report + _event(costs, slots, tries))
        reports += 1
        piece = next(pieces, None)
        if piece is None:
            tries.finish(number)
            begin(heard, costs.handover)
        else:
            heapq.heappush(events, (heard + costs.echo + piece, number, pieces))
    return Outcome(driver.free, driver.busy, reports)


def _event(costs: Costs, slots: int, tries: RetryQueue) -> float:
    """What any event costs the driver: Tune asks for news of all trials that run or wait, and scans
    those begun.
    """
    waiting = min(len(tries.waiting), max(MIN_PENDING_TRIALS, slots))
    begun = len(tries.tasks) - len(tries.waiting)
    return costs.look * (len(tries.running) + waiting) + costs.scan * begun * (1 if waiting else 2)


def _pieces(stages: Iterable[float], pause: float) -> Iterator[float]:
    """Seconds of work before each report: every `pause` of a stage, and at its end."""
    for seconds in stages:
        whole, rest = divmod(seconds, pause)
        yield from repeat(pause, int(whole))
        yield rest
