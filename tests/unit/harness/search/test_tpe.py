"""What Optuna proposes is a function of the trials before."""

import pytest

from harness.search.tpe import STARTUP_TRIALS, propose
from tests.unit.harness.search.worlds import make_space

SPACE = make_space(
    learning_rate={"log": [1e-4, 1e-2]},
    beta={"linear": [0, 4]},
    batch_size={"log_integer": [16, 256]},
    settings={"z": {"integer": [2, 40]}, "flag": [True, False], "name": ["a", "b", "c"]},
)
POINTS = [SPACE.draw(0, trial) for trial in range(STARTUP_TRIALS + 2)]
VALUES = [None if trial == 3 else float(trial) for trial in range(len(POINTS))]


def test_the_first_trials_are_those_of_random_search() -> None:
    assert propose(SPACE, 2, [], [], 4) == [SPACE.draw(2, trial) for trial in range(4)]
    assert propose(SPACE, 0, POINTS[:9], VALUES[:9], 1) == [SPACE.draw(0, 9)]


def test_proposals_replay_and_lie_in_the_space() -> None:
    new = propose(SPACE, 0, POINTS, VALUES, 3)
    assert new == propose(SPACE, 0, POINTS, VALUES, 3)
    assert new != propose(SPACE, 1, POINTS, VALUES, 3)
    assert all(set(point) == set(SPACE.axes) for point in new)
    for point in new:
        for name, axis in SPACE.axes.items():
            if axis.kind == "choices":
                assert point[name] in axis.values
            else:
                assert axis.bounds[0] <= float(point[name]) <= axis.bounds[1]
                assert type(point[name]) is (int if "integer" in axis.kind else float)


def test_proposals_follow_the_values() -> None:
    """Far more proposals than chance come near the region in which values are low."""
    space = make_space(learning_rate={"linear": [0, 1]})
    points = [space.draw(0, trial) for trial in range(40)]
    values = [abs(float(point["learning_rate"]) - 0.8) for point in points]
    new = [float(p["learning_rate"]) for p in propose(space, 0, points, values, 20)]
    assert sum(abs(u - 0.8) < 0.1 for u in new) > 10  # 4 of 20 by chance


@pytest.mark.parametrize("values", [[None] * 12, [1.0] * 12])
def test_trials_without_values_or_with_equal_ones_do_not_stop_it(
    values: list[float | None],
) -> None:
    assert len(propose(SPACE, 0, POINTS, values, 2)) == 2
