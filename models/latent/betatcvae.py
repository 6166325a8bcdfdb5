"""The β-TC-VAE: the total correlation of the latent variables is a term with its own weight.

Source: Chen et al., Isolating Sources of Disentanglement in VAEs, 2018, eq. 2 and 4. The KL holds
the total correlation once, so a weight w of the further term `tc` is their β = 1 + w:

    sweeps: [{model: betatcvae, term_weights: {tc: [0, 3, 5]}}]
"""

import math

from torch import Tensor

from harness.plugins.model import Batch, Noise, Terms
from harness.plugins.registry import register
from models.distributions import LOG_2PI, kl_standard_normal, reparameterize
from models.gaussian_vae import GaussianVAE


@register("betatcvae", replaceable=True)
class BetaTCVAE(GaussianVAE):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x), var(x))

    With q(z) the mean of q(z|x) over images, the mean KL is the mutual information of x and z, plus
    the total correlation KL(q(z) || Π_d q(z_d)), plus Σ_d KL(q(z_d) || p(z_d)).
    """

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound; in training the total correlation `tc` as well."""
        mean, var = self.encoder(batch.x)
        z = reparameterize(mean, var, noise["z"])
        rec = self.score_draw(batch.x, z)
        further = {"tc": estimate_total_correlation(z, mean, var)} if self.training else {}
        return Terms(rec, kl_standard_normal(mean, var), further=further)


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
