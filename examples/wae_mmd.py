"""The Wasserstein autoencoder with the maximum mean discrepancy: a model without a bound.

Source: Tolstikhin et al., Wasserstein Auto-Encoders, 2018, algorithm 2, kernel of section 4.

    python harness/bench.py --models wae_mmd --plugin examples/wae_mmd.py
"""

from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.latent.mmdvae import estimate_mmd
from models.likelihoods import make_likelihood
from models.networks import ELU, HIDDEN, decoder, mlp, positive


@register("wae_mmd")
class WAEMMD(Model):
    """p(z) = N(0, I);  x = decoder(z);  z = encoder(x), no distribution

    The cost of a reconstruction is the negative log-likelihood. There is no bound, so the cell has
    no NELBO.
    """

    def __init__(
        self,
        z: int = 10,
        mmd_weight: float = 100.0,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        self.z, self.mmd_weight = positive(z), mmd_weight
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder = mlp([data.dimensions, HIDDEN, HIDDEN, z], ELU)
        self.decoder = decoder(z, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """Draws from the prior, as many as there are images."""
        return {"z": (batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The cost and the weighted discrepancy as `loss`."""
        z = self.encoder(batch.x)
        cost = self.likelihood.nll(self.decoder(z), batch.x)
        return Terms(loss=cost.mean() + self.mmd_weight * estimate_mmd(z, noise["z"]))

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        return self.likelihood.mean(self.decoder(noise["z"]))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z of the encoder, decoded."""
        return self.likelihood.mean(self.decoder(self.encoder(x)))
