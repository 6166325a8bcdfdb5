"""The VQ-VAE: discrete latent variables, whose codebook is a moving average in buffers.

Source: van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning, 2017, eq. 3
and appendix A.1. With `ema: false` the codebook is trained. The prior over codes is a MADE (Germain
et al. 2015).
"""

import math

import torch
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.likelihoods import make_likelihood
from models.masked import MaskedLinear, spread_degrees
from models.networks import ELU, HIDDEN, decoder, mlp, positive

MIN_COUNT = 1e-3  # of vectors that chose a code


@register("vqvae", replaceable=True)
class VQVAE(Model):
    """p(z) = Π_i p(z_i|z_1..z_(i-1)), i = 1..positions;  p(x|z) = likelihood(decoder(codebook[z]));
    q(z_i|x) = 1 for the code nearest to encoder(x)_i

    As q is certain, its KL from the prior is -log p(z). The paper trains the prior afterwards; here
    it follows the codes from the start. Codes have no gradient, so it changes nothing below it.
    """

    codebook: Tensor
    count: Tensor
    total: Tensor

    def __init__(
        self,
        positions: int = 16,
        codes: int = 64,
        size: int = 8,
        commitment: float = 0.25,
        ema: bool = True,
        decay: float = 0.99,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay {decay}; expected a number of at least 0 and below 1")
        self.positions, self.codes, self.size = positive(positions), positive(codes), positive(size)
        self.commitment, self.ema, self.decay = commitment, ema, decay
        self.likelihood = make_likelihood(likelihood, data)
        latent = positions * size
        self.encoder = mlp([data.dimensions, HIDDEN, HIDDEN, latent], ELU)
        self.decoder = decoder(latent, data.dimensions * self.likelihood.parameters)
        self.prior = _make_prior(positions, codes)
        first = torch.randn(codes, size) / math.sqrt(size)
        if ema:
            self.register_buffer("codebook", first)
            self.register_buffer("count", torch.ones(codes))
            self.register_buffer("total", first.clone())
        else:
            self.codebook = nn.Parameter(first)

    def noise(self, batch: int) -> dict[str, Shape]:
        """What selects the codes when sampling; training needs none."""
        return {} if self.training else {"z": (batch, self.positions)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound; and as `loss`, with gradients passed straight through, eq. 3."""
        h, code, chosen = self._quantise(batch.x)
        passed = h + (code - h).detach()
        rec = self.likelihood.nll(self.decoder(passed.flatten(-2)), batch.x)
        kl = -(chosen * self._score_codes(chosen)).sum((-1, -2))
        loss = rec + kl + self.commitment * (h - code.detach()).square().sum((-1, -2))
        if not self.ema:
            loss = loss + (h.detach() - code).square().sum((-1, -2))
        return Terms(rec, kl, loss=loss)

    def sample(self, noise: Noise) -> Tensor:
        """Codes from the prior, one position after the other, decoded."""
        uniform = torch.special.ndtr(noise["z"])
        chosen = uniform.new_zeros(*uniform.shape, self.codes)
        for i in range(self.positions):
            cumulative = self._score_codes(chosen)[:, i].exp().cumsum(-1)
            z = (cumulative < uniform[:, i : i + 1]).sum(-1).clamp(max=self.codes - 1)
            chosen[:, i] = self._one_hot(z)
        return self.likelihood.mean(self.decoder((chosen @ self.codebook).flatten(-2)))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """The nearest codes, decoded."""
        return self.likelihood.mean(self.decoder(self._quantise(x)[1].flatten(-2)))

    def _quantise(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The encoder's vectors and their nearest codes, (batch, positions, size) each.

        The third says which those are, one-hot: (batch, positions, codes).
        """
        h = self.encoder(x).unflatten(-1, (self.positions, self.size))
        codebook = self.codebook
        distance = codebook.square().sum(-1) - 2 * h @ codebook.T
        chosen = self._one_hot(distance.argmin(-1)).to(h.dtype)
        code = chosen @ codebook
        if self.training and self.ema:
            self._move_codes(h.detach().flatten(0, 1), chosen.flatten(0, 1))
        return h, code, chosen

    def _one_hot(self, z: Tensor) -> Tensor:
        """(...) -> (..., codes), truth values."""
        one_hot: Tensor = z.unsqueeze(-1) == torch.arange(self.codes, device=z.device)
        return one_hot

    def _score_codes(self, chosen: Tensor) -> Tensor:
        """log p(z_i = code|z_1..z_(i-1)) of every code: one-hot z -> (batch, positions, codes)."""
        logits: Tensor = self.prior(chosen.flatten(-2))
        by_position: Tensor = logits.unflatten(-1, (self.positions, self.codes))
        return by_position.log_softmax(-1)

    @torch.no_grad()
    def _move_codes(self, h: Tensor, chosen: Tensor) -> None:
        """Move each code to the running mean of the vectors h (n, size) that chose it."""
        count, total = self.count, self.total
        count.mul_(self.decay).add_((1 - self.decay) * chosen.sum(0))
        total.mul_(self.decay).add_((1 - self.decay) * chosen.T @ h)
        self.codebook.copy_(total / count.clamp(min=MIN_COUNT).unsqueeze(-1))


def _make_prior(positions: int, codes: int) -> nn.Sequential:
    """Logits of each position's code, given the codes before it, one-hot.

    (..., positions · codes) -> (..., positions · codes)
    """
    places = (1 + torch.arange(positions)).repeat_interleave(codes)
    degrees = spread_degrees(HIDDEN, positions)
    return nn.Sequential(
        MaskedLinear(places, degrees), ELU(), MaskedLinear(degrees, places, is_output=True)
    )
