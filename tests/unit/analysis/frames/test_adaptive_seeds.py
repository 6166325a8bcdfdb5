from typing import Any

import pandas as pd
import pytest

from analysis.frames.adaptive_seeds import describe_unrecorded, mark_adaptive


def run(name: str, started: str, seeds: int) -> dict[str, Any]:
    return {"run": name, "started": started, "grid": {"seeds": list(range(seeds))}}


ROWS = pd.DataFrame(
    {
        "arm": "vae",
        "seed": range(4),
        "run": list("aabb"),
        "status": "ok",
        "finished": ["10:30", "10:40", "12:30", "12:40"],
    }
)


@pytest.mark.parametrize(
    ("second", "adaptive"),
    [
        (run("b", "12:00", 4), True),  # more seeds, when results were there
        (run("b", "12:00", 2), False),  # the same ones again: taken up after a stop
        (run("b", "10:01", 4), False),  # at the same time, on another machine
    ],
)
def test_seeds_that_are_added_after_a_result_are_adaptive(
    second: dict[str, Any], adaptive: bool
) -> None:
    assert (
        mark_adaptive(ROWS, [second, run("a", "10:00", 2)])["adaptive"].tolist() == [adaptive] * 4
    )


def test_only_the_arm_that_grew_is_marked() -> None:
    rows = pd.concat([ROWS, ROWS.assign(arm="gmvae", run="b")], ignore_index=True)
    found = mark_adaptive(rows, [run("a", "10:00", 2), run("b", "12:00", 4)])
    assert found["adaptive"].tolist() == [True] * 4 + [False] * 4


@pytest.mark.parametrize("provenance", [[], [{"run": "a"}, {"run": "b", "grid": "quick"}]])
def test_without_provenance_nothing_is_known_and_that_is_reported(
    provenance: list[dict[str, Any]],
) -> None:
    found = mark_adaptive(ROWS, provenance)
    assert not found["adaptive"].any()
    assert found["unrecorded"].all()
    (message,) = describe_unrecorded(found)
    assert message.startswith(
        "whether seeds were added later is not known for 1 of 1 arms: the folder holds no record"
    )


def test_rows_of_a_run_without_a_record_are_marked_alone() -> None:
    found = mark_adaptive(ROWS.assign(status=["ok", "ok", "failed", "ok"]), [run("a", "10:00", 2)])
    assert found["unrecorded"].tolist() == [False, False, False, True]
    assert not list(
        describe_unrecorded(mark_adaptive(ROWS, [run("a", "10:00", 4), run("b", "12:00", 4)]))
    )


def test_a_run_that_is_taken_up_beside_another_is_not_adaptive() -> None:
    """Two machines share the seeds from the start, and one of them is interrupted."""
    rows = pd.DataFrame(
        {"arm": "vae", "run": list("abc"), "status": "ok", "finished": ["10:30", "10:40", "12:30"]}
    )
    runs = [run("a", "10:00", 2), run("b", "10:01", 4), run("c", "12:00", 4)]
    assert not mark_adaptive(rows, runs)["adaptive"].any()
