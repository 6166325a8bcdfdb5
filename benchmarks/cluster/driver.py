"""One command of the harness, timed from within its driver.

    python -m benchmarks.cluster.driver LEAST MOST FLAG...

LEAST and MOST are the seconds between two reports of a trial. The last line printed is JSON: see
`Times.summary`.
"""

import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from harness import bench
from harness.cli import run
from harness.execution import ray_tune


class News(NamedTuple):
    """A result that the driver heard: when, its CPU seconds by then, the trial, and what the trial
    took for it.
    """

    at: float
    driver: float
    trial: str
    worker: float


@dataclass
class Times:
    """When the launcher began and ended, with the driver's CPU seconds by then, and what it heard
    between.
    """

    began: tuple[float, float] = (0.0, 0.0)
    ended: tuple[float, float] = (0.0, 0.0)
    news: list[News] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Seconds of the launcher, until its first news, and after; of the driver's CPU; medians of
        the workers'.
        """
        first, rest = self._of_trials()
        return {
            "results": len(self.news),
            "until first": self.news[0].at - self.began[0],
            "during": self.ended[0] - self.began[0],
            "after": time.time() - self.ended[0],
            "driver before": self.began[1],
            "driver until first": self.news[0].driver - self.began[1],
            "driver during": self.ended[1] - self.began[1],
            "driver after": time.process_time() - self.ended[1],
            "driver of a quarter": self._quarters(),
            "worker first": first,
            "worker rest": rest,
        }

    def _of_trials(self) -> tuple[float, float]:
        """Medians over trials of the seconds for the first result and for all others."""
        taken: dict[str, list[float]] = {}
        for news in self.news:
            taken.setdefault(news.trial, []).append(news.worker)
        return statistics.median(t[0] for t in taken.values()), statistics.median(
            sum(t[1:]) for t in taken.values()
        )

    def _quarters(self) -> list[float]:
        """The driver's CPU seconds for each quarter of the results; equal if costs are constant."""
        marks = [self.news[place * (len(self.news) - 1) // 4].driver for place in range(5)]
        return [round(after - before, 3) for before, after in pairwise(marks)]


def main() -> int:
    """Run the command; its exit code."""
    times = Times()
    ray_tune.REPORT_SECONDS = (float(sys.argv[1]), float(sys.argv[2]))
    vars(run)["RayTune"] = _timed(times)
    code = bench.main(sys.argv[3:])
    print(json.dumps(times.summary()))
    return code


def _timed(times: Times) -> type:
    class Timed(ray_tune.RayTune):
        def __init__(self, *given: Any):
            super().__init__(*given)
            from harness.execution import tune_hooks  # imports Ray, after its settings are made

            vars(tune_hooks)["QueueCallback"] = _listening(tune_hooks.QueueCallback, times)

        def run(self, *given: Any) -> None:
            times.began = (time.time(), time.process_time())
            try:
                super().run(*given)
            finally:
                times.ended = (time.time(), time.process_time())

    return Timed


def _listening(callback: Any, times: Times) -> type:
    class Listening(callback):  # type: ignore[misc]
        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: Any, **info: Any
        ) -> None:
            super().on_trial_result(iteration, trials, trial, result, **info)
            taken = result["time_this_iter_s"]
            times.news.append(News(time.time(), time.process_time(), trial.trial_id, taken))

    return Listening


if __name__ == "__main__":
    sys.exit(main())
