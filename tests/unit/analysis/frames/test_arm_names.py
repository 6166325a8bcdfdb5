"""Names of arms are short and unique."""

from typing import Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analysis.frames.arm_names import (
    arm_names,
    prefer_given,
    rename_arms,
    row_arm_names,
    series_names,
)
from harness.experiment.cell import Cell, Supervision
from harness.storage.artifacts import ArmName
from harness.storage.schema import ARM_COLUMNS, describe_cell
from tests.unit.analysis.conftest import FrameMaker, made, row

SUPERVISIONS: tuple[Supervision, ...] = ("none", "supervised", "semi-supervised")
CELLS = st.builds(
    Cell,
    model=st.sampled_from(["vae", "ssvae"]),
    seed=st.just(0),
    iterations=st.sampled_from([10, 1000]),
    settings=st.sampled_from([(("z", 2),), (("z", 4),), (("k", 3), ("z", 2))]),
    beta=st.sampled_from([0.5, 1.0, 4.0]),
    dataset=st.sampled_from(["mnist", "kmnist"]),
    supervision=st.sampled_from(SUPERVISIONS),
    labels=st.sampled_from([0, 100, 1000]),
    label_draw=st.sampled_from(["none", "seed", "draw-1"]),
    batch_size=st.sampled_from([97, 128]),
    learning_rate=st.sampled_from([1e-3, 1e-4]),
    data_version=st.sampled_from(["", "0a1b2c"]),
    validation=st.sampled_from([0, 5000]),
    recipe=st.sampled_from([(), (("clip", 1.0),), (("clip", 5.0), ("optimizer", "sgd"))]),
    term_weights=st.sampled_from([(), (("tc", 4.0),), (("class", 0.0),)]),
)


@given(st.lists(CELLS, min_size=1, max_size=12, unique=True))
def test_no_two_arms_share_a_name(cells: list[Cell]) -> None:
    names = arm_names(pd.DataFrame([describe_cell(cell) for cell in cells])[list(ARM_COLUMNS)])
    assert names.is_unique


def test_a_name_tells_only_what_differs(results: FrameMaker) -> None:
    rows = results(row(made("vae")), row(made("vae", beta=4.0)), row(made("gmvae", iterations=10)))
    assert set(row_arm_names(rows)) == {"vae β=1", "vae β=4", "gmvae"}


def test_a_name_tells_the_recipe(results: FrameMaker) -> None:
    recipe: dict[str, Any] = {"recipe": (("clip", 1.0), ("optimizer", "sgd"))}
    rows = results(row(made("vae")), row(made("vae", **recipe)), row(made("vae", validation=5000)))
    expected = {"vae validation 0", "vae validation 5,000"}
    assert set(row_arm_names(rows)) == expected | {"vae validation 0 clip=1.0 optimizer=sgd"}


def test_no_arms_have_no_names() -> None:
    assert arm_names(pd.DataFrame([describe_cell(made("vae"))])[list(ARM_COLUMNS)].head(0)).empty


def test_seeds_of_an_arm_share_its_name(results: FrameMaker) -> None:
    rows = results(*[row(made("vae", seed)) for seed in range(3)])
    assert row_arm_names(rows).tolist() == ["vae"] * 3


def test_a_series_of_one_named_arm_has_its_name(results: FrameMaker) -> None:
    """Longer series keep the name of what their arms share."""
    cells = made("vae"), made("vae", beta=4.0), made("gmvae")
    rows = results(*map(row, cells))
    names = [ArmName("mine", describe_cell(cells[1])), ArmName("other", describe_cell(cells[2]))]
    renamed = rename_arms(rows, names)
    assert set(renamed["arm"]) == {"vae β=1", "mine", "other"}
    assert set(series_names(renamed, "beta")) == {"vae", "other"}
    short = pd.Series(["a", "b", "c"], ["vae β=1", "mine", "other"])
    assert prefer_given(short, renamed).tolist() == ["a", "mine", "other"]
    assert prefer_given(short, rows).tolist() == ["a", "b", "c"]


def test_a_series_never_takes_the_name_of_another(results: FrameMaker) -> None:
    cells = made("vae"), made("vae", beta=4.0), made("gmvae")
    renamed = rename_arms(results(*map(row, cells)), [ArmName("vae", describe_cell(cells[2]))])
    assert set(series_names(renamed, "beta")) == {"vae", "gmvae"}
