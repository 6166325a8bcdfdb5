"""A trial in a long call still reports its CPU time."""

import threading
from collections.abc import Generator
from dataclasses import replace

import pytest

from harness.execution.heartbeat import MIN_CPU_SHARE, Heartbeat, is_at_work
from harness.training.task import Update

FOREVER = 60.0


def test_updates_come_one_after_another_and_the_last_is_told_again() -> None:
    go = threading.Semaphore(0)

    def trial() -> Generator[Update, None, None]:
        for steps in (1, 2):
            go.acquire()
            yield Update(steps=steps)

    beat = Heartbeat(trial(), FOREVER)
    for steps in (1, 2):
        go.release()
        assert beat.next().steps == steps
    beat.close()
    assert beat.next().steps == 2


def test_every_point_is_told_once_even_of_updates_that_came_in_between() -> None:
    def trial() -> Generator[Update, None, None]:
        for step in (1, 2, 3):
            yield Update(steps=step, points=[("a", {"step": step})])

    beat = Heartbeat(trial(), FOREVER)
    beat._thread.join()
    assert beat.next().points == [("a", {"step": step}) for step in (1, 2, 3)]
    assert list(beat.next().points) == []


def test_a_call_that_takes_long_does_not_silence_a_trial() -> None:
    over = threading.Event()

    def trial() -> Generator[Update, None, None]:
        yield Update(steps=1)
        over.wait()
        yield Update(steps=2)

    beat = Heartbeat(trial(), 0.01)
    while beat.next().steps != 1:
        pass
    first, second = beat.next(), beat.next()
    assert first.steps == second.steps == 1
    assert second.wall_seconds > first.wall_seconds
    over.set()
    beat.close()


def test_an_error_of_the_trial_is_raised_where_it_is_asked() -> None:
    def trial() -> Generator[Update, None, None]:
        yield Update(steps=1)
        raise OSError("gone")

    beat = Heartbeat(trial(), FOREVER)
    beat._thread.join()
    with pytest.raises(OSError, match="gone"):
        beat.next()


def test_a_trial_that_is_closed_ends_at_its_next_update_and_may_save_first() -> None:
    saved = []

    def trial() -> Generator[Update, None, None]:
        try:
            while True:
                yield Update(steps=1)
        except GeneratorExit:
            saved.append("checkpoint")
            raise

    beat = Heartbeat(trial(), FOREVER)
    beat.next()
    beat.close()
    assert saved == ["checkpoint"]


@pytest.mark.parametrize(
    ("cpu", "change", "expected"),
    [
        (10 * MIN_CPU_SHARE, {}, True),
        (0.1 * MIN_CPU_SHARE, {}, False),
        (0.0, {"steps": 2}, True),
        (0.0, {"stage": "scoring, 1 of 3: bound"}, True),
        (0.0, {"scored": 0.5}, True),
        (0.0, {"ended": {"a": "ok"}}, True),
    ],
)
def test_a_process_is_at_work_that_moves_or_computes(
    cpu: float, change: dict[str, object], expected: bool
) -> None:
    before = Update(steps=1, cpu_seconds=5.0, wall_seconds=100.0)
    now = replace(before, cpu_seconds=5.0 + cpu * 10, wall_seconds=110.0)
    assert is_at_work(before, replace(now, **change)) is expected  # type: ignore[arg-type]
