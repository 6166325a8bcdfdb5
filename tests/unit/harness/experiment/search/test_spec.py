"""What makes two searches the same one."""

import json
from typing import Any

import pytest

from harness.experiment.search.spec import SearchSpec

SPACE = {"learning_rate": {"log": [1e-4, 1e-2]}}


def identify(**keys: Any) -> str:
    return SearchSpec.model_validate({"trials": 8, "space": SPACE, **keys}).identify(100)


def test_more_trials_and_studies_extend_a_search() -> None:
    assert identify() == identify(trials=80, studies=5, budget="free")
    assert identify(method="tpe") == identify(method="tpe", trials=80)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"metric": "validation_accuracy"}),
        ({}, {"space": {"learning_rate": {"linear": [1e-4, 1e-2]}}}),
        ({}, {"space": {**SPACE, "beta": [1.0, 4.0]}}),
        ({"method": "halving"}, {"method": "random"}),
        ({"method": "halving"}, {"method": "halving", "trials": 9}),
        ({"method": "halving"}, {"method": "halving", "eta": 2}),
        ({"method": "halving"}, {"method": "halving", "rungs": 2}),
        ({"method": "tpe"}, {"method": "tpe", "batch": 2}),
    ],
)
def test_what_decides_the_points_is_another_search(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert identify(**one) != identify(**other)


def test_a_description_says_method_metric_trials_and_axes() -> None:
    spec = SearchSpec.model_validate({"trials": 8, "space": {**SPACE, "settings": {"z": [5, 10]}}})
    assert json.loads(spec.describe()) == {
        "method": "random",
        "metric": "validation_nelbo",
        "trials": 8,
        "split": "shared",
        "budget": "equal",
        "axes": {"learning_rate": {"log": [1e-4, 1e-2]}, "settings.z": {"choices": [5, 10]}},
    }


SCHEDULER = "ray.tune.schedulers.ASHAScheduler"
SEARCHER = "ray.tune.search.optuna.OptunaSearch"


def test_a_search_by_ray_tune_is_known_by_its_objects_and_its_length() -> None:
    specs = [
        SearchSpec.model_validate({"trials": 8, "space": SPACE, "method": "tune", **keys})
        for keys in (
            {"searcher": SEARCHER},
            {"scheduler": SCHEDULER},
            {"searcher": SEARCHER, "scheduler": SCHEDULER},
            {"searcher": SEARCHER, "trials": 9},
        )
    ]
    found = [spec.identify(length) for spec in specs for length in (100, 200)]
    assert found[6:] == found[:2]
    assert len(set(found)) == 6
    described = json.loads(specs[0].describe())
    assert described["descriptive"] is True
    assert (described["searcher"], described["scheduler"]) == (SEARCHER, None)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"method": "tune"}, "expected a searcher, a scheduler or both"),
        ({"searcher": SEARCHER}, "searcher: a key of method tune, got method random"),
        ({"method": "tpe", "scheduler": SCHEDULER}, "scheduler: a key of method tune, got"),
        ({"method": "tune", "searcher": "OptunaSearch"}, "should match pattern"),
        ({"method": "tune", "searcher": "a.b; import os"}, "should match pattern"),
        ({"method": "tune", "searcher": SEARCHER, "batch": 2}, "batch: a key of method tpe"),
    ],
)
def test_objects_of_ray_tune_belong_to_the_method_tune(keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        SearchSpec.model_validate({"trials": 8, "space": SPACE, **keys})
