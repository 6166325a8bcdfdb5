"""Every registered model keeps the contract; a new model is tested once it is registered."""

import pytest

from harness.experiment.cell import Cell, Supervision
from harness.plugins import registry
from harness.training.conformance import contract
from tests.conftest import CellMaker

ARMS = [
    (name, supervision)
    for name, card in registry.cards().items()
    for supervision in card.supervisions
]
OVER_ARMS = pytest.mark.parametrize(
    ("model", "supervision"), ARMS, ids=["-".join(arm) for arm in ARMS]
)


@OVER_ARMS
def test_a_model_keeps_the_contract(model: str, supervision: Supervision, cell: CellMaker) -> None:
    found = list(contract.run_checks(cell(model, supervision=supervision)))
    assert [fault for _, fault in found if fault] == []
    assert len(found) == len(contract.CHECKS)


@OVER_ARMS
def test_a_model_passes_the_probe_of_a_run(
    model: str, supervision: Supervision, cell: CellMaker
) -> None:
    assert (
        contract.find_violation(cell(model, supervision=supervision), importance_weights=True)
        is None
    )


def test_every_model_is_asked_what_it_can_do(cell: CellMaker) -> None:
    """Otherwise a check under `isinstance` could pass without testing anything."""
    abilities = {name: {"log_weight", "reconstruct"} for name in ("vae", "gmvae", "ssvae")} | {
        "ssvae": {"log_weight", "reconstruct", "classify"}
    }
    for name, expected in abilities.items():
        assert all(hasattr(registry.lookup(name), method) for method in expected)


def test_the_seed_alone_decides_the_weights_whatever_beta(cell: CellMaker) -> None:
    first, other = (registry.build(cell("vae", beta=beta)).state_dict() for beta in (1.0, 4.0))
    assert all(value.equal(other[name]) for name, value in first.items())


def test_a_cell_for_the_probe_is_any_of_its_kind(cell: CellMaker) -> None:
    one: Cell = cell("vae", seed=7, beta=4.0, learning_rate=10.0)
    assert contract.find_violation(one, importance_weights=False) is None
