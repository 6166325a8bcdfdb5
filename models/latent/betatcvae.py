"""The β-TC-VAE: a further term, the total correlation of the latent variables, has its own weight.

Source: Chen et al., Isolating Sources of Disentanglement in VAEs, 2018, eq. 2 and 4. A weight w of
`tc` is their β = 1 + w, as the KL holds the total correlation once.

    sweeps: [{model: betatcvae, term_weights: {tc: [0, 3, 5]}}]
    python harness/bench.py tc.yaml
"""

import math

from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import (
    LOG_2PI,
    kl_standard_normal,
    log_normal,
    log_standard_normal,
    reparameterize,
)
from models.likelihoods import make_likelihood
from models.networks import Encoder, decoder, positive


@register("betatcvae", replaceable=True)
class BetaTCVAE(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x), var(x))"""

    def __init__(self, z: int = 10, likelihood: str = "auto", data: DataSpec = MNIST_SPEC):
        super().__init__()
        self.z, self.likelihood = positive(z), make_likelihood(likelihood, data)
        self.encoder = Encoder(z, data.dimensions)
        self.decoder = decoder(z, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image."""
        return {"z": (batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound, and the total correlation `tc`."""
        mean, var = self.encoder(batch.x)
        z = reparameterize(mean, var, noise["z"])
        rec = self.likelihood.nll(self.decoder(z), batch.x)
        further = {"tc": estimate_total_correlation(z, mean, var)} if self.training else {}
        return Terms(rec, kl_standard_normal(mean, var), further=further)

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        return self.likelihood.mean(self.decoder(noise["z"]))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z from q(z|x), decoded."""
        mean, var = self.encoder(x)
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z"])))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z|x)."""
        mean, var = self.encoder(x)
        return mean, var

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x)."""
        mean, var = self.encoder(x)
        z = reparameterize(mean, var, noise["z"])
        rec = self.likelihood.nll(self.decoder(z), x)
        return log_standard_normal(z) - log_normal(z, mean, var) - rec


def estimate_total_correlation(z: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """log q(z) - Σ_d log q(z_d) with q the mean of q(z|x) over the batch: (batch, z) -> (batch,).

    Nats. The minibatch-weighted estimate of Chen et al. 2018, appendix C.1, also divides by the
    size of the data set. That adds the constant (z - 1) · log(size), which has no gradient.
    """
    # (image of the draw, image of the posterior, dimension)
    squares = (z.unsqueeze(1) - mean).square() / var
    log_q = -0.5 * (squares + var.log() + LOG_2PI)
    joint = log_q.sum(-1).logsumexp(1)
    marginals = log_q.logsumexp(1).sum(-1)
    return joint - marginals + (z.shape[-1] - 1) * math.log(len(z))
