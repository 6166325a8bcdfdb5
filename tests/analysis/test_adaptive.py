from typing import Any

import pandas as pd
import pytest

from analysis.adaptive import marked


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
def test_seeds_that_are_added_after_a_result_are_adaptive(second: dict[str, Any], adaptive: bool) -> None:
    assert marked(ROWS, [second, run("a", "10:00", 2)])["adaptive"].tolist() == [adaptive] * 4


def test_only_the_arm_that_grew_is_marked() -> None:
    rows = pd.concat([ROWS, ROWS.assign(arm="gmvae", run="b")], ignore_index=True)
    found = marked(rows, [run("a", "10:00", 2), run("b", "12:00", 4)])
    assert found["adaptive"].tolist() == [True] * 4 + [False] * 4


def test_without_provenance_nothing_is_known() -> None:
    assert not marked(ROWS, [])["adaptive"].any()
    assert not marked(ROWS, [{"run": "a"}, {"run": "b", "grid": "quick"}])["adaptive"].any()
