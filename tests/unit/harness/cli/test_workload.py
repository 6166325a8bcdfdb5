"""What is checked of the cells of a run before it starts."""

import pytest
import torch

from harness.cli import workload
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.training.conformance import contract
from tests.conftest import CellMaker


def test_every_kind_of_cell_is_checked_once_with_one_thread(
    cell: CellMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []

    def check(kind: Cell, importance_weights: bool) -> str | None:
        checked.append((kind.model, torch.get_num_threads()))
        return "no" if kind.model == "gmvae" else None

    monkeypatch.setattr(contract, "find_violation", check)
    refused = cell("gmvae")
    try:
        torch.set_num_threads(2)
        found = workload.find_violations([cell("vae"), refused, cell("vae")], EvaluationConfig())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert sorted(checked) == [("gmvae", 1), ("vae", 1)]
    assert found == {refused.pack_key: "no"}
