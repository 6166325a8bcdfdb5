"""The arguments of `harness.run` as the options of a run."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness.api import FLAGS, make_options
from harness.cli.arguments import make_options as options_of_flags
from harness.cli.arguments import make_parser
from harness.cli.experiment import select_grid
from harness.cli.options import RunOptions
from harness.errors import InputError
from harness.experiment import grid_file
from harness.experiment.grid import Grid

SWEEPS = [{"model": "vae", "beta": (1, 4)}]


def test_the_same_as_the_flags() -> None:
    words = "beta --betas 1 4 --seeds 2 --models vae --plugin a.py --launcher in-process --iwae 10"
    given = options_of_flags(make_parser().parse_args(words.split()))
    options = make_options(
        "beta",
        betas=(1, 4),
        seeds=2,
        models="vae",
        plugins=["a.py"],
        launcher="in-process",
        iwae=[10],
    )
    assert options.command == (
        "harness.run('beta', betas=[1, 4], seeds=2, models='vae', plugins=['a.py'], "
        "launcher='in-process', iwae=[10])"
    )
    assert vars(options) | {"command": ""} == vars(given)


def test_every_flag_is_an_option_or_a_key() -> None:
    assert {"seeds", "betas", "models", "iterations", "dataset", "iwae", "resume"} <= FLAGS
    assert not {"grid_keys", "command", "dry_run"} & FLAGS


@pytest.mark.parametrize(
    "grid",
    [
        {"name": "mine", "seeds": range(2), "sweeps": SWEEPS},
        Grid.model_validate(
            {"name": "mine", "seeds": 2, "sweeps": [{"model": "vae", "beta": [1, 4]}]}
        ),
    ],
)
def test_a_grid_is_keys_or_a_grid(grid: Any) -> None:
    chosen = grid_file.validate(select_grid(make_options(grid)))
    assert (chosen.name, chosen.seeds, chosen.sweeps[0].beta) == ("mine", [0, 1], [1.0, 4.0])


def test_keys_need_no_name_and_no_seeds_beside_the_flag() -> None:
    options = make_options({"sweeps": SWEEPS}, seeds=np.arange(3))
    grid = grid_file.apply_flags(select_grid(options), options.grid_keys)
    assert (grid.name, grid.seeds) == ("grid", [0, 1, 2])


def test_a_path_is_a_grid_and_a_folder() -> None:
    options = make_options(Path("mine.yaml"), results=Path("r"))
    assert (options.grid, options.results) == ("mine.yaml", "r")
    assert options.command == "harness.run('mine.yaml', results='r')"


def test_trackers_are_names_classes_and_objects() -> None:
    class Silent:
        def on_row(self, row: object) -> None:
            """Does nothing."""

    silent = Silent()
    options = make_options("quick", trackers=["tensorboard", Silent, silent])
    assert options.trackers == ("tensorboard", Silent, silent)
    assert "trackers=['tensorboard', " in options.command
    assert " at 0x" not in options.command
    assert make_options("quick", trackers=silent).trackers == (silent,)


def test_arrays_of_betas() -> None:
    assert make_options(None, betas=np.array([0.5, 2.0])).grid_keys == {"beta": [0.5, 2.0]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": 3}, "no flag of harness.run 'seed'; did you mean 'seeds'?"),
        ({"dry_run": True}, "no flag of harness.run 'dry_run';"),
        ({"launcher": "slurm"}, "flag 'launcher': input should be 'ray' or 'in-process', got"),
        ({"resume": "soon"}, "flag 'resume': input should be"),
        ({"cpus": "many"}, "flag 'cpus': input should be a valid integer"),
        ({"pack_size": 0}, "flag 'pack_size': "),
    ],
)
def test_a_bad_argument_is_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_options("quick", **arguments)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_another_thing_is_no_grid() -> None:
    with pytest.raises(InputError, match=r"^grid 3: expected a shipped grid, a YAML file,"):
        make_options(3)  # type: ignore[arg-type]


def test_a_thread_is_refused_before_anything_is_read() -> None:
    caught: list[BaseException] = []

    def call() -> None:
        try:
            harness.run("no such grid")
        except InputError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert str(caught[0]).endswith("expected a call in the main thread")


def test_no_arguments_are_the_options_defaults() -> None:
    assert make_options(None) == RunOptions(command="harness.run()")
