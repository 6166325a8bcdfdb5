"""When points of a learning curve are due, and what they hold."""

import pytest
import torch

from harness.experiment.cell import Cell
from harness.training.objective import LossParts
from harness.training.pack.learning_curves import CurveSchedule, LearningCurves

CELLS = (Cell("vae", 0, 3), Cell("vae", 1, 3))


def losses(*values: float) -> LossParts:
    """The parts of a step of two cells: loss, rec, kl, extra, the same for both."""
    return LossParts(*(torch.tensor([value, value]) for value in values))


@pytest.mark.parametrize(
    ("iterations", "points"),
    [(3, [1, 2, 3]), (1000, range(5, 1001, 5)), (501, [*range(3, 502, 3)])],
)
def test_points_are_equally_far_apart_and_the_last_step_is_one(
    iterations: int, points: list[int]
) -> None:
    schedule, found = CurveSchedule(iterations), [0]
    while found[-1] < iterations:
        found.append(schedule.next_point(found[-1]))
    assert found[1:] == list(points)


def test_scores_are_due_every_hundred_steps_and_at_the_end() -> None:
    schedule = CurveSchedule(1005)
    due = [step for step in range(6, 1006, 6) if schedule.scores_due(step)]
    assert due == list(range(102, 1005, 102))
    assert schedule.scores_due(1005)


def test_a_point_holds_the_means_since_the_last_one() -> None:
    curves = LearningCurves(CELLS, has_exact_nll=False)
    for loss in (1.0, 3.0):
        curves.add_losses(losses(loss, loss + 1, 2.0, 0.0))
    curves.add_point(2, 0.5, [{}, {"accuracy": 0.25}])
    first, second = (points[0] for points in curves.points)
    assert (first["loss"], first["rec"], first["kl"], first["nelbo"]) == (2, 3, 2, 5)
    assert (first["step"], first["seconds"], first["accuracy"]) == (2, 0.5, None)
    assert second == {**first, "accuracy": 0.25}
    assert curves.recent_losses == []


def test_an_exact_likelihood_has_no_nelbo_and_a_missing_part_is_none() -> None:
    curves = LearningCurves(CELLS, has_exact_nll=True)
    curves.add_losses(losses(4.0, 4.0, float("nan"), float("nan")))
    curves.add_point(1, 0.0, [{}, {}])
    point = curves.points[0][0]
    assert (point["nll"], point["extra"]) == (4, None)
    assert {"nelbo", "kl", "rec"} & set(point) == set()


def test_losses_since_the_last_point_are_resumed() -> None:
    curves, resumed = (LearningCurves(CELLS, has_exact_nll=False) for _ in range(2))
    for loss in (1.0, 2.0):
        curves.add_losses(losses(loss, 0.0, 0.0, 0.0))
    traces = [curves.extract_trace(index).get("trace") for index in (0, 1)]
    resumed.resume([[{"step": 1}], []], traces, torch.device("cpu"))
    assert torch.equal(torch.stack(resumed.recent_losses), torch.stack(curves.recent_losses))
    assert resumed.points == [[{"step": 1}], []]
    assert resumed.read_losses(1).tolist() == [[2.0, 2.0]]
