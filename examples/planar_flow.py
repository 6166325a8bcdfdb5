"""The VAE whose posterior is a chain of planar flows, with parameters that depend on the image.

Source: Rezende & Mohamed, Variational Inference with Normalizing Flows, 2015, eq. 10-13 and
appendix A.1.

    python harness/bench.py --models planar_flow vae --plugin examples/planar_flow.py
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import log_normal, log_standard_normal, reparameterize, variance
from models.likelihoods import make_likelihood
from models.networks import ELU, HIDDEN, decoder, mlp, positive


@register("planar_flow")
class PlanarFlow(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x): z = f_n(...f_1(z0)), z0 ~
    N(mean(x), var(x)), f(z) = z + u tanh(w·z + b)
    """

    def __init__(
        self, z: int = 40, flows: int = 10, likelihood: str = "auto", data: DataSpec = MNIST_SPEC
    ):
        super().__init__()
        self.z, self.flows = positive(z), positive(flows)
        self.likelihood = make_likelihood(likelihood, data)
        outputs = 2 * z + flows * (2 * z + 1)
        self.encoder = mlp([data.dimensions, HIDDEN, HIDDEN, outputs], ELU)
        self.decoder = decoder(z, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z0 per image."""
        return {"z": (batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound; its KL is estimated by one sample."""
        z, kl = self._draw(batch.x, noise["z"])
        return Terms(self.likelihood.nll(self.decoder(z), batch.x), kl)

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        return self.likelihood.mean(self.decoder(noise["z"]))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z from q(z|x), decoded."""
        return self.likelihood.mean(self.decoder(self._draw(x, noise["z"])[0]))

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x)."""
        z, kl = self._draw(x, noise["z"])
        return -(self.likelihood.nll(self.decoder(z), x) + kl)

    def _draw(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """z from q(z|x), (batch, z), and log q(z|x) - log p(z), (batch,)."""
        first, rest = self.encoder(x).split([2 * self.z, self.flows * (2 * self.z + 1)], -1)
        mean, raw = first.chunk(2, -1)
        var = variance(raw)
        z = reparameterize(mean, var, noise)
        log_q = log_normal(z, mean, var)
        for parameters in rest.chunk(self.flows, -1):
            z, log_det = apply_planar(z, *parameters.split([self.z, self.z, 1], -1))
            log_q = log_q - log_det
        return z, log_q - log_standard_normal(z)


def apply_planar(z: Tensor, u: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """z + u tanh(w·z + b), and the log of its determinant: (..., z) -> (..., z) and (...).

    b is (..., 1). u is moved along w until w·u > -1, which makes the flow invertible.
    """
    product = (w * u).sum(-1, keepdim=True)
    norm = w.square().sum(-1, keepdim=True) + 1e-8
    u = u + (F.softplus(product) - 1 - product) * w / norm
    bent = torch.tanh((w * z).sum(-1, keepdim=True) + b)
    determinant = 1 + (1 - bent.square()) * (w * u).sum(-1, keepdim=True)
    return z + u * bent, determinant.clamp(min=1e-8).log().squeeze(-1)
