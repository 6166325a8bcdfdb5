"""Points become cells, and spaces that a model cannot have are refused in one line."""

from typing import Any

import pytest

from harness import bench
from harness.errors import InputError
from tests.unit.harness.search.worlds import SWEEPS, make_design

VAE = SWEEPS[0]


def list_first(space: dict[str, Any], **sweep: Any) -> Any:
    return make_design([VAE | sweep], space=space).list_due({})


def test_values_of_a_point_are_in_canonical_form() -> None:
    space: dict[str, Any] = {
        "learning_rate": [1],
        "batch_size": {"integer": [16, 17]},
        "beta": [2],
        "recipe": {"optimizer": ["sgd"], "momentum": [0.9], "clip": [0]},
    }
    for cell in list_first(space):
        assert (cell.learning_rate, cell.beta) == (1.0, 2.0)
        assert type(cell.learning_rate) is type(cell.beta) is float
        assert cell.batch_size in (16, 17)
        assert cell.recipe == (("momentum", 0.9), ("optimizer", "sgd"))


def test_integer_bounds_of_a_setting_of_fractions_give_fractions() -> None:
    sweep = {"model": "ssvae", "iterations": 90, "validation": 100, "labels": 100}
    space = {"settings": {"class_weight": {"integer": [1, 200]}}}
    cells = make_design([sweep], space=space).list_due({})
    assert {type(dict(cell.settings)["class_weight"]) for cell in cells} == {float}


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"settings": {"q": [1, 2]}}, "settings.q: no setting of model 'vae' 'q'"),
        ({"settings": {"z": [1, 2.5]}}, "settings.z: .* expected int, got 2.5"),
        ({"settings": {"z": [True, False]}}, "settings.z: .* expected int, got True"),
        ({"settings": {"z": {"linear": [2, 9]}}}, "expected the axis integer, got linear"),
        ({"batch_size": {"log": [16, 64]}}, "expected the axis log_integer, got log"),
        ({"batch_size": [16, 32.5]}, "batch_size: expected whole numbers of images, got 32.5"),
        ({"batch_size": {"integer": [0, 9]}}, "batch_size: expected numbers above 0, got 0"),
        ({"learning_rate": {"linear": [0, 1]}}, "learning_rate: expected numbers above 0, got 0"),
        ({"learning_rate": ["fast"]}, "learning_rate: expected numbers above 0, got fast"),
        ({"learning_rate": [float("inf")]}, "learning_rate: expected numbers above 0, got inf"),
        ({"beta": [True]}, "beta: expected numbers from 0, got True"),
        ({"beta": [float("nan")]}, "beta: expected numbers from 0, got nan"),
        ({"recipe": {"q": [1]}}, "recipe.q: no key of a recipe 'q'"),
        ({"recipe": {"optimizer": ["adam", "foo"]}}, "no optimizer of a recipe 'foo'"),
        ({"recipe": {"momentum": {"linear": [0, 1]}}}, "expected a number from 0 on and below 1"),
        ({"recipe": {"lr_warmup": {"linear": [0, 9]}}}, "expected the axis integer, got linear"),
    ],
)
def test_axes_that_a_model_cannot_have(space: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=rf"^search space, .*{told}") as error:
        list_first(space)
    assert "\n" not in str(error.value)


def test_an_axis_that_the_sweep_lists_too() -> None:
    with pytest.raises(InputError, match=r"settings\.z: the sweep of model 'vae' lists 2 values"):
        list_first({"settings": {"z": [5, 10]}}, settings={"z": [5, 10]})
    with pytest.raises(InputError, match="learning_rate: the sweep of model 'vae' lists 2 values"):
        list_first({"learning_rate": [1e-3]}, learning_rate=[1e-3, 1e-4])
    assert list_first({"settings": {"z": [5, 10]}}, settings={"z": 7})


def test_a_momentum_is_not_lost_where_the_optimiser_is_searched() -> None:
    optimizers = {"recipe": {"optimizer": ["adam", "sgd"]}}
    with pytest.raises(InputError, match="expected the momentum of the sweep as an axis too"):
        list_first(optimizers, recipe={"momentum": 0.9})
    cells = list_first({"recipe": {**optimizers["recipe"], "momentum": [0.9]}})
    assert {cell.recipe for cell in cells} == {(), (("momentum", 0.9), ("optimizer", "sgd"))}


def test_a_sweep_without_an_axis() -> None:
    with pytest.raises(InputError, match="the sweep of model 'vae' has no axis to search"):
        list_first({})


GRID = """
seeds: {seeds}
search: {search}
sweeps: [{{model: vae, iterations: 9, validation: {validation}}}]
"""
SEARCH = "{trials: 2, space: {learning_rate: {log: [1e-4, 1e-2]}}}"
ONE_LINES = [
    ({"search": "{trials: 2, metric: nelbo, space: {}}"}, "'search.metric'"),
    ({"search": "{trials: 2, method: grid, space: {}}"}, "'search.method'"),
    ({"search": "{trials: 0, space: {}}"}, "'search.trials'"),
    ({"search": "{trails: 2, trials: 2}"}, "no grid key 'trails'; did you mean 'trials'?"),
    ({"search": "{trials: 2, space: {rate: [1]}}"}, "no grid key 'rate'; known: batch_size, beta"),
    ({"search": "{trials: 2, eta: 2, space: {}}"}, "eta: a key of method halving, got method"),
    ({"search": "{trials: 2, batch: 2, space: {}}"}, "batch: a key of method tpe, got method"),
    ({"search": "{trials: 2, space: {settings: {q: [1]}}}"}, "no setting of model 'vae' 'q'"),
    ({"search": "{trials: 2, studies: {looks: []}}"}, "studies.looks: expected a list"),
    ({"search": "{trials: 2, studies: {looks: [2, 4]}}"}, "looks: the last is at 4 seeds"),
    ({"validation": "0"}, "search: chooses on validation images"),
    ({"seeds": "[9999]"}, "expected seeds below 9,999 with a search, got 9999"),
    ({"seeds": "{looks: [4, 2]}"}, "looks: expected rising numbers of seeds from 2 on"),
    ({"seeds": "{looks: [1, 2]}"}, "looks: expected rising numbers of seeds from 2 on"),
    ({"seeds": "{looks: [2, 3], stop: [worse]}"}, "'stop"),
    ({"seeds": "{looks: [2, 3], stop: [equivalent]}"}, "stop: equivalent needs a margin"),
    ({"seeds": "{looks: [2, 3], at: 1}"}, "no key of seeds 'at'; known: looks, stop"),
]


@pytest.mark.parametrize(("keys", "told"), ONE_LINES)
def test_a_wrong_search_is_one_line_and_exit_2(
    keys: dict[str, str], told: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(GRID.format(**{"seeds": 1, "search": SEARCH, "validation": 100, **keys}))
    assert bench.main([str(file), "--results", str(tmp_path / "r"), "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert not (tmp_path / "r").exists()
