"""The VAE with two levels of latent variables.

Source: Rezende, Mohamed and Wierstra 2014, section 2; its bottom-up posterior is that of Burda et
al. 2016, section 4.

    python harness/bench.py --models two_level_vae vae --plugin examples/two_level_vae.py
"""

from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import log_normal, log_standard_normal, reparameterize
from models.likelihoods import make_likelihood
from models.networks import Encoder, decoder, positive


@register("two_level_vae")
class TwoLevelVAE(Model):
    """p(z2) = N(0, I);  p(z1|z2) = N(mean(z2), var(z2));  p(x|z1) = likelihood(decoder(z1));
    q(z1|x) = N(mean(x), var(x));  q(z2|z1) = N(mean(z1), var(z1))
    """

    def __init__(
        self, z1: int = 40, z2: int = 20, likelihood: str = "auto", data: DataSpec = MNIST_SPEC
    ):
        super().__init__()
        self.z1, self.z2 = positive(z1), positive(z2)
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder1, self.encoder2 = Encoder(z1, data.dimensions), Encoder(z2, z1)
        self.prior1 = Encoder(z1, z2)
        self.decoder = decoder(z1, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of each latent variable per image."""
        return {"z2": (batch, self.z2), "z1": (batch, self.z1)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound; its KL is estimated by one sample."""
        return Terms(*self._rec_and_kl(batch.x, noise))

    def sample(self, noise: Noise) -> Tensor:
        """z2 from the prior, z1 given z2, decoded."""
        mean, var = self.prior1(noise["z2"])
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z1"])))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z1 from q(z1|x), decoded."""
        mean, var = self.encoder1(x)
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z1"])))

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x|z1) + log p(z1|z2) + log p(z2) - log q(z1|x) - log q(z2|z1)."""
        rec, kl = self._rec_and_kl(x, noise)
        return -(rec + kl)

    def _rec_and_kl(self, x: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        mean1, var1 = self.encoder1(x)
        z1 = reparameterize(mean1, var1, noise["z1"])
        mean2, var2 = self.encoder2(z1)
        z2 = reparameterize(mean2, var2, noise["z2"])
        log_q = log_normal(z1, mean1, var1) + log_normal(z2, mean2, var2)
        log_p = log_normal(z1, *self.prior1(z2)) + log_standard_normal(z2)
        return self.likelihood.nll(self.decoder(z1), x), log_q - log_p
