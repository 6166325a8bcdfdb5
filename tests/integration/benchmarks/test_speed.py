"""The speed benchmark times equal work for all contenders."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.speed import gpu, grids, plain
from benchmarks.speed.__main__ import Report, of_gpu
from benchmarks.speed.measure import Times
from harness.experiment import grid_file
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data


def test_all_contenders_train_the_published_grid() -> None:
    """15 cells of three seeds: `vae` and `gmvae` of 1,000 steps, `ssvae` of 800."""
    found = grid_file.validate(grid_file.read(grids.QUICK)).cells(registry.cards())
    ours = {
        (c.supervision if c.supervision == "supervised" else c.model, c.beta, c.seed, c.iterations)
        for c in found
    }
    assert ours == set(map(tuple, plain.quick(grids.STEPS)))
    assert len(found) == 15


def test_what_is_measured_on_a_gpu_runs_on_a_cpu(mnist: Data) -> None:
    packed, alone = gpu.packed_and_alone("vae", 2, mnist, rounds=2)
    assert len(packed.taken) == len(alone.taken) == 2
    precisions = gpu.precisions("vae", 2, mnist, 1, ("float32", "bf16"))
    assert list(precisions) == ["float32", "bf16"]
    streamed = gpu.kept_and_streamed("vae", 2, mnist, torch.device("cpu"), rounds=1)
    assert list(streamed) == ["kept", "streamed"]


def test_the_guard_of_memory_is_measured_on_one_two_and_all_cells(
    mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a fake memory: 100 bytes, 50 for each cell, and 7 that come with a third."""
    trained: list[int] = []

    def trainer(cells: Sequence[Cell], data: Data) -> Any:
        trained.append(len(cells))
        return SimpleNamespace(train_step=lambda: None)

    def peak(work: Callable[[], object], device: torch.device) -> int:
        work()
        return 100 + 50 * trained[-1] + 7 * (trained[-1] > 2)

    monkeypatch.setattr(gpu, "PackTrainer", trainer)
    monkeypatch.setattr("harness.training.gpu_memory.measure_peak_bytes", peak)
    assert gpu.foretold_and_taken("vae", 5, mnist) == (350, 357)
    assert trained == [1, 2, 5]


def test_the_report_of_a_gpu_has_a_line_for_every_measure(
    mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no compiler\nfor this device")

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    stub = SimpleNamespace(to=lambda *_: mnist)
    monkeypatch.setattr("benchmarks.speed.__main__.idx_sets.load", lambda _: stub)
    one, two, four = (Times([seconds] * 2) for seconds in (1.0, 2.0, 4.0))
    monkeypatch.setattr(gpu, "packed_and_alone", lambda *_: (one, four))
    monkeypatch.setattr(gpu, "precisions", lambda *_: {"float32": four, "tf32": two, "bf16": one})
    monkeypatch.setattr(gpu, "eager_and_compiled", refuse)
    monkeypatch.setattr(gpu, "kept_and_streamed", lambda *_: {"kept": one, "streamed": two})
    monkeypatch.setattr(gpu, "foretold_and_taken", lambda *_: (2**30, 2**29))
    report = Report()
    of_gpu(report, rounds=2)
    lines = {line[1]: line[3] for line in report.lines}
    assert lines["cells per hour of `convvae`, 64 packed"] == "**4.00** (4.00 to 4.00)"
    assert lines["step of `vae`, pack of 64, on a GPU, in bf16"] == "**4.00** (4.00 to 4.00)"
    refused = "does not compile: RuntimeError: no compiler"
    assert lines["compiled step of `ssvae`, pack of 64, on a GPU"] == refused
    assert lines["step of 64 `vae`, images on the host"] == "**2.00** (2.00 to 2.00)"
    assert lines["peak of 64 `gmvae`"] == "**0.50** of 1.00 GiB"


def test_without_a_gpu_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    report = Report()
    of_gpu(report, rounds=2)
    assert [line[3] for line in report.lines] == ["skipped: no GPU here"]
    assert not report.numbers
