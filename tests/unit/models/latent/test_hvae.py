"""Two levels against torch's densities; a top level that is not used leaves the VAE."""

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.model import Batch, draw_noise
from models.latent.hvae import HVAE
from models.vae import VAE
from tests.conftest import CellMaker, given


def as_batch(x: torch.Tensor) -> Batch:
    return Batch(x, x[:0], torch.zeros(0).long())


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 784, generator=torch.Generator().manual_seed(1)).double().round()


def test_the_bound_and_the_weight_are_those_of_torchs_densities(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = HVAE(z1=4, z2=3, free_nats=0.0).double()
    random = torch.Generator().manual_seed(2)
    noise = {name: part.double() for name, part in draw_noise(model, 6, random).items()}
    mean2, var2 = model.encoder2(images)
    q2 = Normal(mean2, var2.sqrt())
    z2 = mean2 + var2.sqrt() * noise["z2"]
    mean1, var1 = model.encoder1(torch.cat([images, z2], 1))
    q1 = Normal(mean1, var1.sqrt())
    z1 = mean1 + var1.sqrt() * noise["z1"]
    prior_mean, prior_var = model.prior1(z2)
    p1, p2 = Normal(prior_mean, prior_var.sqrt()), Normal(0.0, 1.0)
    rec = -Bernoulli(logits=model.decoder(z1)).log_prob(images).sum(1)
    kl = kl_divergence(q1, p1).sum(1)
    kl = kl + kl_divergence(q2, Normal(torch.zeros_like(mean2), torch.ones_like(var2))).sum(1)
    terms = model.terms(as_batch(images), noise)
    torch.testing.assert_close(given(terms.rec), rec)
    torch.testing.assert_close(given(terms.kl), kl)
    parameters = list(model.parameters())
    ours = torch.autograd.grad((given(terms.rec) + given(terms.kl)).sum(), parameters)
    theirs = torch.autograd.grad((rec + kl).sum(), parameters, retain_graph=True)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
    log_p = p1.log_prob(z1).sum(1) + p2.log_prob(z2).sum(1) - rec
    log_q = q1.log_prob(z1).sum(1) + q2.log_prob(z2).sum(1)
    torch.testing.assert_close(model.log_weight(images, noise), log_p - log_q)


def test_a_top_level_that_is_not_used_leaves_the_vae(images: torch.Tensor) -> None:
    """q(z2|x) = p(z2), p(z1|z2) = N(0, I), and q(z1|x,z2) ignores z2."""
    torch.manual_seed(0)
    model, vae = HVAE(z1=4, z2=3).double(), VAE(z=4).double()
    one = torch.tensor(1.0).double().expm1().log()  # softplus of it is 1
    with torch.no_grad():
        for net, latent in ((model.encoder2, 3), (model.prior1, 4)):
            last = net.net[-1]
            assert isinstance(last, torch.nn.Linear)
            last.weight.zero_()
            last.bias.copy_(torch.cat([torch.zeros(latent), one.expand(latent)]))
        source = vae.encoder.state_dict()
        first = source["net.0.weight"]
        source["net.0.weight"] = torch.cat([first, first.new_zeros(len(first), 3)], 1)
        model.encoder1.load_state_dict(source)
        model.decoder.load_state_dict(vae.decoder.state_dict())
    z1, z2 = torch.randn(6, 4).double(), torch.randn(6, 3).double()
    model.eval()
    ours = model.terms(as_batch(images), {"z1": z1, "z2": z2})
    theirs = vae.terms(as_batch(images), {"z": z1})
    torch.testing.assert_close(given(ours.rec), given(theirs.rec))
    torch.testing.assert_close(given(ours.kl), given(theirs.kl))
    torch.testing.assert_close(
        model.log_weight(images, {"z1": z1, "z2": z2}), vae.log_weight(images, {"z": z1})
    )


def test_free_bits_pay_for_levels_below_them_alone(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = HVAE(z1=4, z2=3, free_nats=2.0).double()
    levels = torch.tensor([[3.0, 5.0], [0.5, 1.5]])
    assert float(model._pad(levels)) == 1.0  # the mean KL of the second level is 1
    noise = {"z1": torch.randn(6, 4).double(), "z2": torch.randn(6, 3).double()}
    assert model.terms(as_batch(images), noise).extra is not None
    assert model.eval().terms(as_batch(images), noise).extra is None


def test_negative_free_bits_are_refused(cell: CellMaker) -> None:
    with pytest.raises(InputError, match="expected a number of at least 0"):
        registry.build(cell("hvae", settings={"free_nats": -1.0}))
