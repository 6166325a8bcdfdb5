"""The steps of the flow: their order, determinants and density."""

import pytest
import torch
from torch.distributions import Normal
from torch.func import jacrev

from harness.plugins import registry
from models.latent.iaf import AutoregressiveStep
from tests.conftest import CellMaker
from tests.unit.flow_checks import compare_determinants


@pytest.fixture
def step() -> AutoregressiveStep:
    torch.manual_seed(0)
    made = AutoregressiveStep(5, 4, 20)
    torch.nn.init.normal_(made.last.weight)
    return made


def test_the_determinant_is_that_of_the_jacobian(step: AutoregressiveStep) -> None:
    random = torch.Generator().manual_seed(0)
    z, context = 3 * torch.randn(8, 5, generator=random), torch.randn(8, 4, generator=random)
    compare_determinants(step, (z, context))


def test_a_variable_depends_on_those_before_it(step: AutoregressiveStep) -> None:
    z, context = torch.randn(1, 5), torch.randn(1, 4)
    jacobian = jacrev(lambda z: step(z, context)[0][0])(z)[:, 0]
    assert torch.equal(jacobian.triu(1), torch.zeros(5, 5))
    assert (jacobian.tril() != 0).sum() == 15


def test_the_density_of_q_is_that_of_the_change_of_variables(cell: CellMaker) -> None:
    """log q(z|x) from the Jacobian of z as a function of the noise alone."""
    model = registry.build(cell("iaf", settings={"z": 4, "flows": 3})).double()
    x, noise = torch.rand(1, 784).double().round(), torch.randn(1, 4).double()

    def draw(noise: torch.Tensor) -> torch.Tensor:
        z: torch.Tensor = model._draw(x, noise)[0]  # type: ignore[operator]
        return z

    with torch.no_grad():
        z, kl = model._draw(x, noise)  # type: ignore[operator]
        log_det = torch.linalg.slogdet(jacrev(draw)(noise)[0, :, 0])[1]
        normal = Normal(0.0, 1.0)
        log_q = normal.log_prob(noise).sum() - log_det
        torch.testing.assert_close(kl[0], log_q - normal.log_prob(z).sum())


def test_one_variable_is_scaled_and_moved_by_the_context_alone() -> None:
    step = AutoregressiveStep(1, 4, 20)
    z, log_det = step(torch.tensor([[0.0], [1.0]]), torch.zeros(2, 4))
    assert log_det[0] == log_det[1]
    torch.testing.assert_close(z[1, 0] - z[0, 0], log_det[0].exp())
