"""The user's searcher and scheduler by name: what is refused, and what a searcher is told."""

from typing import Any

import pytest

pytest.importorskip("ray.tune")
import numpy as np
from ray import tune
from ray.tune.search import Searcher

from harness.errors import InputError
from harness.execution.studies import own_objects
from harness.experiment.search.space import Axis, Space
from harness.experiment.search.spec import SearchSpec

HERE = __name__
SPACE = {
    "learning_rate": {"log": [1e-4, 1e-2]},
    "batch_size": {"integer": [16, 32]},
    "settings": {"z": [5, 10]},
}


class Taught(Searcher):
    """Keeps what it is told."""

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
        self.told: list[Any] = [(metric, mode, sorted(config))]
        return True

    def add_evaluated_point(self, parameters: Any, value: Any, *others: Any, **more: Any) -> None:
        self.told.append((parameters, value))


class Deaf(Searcher):
    """Cannot be told what was known before."""

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
        return True


class Choosy(Searcher):
    """Takes no such space."""

    def set_search_properties(self, metric: Any, mode: Any, config: Any, **spec: Any) -> bool:
        raise ValueError("only wide spaces")


def make_hyperband() -> Any:
    """A scheduler that pauses trials."""
    return tune.schedulers.HyperBandScheduler()


def make_broken() -> Any:
    raise RuntimeError("no licence\nat all")


def make_spec(**keys: Any) -> SearchSpec:
    values = {"method": "tune", "trials": 4, "space": SPACE, **keys}
    return SearchSpec.model_validate(values)


@pytest.mark.parametrize(
    ("key", "name", "reason"),
    [
        ("searcher", "no_such_package.Search", "ModuleNotFoundError: No module named"),
        ("scheduler", "ray.tune.schedulers.Nope", "AttributeError: module"),
        ("searcher", f"{HERE}.make_broken", r"\(RuntimeError: no licence\); expected a class"),
        ("searcher", "ray.tune.schedulers.ASHAScheduler", "expected a Searcher of Ray Tune, got a"),
        ("scheduler", f"{HERE}.Deaf", "expected a TrialScheduler of Ray Tune, got a Deaf"),
        ("scheduler", f"{HERE}.make_hyperband", "expected one that only stops them"),
        ("searcher", f"{HERE}.Choosy", r"does not take the space \(only wide spaces\)"),
        ("searcher", "ray.tune.search.Searcher", "expected one without a space of its own"),
    ],
)
def test_what_cannot_be_used_is_one_line(key: str, name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        own_objects.check_names(make_spec(**{key: name}))
    assert str(caught.value).startswith(f"search, {key} '{name}'")
    assert "\n" not in str(caught.value)


def test_a_searcher_is_told_the_metric_the_space_and_earlier_trials() -> None:
    spec = make_spec(searcher=f"{HERE}.Taught", metric="validation_accuracy")
    made = own_objects.make_searcher(spec, [({"settings.z": 5}, 0.75)])
    axes = ["batch_size", "learning_rate", "settings.z"]
    assert made.told == [("validation_accuracy", "max", axes), ({"settings.z": 5}, 0.75)]


def test_a_searcher_that_cannot_be_told_is_used_all_the_same() -> None:
    spec = make_spec(searcher=f"{HERE}.Deaf")
    assert isinstance(own_objects.make_searcher(spec, [({"settings.z": 5}, 0.75)]), Deaf)


def test_optuna_is_told_earlier_trials() -> None:
    pytest.importorskip("optuna")
    spec = make_spec(searcher="ray.tune.search.optuna.OptunaSearch")
    points = [spec.space.draw(0, trial) for trial in range(3)]
    made = own_objects.make_searcher(spec, [(point, 100.0) for point in points])
    assert [trial.params for trial in made._ot_study.trials] == points
    assert {trial.value for trial in made._ot_study.trials} == {100.0}


@pytest.mark.parametrize(
    "axis",
    [
        {"log": [1e-4, 1e-2]},
        {"linear": [0.0, 1.0]},
        {"integer": [2, 4]},
        {"log_integer": [2, 4]},
        ["a", "b"],
    ],
)
def test_a_domain_has_the_values_of_its_axis(axis: Any) -> None:
    known, space = Axis.model_validate(axis), Space.model_validate({"settings": {"s": axis}})
    domain = own_objects.make_domain(known)
    values = [
        own_objects.read_point(space, {"settings.s": domain.sample()})["settings.s"]
        for _ in range(200)
    ]
    if known.kind in ("log", "linear"):
        low, high = known.bounds
        assert all(isinstance(value, float) and low <= value <= high for value in values)
        assert len(set(values)) > 100
    elif known.kind == "choices":
        assert set(values) == {"a", "b"}
    else:
        assert set(values) == {2, 3, 4}  # both ends
        assert {type(value) for value in values} == {int}


def test_a_suggested_point_has_plain_short_numbers_and_the_axes_of_the_space() -> None:
    space = Space.model_validate(SPACE)
    suggested = {
        "learning_rate": np.float64(0.00123456),
        "batch_size": np.int64(20),
        "settings.z": np.int64(5),
    }
    point = own_objects.read_point(space, suggested)
    assert point == {"learning_rate": 0.001235, "batch_size": 20, "settings.z": 5}
    assert {type(value) for value in point.values()} == {int, float}
    with pytest.raises(InputError, match=r"suggests lr; expected batch_size, learning_rate, set"):
        own_objects.read_point(space, {"lr": 0.1})
