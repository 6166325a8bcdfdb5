"""The virtual clock of `benchmarks/cluster`, compared with results computed by hand."""

import pytest

from benchmarks.cluster import fit, virtual
from benchmarks.cluster.virtual import Costs, Outcome
from harness.training.task import Task
from tests.conftest import CellMaker


@pytest.fixture
def tasks(cell: CellMaker) -> list[Task]:
    """Twelve tasks of two cells."""
    return [
        Task((cell("vae", seed, 100), cell("vae", seed + 1, 100)), "nowhere")
        for seed in range(0, 24, 2)
    ]


def run(tasks: list[Task], slots: int, seconds: float, costs: Costs, pause: float = 1e9) -> Outcome:
    return virtual.run(tasks, slots, lambda task: (seconds, 0.0), costs, pause)


def test_on_one_slot_the_time_is_the_sum(tasks: list[Task]) -> None:
    assert run(tasks, 1, 5.0, Costs()).seconds == 12 * 5


def test_slots_share_equal_tasks(tasks: list[Task]) -> None:
    assert run(tasks, 4, 5.0, Costs()).seconds == 12 * 5 / 4


def test_a_slot_starts_its_process_once_for_all_trials(tasks: list[Task]) -> None:
    assert run(tasks, 1, 5.0, Costs(process=8.0, handover=0.25)).seconds == 8 + 12 * (5 + 0.25)


def test_a_driver_with_more_to_do_than_time_decides_the_time(tasks: list[Task]) -> None:
    found = run(tasks, 12, 0.0, Costs(trial=3.0, report=1.0, cell=0.5))
    assert found.seconds == found.driver == 12 * (3 + 2 * 1 + 2 * 0.5)


def test_a_trial_waits_until_each_report_is_heard(tasks: list[Task]) -> None:
    found = run(tasks[:1], 1, 10.0, Costs(report=0.5, echo=0.25), pause=4.0)
    # at 4, 8 and 10 seconds of work, and when what follows has taken none
    assert found.reports == 4
    assert found.seconds == 10 + 4 * 0.5 + 3 * 0.25


def test_events_cost_more_the_more_trials_there_are(tasks: list[Task]) -> None:
    few, many = (run(tasks[:count], 1, 0.0, Costs(look=0.1, scan=0.1)) for count in (6, 12))
    assert many.driver > 2 * few.driver


def test_nothing_to_do_takes_no_time() -> None:
    assert run([], 3, 5.0, Costs(trial=1.0)) == Outcome(0.0, 0.0, 0)


@pytest.fixture(scope="module")
def measured() -> dict[str, list[fit.Measured]]:
    return fit.read()


def test_the_fit_recovers_the_costs_of_the_driver(
    measured: dict[str, list[fit.Measured]],
) -> None:
    def made(run: fit.Measured) -> fit.Measured:
        seconds = 0.5 + 0.01 * run["trials"] + 0.002 * run["results"] + 0.001 * run["cells"]
        return {**run, "driver during": seconds}

    found = fit.fitted(
        measured | {part: [*map(made, measured[part])] for part in ("probes", "reports")}
    )
    assert (found.start, found.costs.trial, found.costs.report, found.costs.cell) == pytest.approx(
        (0.5, 0.01, 0.002, 0.001)
    )


def test_the_simulation_foretells_the_measured_runs(
    measured: dict[str, list[fit.Measured]],
) -> None:
    found = fit.fitted(measured)
    runs = [fit.beside(run, found) for run in [*measured["runs"], *measured["largest"]]]
    assert max(run["cells"] for run in runs) == 10_000
    assert max(abs(run["error %"]) for run in runs) <= 15
    assert max(abs(run["driver error %"]) for run in runs) <= 15
