"""The models against the protocol: sizes, and the SSVAE's bound against a loop over y."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from harness.plugins import registry
from harness.plugins.model import CLASSES, PIXELS, Batch, Reconstructing, draw_noise
from models.gmvae import GMVAE
from models.ssvae import SSVAE, ClassConditional
from tests.conftest import CellMaker, given


@pytest.mark.parametrize(
    ("model", "parameters"), [("vae", 661_404), ("gmvae", 671_404), ("ssvae", 1_044_922)]
)
def test_number_of_parameters(model: str, parameters: int, cell: CellMaker) -> None:
    assert sum(p.numel() for p in registry.build(cell(model)).parameters()) == parameters


@pytest.fixture
def ssvae() -> SSVAE:
    torch.manual_seed(0)
    return SSVAE(z=5).double()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(
        4, PIXELS, dtype=torch.double, generator=torch.Generator().manual_seed(1)
    ).round()


def with_class(net: ClassConditional, v: torch.Tensor, y: int) -> torch.Tensor:
    """The net of the protocol: one-hot y appended to the input of a linear layer."""
    one_hot = torch.zeros(len(v), CLASSES, dtype=v.dtype)
    one_hot[:, y] = 1
    output: torch.Tensor = net.rest(torch.nn.functional.elu(net.first(torch.cat([v, one_hot], 1))))
    return output


def looped_bound(
    model: SSVAE, x: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """KL and reconstruction of each image by a loop over y, with torch's densities."""
    q = Categorical(logits=model.classifier(x))
    kl = kl_divergence(q, Categorical(logits=torch.zeros(len(x), CLASSES, dtype=x.dtype)))
    rec = torch.zeros(len(x), dtype=x.dtype)
    for y in range(CLASSES):
        mean, raw = with_class(model.encoder, x, y).chunk(2, 1)
        posterior = Normal(mean, (torch.nn.functional.softplus(raw) + 1e-8).sqrt())
        prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
        decoded = with_class(model.decoder, mean + posterior.scale * noise[y], y)
        kl = kl + q.probs[:, y] * kl_divergence(posterior, prior).sum(1)
        rec = rec - q.probs[:, y] * Bernoulli(logits=decoded).log_prob(x).sum(1)
    return kl, rec


def test_the_bound_is_the_sum_over_y(ssvae: SSVAE, images: torch.Tensor) -> None:
    noise = torch.randn(
        CLASSES, 4, 5, dtype=torch.double, generator=torch.Generator().manual_seed(2)
    )
    terms = ssvae.terms(Batch(images, images, torch.arange(4)), {"z": noise})
    kl, rec = looped_bound(ssvae, images, noise)
    torch.testing.assert_close(terms.kl, kl)
    torch.testing.assert_close(terms.rec, rec)
    parameters = list(ssvae.parameters())
    ours = torch.autograd.grad((given(terms.kl) + given(terms.rec)).sum(), parameters)
    theirs = torch.autograd.grad((kl + rec).sum(), parameters)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_a_class_major_array_read_batch_major_is_noticed(
    ssvae: SSVAE, images: torch.Tensor
) -> None:
    """A typical mistake: (10, batch) reshaped to (batch, 10).

    It pairs images with the classes of others and gives an accuracy of about 18 %.
    """
    noise = torch.randn(
        CLASSES, 4, 5, dtype=torch.double, generator=torch.Generator().manual_seed(2)
    )
    _, _, _, per_class = ssvae._per_class(images, noise)
    q = ssvae.classifier(images).softmax(-1)
    slipped = (q * per_class.reshape(4, CLASSES)).sum(1)
    _, rec = looped_bound(ssvae, images, noise)
    assert not torch.allclose(slipped, rec, rtol=1e-6)
    torch.testing.assert_close((q * per_class.T).sum(1), rec)


def test_the_cross_entropy_is_the_mean_over_the_labelled_images(
    ssvae: SSVAE, images: torch.Tensor
) -> None:
    targets = torch.tensor([3, 1, 4, 1])
    noise = {"z": torch.zeros(CLASSES, 4, 5, dtype=torch.double)}
    by_hand = -Categorical(logits=ssvae.classifier(images)).log_prob(targets).mean()
    extra = given(ssvae.terms(Batch(images, images, targets), noise).extra)
    assert extra.item() == pytest.approx(100 * by_hand.item())


def test_supervised_only_is_the_cross_entropy_alone(images: torch.Tensor) -> None:
    model = SSVAE(supervision="supervised").double()
    terms = model.terms(Batch(images[:0], images, torch.arange(4)), {})
    assert (given(terms.rec).item(), given(terms.kl).item()) == (0, 0)
    given(terms.extra).backward()
    assert all(p.grad is not None for p in model.classifier.parameters())
    assert all(p.grad is None for p in model.decoder.parameters())


def test_the_importance_weight_sums_over_y(ssvae: SSVAE, images: torch.Tensor) -> None:
    noise = torch.randn(
        CLASSES, 4, 5, dtype=torch.double, generator=torch.Generator().manual_seed(2)
    )
    ratios = []
    for y in range(CLASSES):
        mean, raw = with_class(ssvae.encoder, images, y).chunk(2, 1)
        posterior = Normal(mean, (torch.nn.functional.softplus(raw) + 1e-8).sqrt())
        z = mean + posterior.scale * noise[y]
        log_p = Bernoulli(logits=with_class(ssvae.decoder, z, y)).log_prob(images).sum(
            1
        ) - math.log(CLASSES)
        ratios.append(log_p + Normal(0.0, 1.0).log_prob(z).sum(1) - posterior.log_prob(z).sum(1))
    torch.testing.assert_close(
        ssvae.log_weight(images, {"z": noise}), torch.stack(ratios).logsumexp(0)
    )


def test_gmvae_starts_and_samples_as_the_protocol_says() -> None:
    torch.manual_seed(0)
    model = GMVAE()
    assert model.means.std().item() == pytest.approx((500 * 10) ** -0.5, rel=0.05)
    assert model.raw_variances.std().item() == pytest.approx((500 * 10) ** -0.5, rel=0.05)
    noise = draw_noise(model, 20_000, torch.Generator().manual_seed(1))
    chosen = (torch.special.ndtr(noise["component"]) * 500).long()
    counts = torch.bincount(chosen, minlength=500).double()
    # chi-squared, 499 degrees of freedom, p = 5e-6
    assert ((counts - 40) ** 2 / 40).sum().item() < 650


@pytest.mark.parametrize("model", ["vae", "gmvae", "ssvae"])
def test_the_reconstruction_is_what_the_bound_measures(model: str, cell: CellMaker) -> None:
    """-log p(x|z) under the reconstruction's probabilities is the bound's `rec`.

    For `ssvae` this holds once it is certain of y.
    """
    built = registry.build(cell(model)).double()
    if isinstance(built, SSVAE):
        with torch.no_grad():
            built.classifier[-1].bias[3] += 1000.0  # type: ignore[index,operator]
    assert isinstance(built, Reconstructing)
    x = torch.rand(
        4, PIXELS, dtype=torch.double, generator=torch.Generator().manual_seed(1)
    ).round()
    noise = {
        name: part.double()
        for name, part in draw_noise(built, 4, torch.Generator().manual_seed(2)).items()
    }
    batch = Batch(x, x[:1], torch.tensor([3]))
    rec = -Bernoulli(built.reconstruct(x, noise)).log_prob(x).sum(-1)
    assert torch.allclose(rec, given(built.terms(batch, noise).rec))
