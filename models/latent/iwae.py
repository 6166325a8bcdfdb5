"""The importance-weighted autoencoder.

Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016, eq. 8 and 14.

    python harness/bench.py --models iwae vae --iwae 100
"""

import math

from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import (
    kl_standard_normal,
    log_normal,
    log_standard_normal,
    reparameterize,
)
from models.likelihoods import make_likelihood
from models.networks import Encoder, decoder, positive


@register("iwae", replaceable=True)
class IWAE(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x), var(x))

    Training minimises the bound of `k` draws, in which β has no place. `rec` and `kl` are the bound
    of the first draw, so the column `nelbo` means what it means for other models.
    """

    def __init__(
        self, k: int = 5, z: int = 50, likelihood: str = "auto", data: DataSpec = MNIST_SPEC
    ):
        super().__init__()
        self.k, self.z = positive(k), positive(z)
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder = Encoder(z, data.dimensions)
        self.decoder = decoder(z, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """k draws of z per image in training; one in scoring and sampling."""
        return {"z": (self.k if self.training else 1, batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound of k draws as `loss`, and that of the first draw."""
        mean, var = self.encoder(batch.x)
        log_w, rec = self._weigh(batch.x, mean, var, noise["z"])
        loss = math.log(len(log_w)) - log_w.logsumexp(0)
        return Terms(rec[0], kl_standard_normal(mean, var), loss=loss)

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        return self.likelihood.mean(self.decoder(noise["z"][0]))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z from q(z|x), decoded."""
        mean, var = self.encoder(x)
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z"][0])))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z|x)."""
        mean, var = self.encoder(x)
        return mean, var

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x) of the first draw."""
        mean, var = self.encoder(x)
        return self._weigh(x, mean, var, noise["z"][:1])[0][0]

    def _weigh(self, x: Tensor, mean: Tensor, var: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x, z) - log q(z|x) and -log p(x|z) of each draw: (draws, batch) each."""
        z = reparameterize(mean, var, noise)
        rec = self.likelihood.nll(self.decoder(z), x)
        return log_standard_normal(z) - log_normal(z, mean, var) - rec, rec
