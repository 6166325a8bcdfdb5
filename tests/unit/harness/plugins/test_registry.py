"""Models by name: ours, a user's file, another package; bad ones are refused in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness.errors import InputError
from harness.experiment.cell import Cell, ModelCard
from harness.plugins import registry, source_files
from harness.plugins.model import PIXELS, Batch, Model, Noise, Shape, Terms
from tests.conftest import CellMaker, given

SOURCE = '''
import torch
from torch import nn
from harness.plugins.model import PIXELS, Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register


@register("echo")
class Echo(Model):
    """p(x) = Bernoulli(logits),
    the same for every image.

    More that is not its story.
    """

    iterations = 7

    def __init__(self, scale: float = 0.5, deep: bool = False):
        super().__init__()
        self.logits = nn.Parameter(scale * torch.randn(PIXELS))

    def noise(self, batch: int) -> dict[str, Shape]:
        return {"z": (batch, 1)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        rec = nn.functional.softplus(self.logits).sum() - batch.x @ self.logits
        return Terms(rec, 0 * rec, 0 * rec)

    def sample(self, noise: Noise) -> torch.Tensor:
        return self.logits.sigmoid().expand(len(noise["z"]), PIXELS)
'''
CARD = ModelCard(
    "echo",
    "p(x) = Bernoulli(logits), the same for every image.",
    7,
    defaults={"scale": 0.5, "deep": False},
)


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[Model]]:
    """The registry, restored after the test."""
    registry.cards()
    found = dict(registry._models)
    monkeypatch.setattr(registry, "_models", found)
    return found


class Silent(Model):
    """A model without a docstring."""

    def noise(self, batch: int) -> dict[str, Shape]:
        return {}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        zero = batch.x.sum(-1) * 0
        return Terms(zero, zero, zero)

    def sample(self, noise: Noise) -> torch.Tensor:
        return torch.zeros(1, PIXELS)


# --- names ----------------------------------------------------------------------------------------


def test_our_models_are_found_by_name() -> None:
    assert {"vae", "gmvae", "ssvae"} <= set(registry.cards())
    assert registry.lookup("vae").__module__ == "models.vae"


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    known = ", ".join(sorted(registry.cards()))
    with pytest.raises(InputError, match=rf"^no model 'vea'; did you mean 'vae'\? known: {known}$"):
        registry.lookup("vea")


def test_a_name_is_taken_once() -> None:
    registry.register("silent")(Silent)
    registry.register("silent")(Silent)
    assert registry.lookup("silent") is Silent
    with pytest.raises(
        InputError, match=r"^model name 'vae' is taken by models\.vae; expected another name$"
    ):
        registry.register("vae")(Silent)
    assert registry.lookup("vae") is not Silent


def test_a_model_can_bear_two_names() -> None:
    registry.register("still")(registry.register("silent")(Silent))
    assert registry.lookup("still") is registry.lookup("silent") is Silent


def test_a_setting_without_a_plain_default_is_refused() -> None:
    class Needy(Silent):
        def __init__(self, z: int, widths: tuple[int, ...] = (3, 4)):
            super().__init__()

    registry.register("needy")(Needy)
    with pytest.raises(
        InputError,
        match=r"^model 'needy': setting 'z' needs a default that is a number, a word or a",
    ):
        registry.cards()


# --- building -------------------------------------------------------------------------------------


def test_weights_follow_the_seed_and_nothing_else(cell: CellMaker) -> None:
    def first(one: Cell) -> torch.Tensor:
        return next(registry.build(one).parameters())

    torch.manual_seed(1)
    one = first(cell("vae"))
    state = torch.get_rng_state()
    assert torch.equal(one, first(cell("vae", beta=4.0, dataset="kmnist", learning_rate=0.1)))
    assert not torch.equal(one, first(cell("vae", 1)))
    assert torch.equal(state, torch.get_rng_state())


def test_settings_reach_the_model_or_are_refused(cell: CellMaker) -> None:
    narrow, default = (registry.build(cell("vae", settings=chosen)) for chosen in ({"z": 3}, {}))
    assert sum(p.numel() for p in narrow.parameters()) < sum(
        p.numel() for p in default.parameters()
    )
    with pytest.raises(InputError, match=r"\Amodel 'vae' refuses \{'z': -1\}: [^\n]+\Z"):
        registry.build(cell("vae", settings={"z": -1}))


@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError("too\nlong"), "too"), (RuntimeError(), "RuntimeError"), (TypeError("x"), "x")],
)
def test_whatever_a_model_says_against_its_settings_is_one_line(
    error: Exception, message: str
) -> None:
    class Picky(Silent):
        def __init__(self) -> None:
            raise error

    registry.register("picky")(Picky)
    with pytest.raises(InputError) as caught:
        registry.build(Cell("picky", 0, 1))
    assert str(caught.value) == f"model 'picky' refuses {{}}: {message}"


def test_supervision_reaches_the_models_that_have_one(cell: CellMaker) -> None:
    ways = [
        registry.build(cell("ssvae", supervision=way)) for way in ("supervised", "semi-supervised")
    ]
    images, noise = (
        torch.zeros(2, PIXELS),
        {name: torch.zeros(shape) for name, shape in ways[0].noise(2).items()},
    )
    batch = Batch(images, images, torch.tensor([0, 1]))
    assert not torch.equal(*(given(model.terms(batch, noise).kl).mean() for model in ways))


# --- a user's file --------------------------------------------------------------------------------


def test_a_model_file_can_be_loaded_again(tmp_path: Path) -> None:
    file = tmp_path / "echo.py"
    file.write_text(SOURCE, encoding="utf-8")
    for _ in range(2):  # a worker that is used again loads it again
        for plugin in source_files.read_plugins([str(file)]):
            registry.load(plugin)
        assert registry.cards()["echo"] == CARD
    model = registry.build(Cell("echo", 0, 1, settings=(("deep", True), ("scale", 0.0))))
    assert torch.equal(model.sample({"z": torch.zeros(2, 1)}), torch.full((2, PIXELS), 0.5))


def test_a_model_file_may_define_what_looks_its_own_module_up() -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import "
        "dataclass\n@dataclass\nclass A:\n    x: int = 3"
    )
    registry.load_source("mine.py", source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def f(:", "SyntaxError: invalid syntax"),
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError('one\\n  two')", "ValueError: one two"),
        ("x = '\0'", "null bytes"),
    ],
)
def test_a_model_file_that_does_not_load_is_refused_in_one_line(source: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        registry.load_source("mine/echo.py", source)
    assert str(caught.value).startswith("model file 'mine/echo.py' does not load: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_file_with_a_taken_name_says_so() -> None:
    with pytest.raises(InputError, match=r"^model name 'vae' is taken by"):
        registry.load_source("mine.py", SOURCE.replace('"echo"', '"vae"'))


def test_files_can_be_loaded_for_one_run_alone() -> None:
    registry.load_source("kept.py", SOURCE)
    with registry.unload_afterwards():
        registry.load_source("mine.py", SOURCE.replace('"echo"', '"second"'))
        assert {"echo", "second"} <= set(registry.cards())
    assert "echo" in registry.cards()
    assert "second" not in registry.cards()


# --- a third party's package ----------------------------------------------------------------------


def with_third_party(folder: Path, source: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code where another distribution is installed.

    It is a module with this source and a folder of entry points.
    """
    about = folder / "third_party-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[harness.models]\nthird = third_party\n")
    (folder / "third_party.py").write_text(source, encoding="utf-8")
    paths = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )


def test_an_entry_point_that_fails_is_one_line(tmp_path: Path) -> None:
    code = "from harness import bench; raise SystemExit(bench.main(['--list']))"
    done = with_third_party(tmp_path, "import nothing_like_it", code)
    assert done.returncode == 2
    assert done.stderr == (
        "error: the models of the package 'third_party' do not load: "
        "ModuleNotFoundError: No module named 'nothing_like_it'\n"
    )
