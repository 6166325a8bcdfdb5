"""Compiled importance weights are those of the model, to float32 rounding."""

from collections.abc import Generator
from typing import Any

import pytest
import torch

from harness.evaluation.importance import iwae, weights
from harness.plugins import registry
from harness.plugins.dataset import Data
from tests.conftest import CellMaker
from tests.unit.harness.training.test_trainer import COMPILES


def finish(work: Generator[float, None, dict[str, Any]]) -> dict[str, Any]:
    """What a score returns."""
    while True:
        try:
            next(work)
        except StopIteration as ended:
            return dict(ended.value)


@pytest.mark.slow
@COMPILES
@pytest.mark.parametrize("model", ["vae", "gmvae", "iaf"])
def test_compiled_bounds_are_those_of_the_eager_model(
    model: str, full_mnist: Data, cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last chunk and the last draws are smaller, and computed without compiling."""
    built: Any = registry.build(cell(model)).eval()
    images = full_mnist.test_x[:230].flatten(1) > 127
    x, draws = images.float(), (10, 25)
    blocks: list[tuple[int, int]] = []
    compile_block = weights.compile_block

    def counted(*args: Any) -> weights.Block:
        block = compile_block(*args)
        assert block is not None

        def run(x: torch.Tensor, y: torch.Tensor, noise: Any) -> torch.Tensor:
            blocks.append((len(x), len(noise["z"])))
            return block(x, y, noise)

        return run

    monkeypatch.setattr(iwae, "compile_block", counted)
    eager, compiled = (
        finish(iwae.iwae(built, x, draws, {}, "iwae", mode=mode)) for mode in ("never", "always")
    )
    assert blocks == [(100, 10)] * 4
    for k in draws:
        assert compiled[f"iwae_{k}"] == pytest.approx(eager[f"iwae_{k}"], rel=1e-6)
