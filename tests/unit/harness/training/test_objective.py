"""What is compiled, and which parameters an objective trains."""

from collections.abc import Sequence

import pytest
import torch

from harness.experiment.options import COMPILE_CHOICES, Compile
from harness.plugins import registry
from harness.plugins.model import PIXELS, Batch, draw_noise
from harness.training import objective
from harness.training.compilation import MIN_STEPS_TO_COMPILE, should_compile
from harness.training.objective import trained_parameters
from tests.conftest import CellMaker

LONG, SHORT = MIN_STEPS_TO_COMPILE, MIN_STEPS_TO_COMPILE - 1


@pytest.mark.parametrize(
    ("mode", "iterations", "device", "compilers", "expected"),
    [
        ("auto", LONG, "cpu", ["g++"], True),
        ("auto", SHORT, "cpu", ["g++"], False),
        ("auto", LONG, "cuda", ["g++"], False),
        ("auto", LONG, "cpu", [], False),
        ("always", LONG, "cpu", ["g++"], True),
        ("always", SHORT, "cuda", [], True),
        ("never", LONG, "cpu", ["g++"], False),
    ],
)
def test_long_trainings_on_cpus_are_compiled(
    mode: Compile,
    iterations: int,
    device: str,
    compilers: Sequence[str],
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: name if name in compilers else None)
    assert should_compile(mode, iterations, torch.device(device)) is expected


@pytest.mark.parametrize(("compilers", "expected"), [(["clang++"], True), (["g++"], False)])
def test_the_compiler_is_the_one_that_the_environment_names(
    compilers: Sequence[str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "clang++")
    monkeypatch.setattr("shutil.which", lambda name: name if name in compilers else None)
    assert should_compile("auto", LONG, torch.device("cpu")) is expected


def test_every_mode_is_tested() -> None:
    assert set(COMPILE_CHOICES) == {"auto", "always", "never"}


@pytest.mark.parametrize(
    ("supervision", "parts"),
    [("supervised", {"classifier"}), ("semi-supervised", {"classifier", "encoder", "decoder"})],
)
def test_a_supervised_cell_trains_its_classifier_alone(
    supervision: str, parts: set[str], cell: CellMaker
) -> None:
    model = registry.build(cell("ssvae", supervision=supervision))
    batch = Batch(torch.zeros(2, PIXELS), torch.zeros(10, PIXELS), torch.arange(10))
    names, exact = trained_parameters(model, batch, draw_noise(model, 2, torch.Generator()))
    assert not exact
    assert {name.split(".")[0] for name in names} == parts
    assert names == {name for name, _ in model.named_parameters() if name.split(".")[0] in parts}


def test_the_loss_is_its_parts_weighted_by_each_cells_beta(cell: CellMaker) -> None:
    cells = [cell("vae", beta=beta) for beta in (1.0, 4.0)]
    model = registry.build(cells[0])
    trained = {name: torch.stack([value.detach()] * 2) for name, value in model.named_parameters()}
    batch = Batch(
        torch.ones(2, 3, PIXELS), torch.zeros(2, 0, PIXELS), torch.zeros(2, 0, dtype=torch.long)
    )
    noise = {
        name: torch.stack([draw] * 2)
        for name, draw in draw_noise(model, 3, torch.Generator()).items()
    }
    _, parts, _ = objective.make_objective(model)(
        trained, {}, batch, noise, {"kl": torch.tensor([1.0, 4.0])}
    )
    torch.testing.assert_close(
        parts.loss, parts.rec + torch.tensor([1.0, 4.0]) * parts.kl + parts.extra
    )
    assert parts.kl[0] == parts.kl[1] > 0
