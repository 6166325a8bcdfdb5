"""The flags as typed options."""

import pytest

from harness.cli.arguments import make_options, make_parser
from harness.cli.options import RunOptions
from harness.errors import InputError
from harness.experiment import grid_file
from harness.plugins import registry


def parse(*flags: str) -> RunOptions:
    return make_options(make_parser().parse_args(flags))


def test_no_flags_give_the_defaults_of_the_options() -> None:
    assert parse() == RunOptions()


def test_flags_that_are_keys_of_a_grid_are_kept_apart() -> None:
    options = parse("mine.yaml", "--betas", "1", "4", "--seeds", "2", "--iwae-on", "test")
    assert options.grid == "mine.yaml"
    assert options.grid_keys == {"beta": [1.0, 4.0], "seeds": 2, "iwae_on": ["test"]}


def test_what_a_grid_can_sweep_has_a_flag() -> None:
    options = parse("--learning-rate", "1e-3", "3e-4", "--batch-size", "97", "--data-set", "kmnist")
    assert options.grid_keys == {
        "learning_rate": [1e-3, 3e-4],
        "batch_size": [97],
        "dataset": ["kmnist"],
    }
    grid = grid_file.apply_flags(grid_file.read("quick"), options.grid_keys, ["vae"])
    cells = grid.cells(registry.cards())
    assert {(c.learning_rate, c.batch_size, c.dataset) for c in cells} == {
        (1e-3, 97, "kmnist"),
        (3e-4, 97, "kmnist"),
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--learning-rate", "0"), "input should be greater than 0, got 0.0"),
        (("--learning-rate", "nan"), "input should be a"),
        (("--batch-size", "-1"), "input should be greater than 0, got -1"),
    ],
)
def test_a_value_that_no_grid_can_have_is_one_line(flags: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grid_file.apply_flags(grid_file.read("quick"), parse(*flags).grid_keys)


def test_tensorboard_is_a_tracker() -> None:
    assert parse("--tracker", "lines", "--tensorboard").trackers == ("lines", "tensorboard")


def test_flags_of_the_execution() -> None:
    options = parse("--models", "vae", "--pack", "3", "--patience", "2", "--gpus-per-trial", "0.5")
    assert (options.models, options.pack_size, options.gpus) == (("vae",), 3, 0.5)
    assert options.patience_seconds == 120.0


@pytest.mark.parametrize("flags", [("--pack", "0"), ("--patience", "never"), ("--resume", "soon")])
def test_a_bad_value_is_one_line(flags: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="see --help"):
        parse(*flags)


def test_the_recipe_and_the_validation_size_are_keys_of_a_grid() -> None:
    options = parse("--recipe", "optimizer=sgd", "clip=1", "clip=5e-1", "--validation", "500")
    recipe = {"optimizer": ["sgd"], "clip": [1.0, 0.5]}
    assert options.grid_keys == {"recipe": recipe, "validation": 500}


@pytest.mark.parametrize("pair", ["clip", "clip=", "=1"])
def test_a_recipe_is_made_of_pairs(pair: str) -> None:
    with pytest.raises(InputError, match=f"{pair}: expected KEY=VALUE; see --help"):
        parse("--recipe", pair)
