"""The VAE whose KL comes in again and again: a schedule that the model itself decides.

Source: Fu et al., Cyclical Annealing Schedule, 2019, eq. 6; with one cycle the warm-up of Sønderby
et al., Ladder Variational Autoencoders, 2016, section 2.3. For a plain warm-up of β the key
`recipe: {beta_warmup: STEPS}` of a grid does the same for any model.

    python harness/bench.py --models warm_up vae --plugin examples/warm_up.py
"""

from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import kl_standard_normal, reparameterize
from models.likelihoods import make_likelihood
from models.networks import Encoder, decoder, positive


@register("warm_up")
class WarmUp(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x), var(x))

    In each of `cycles` the weight of the KL rises from β - 1 to β in the first part `rising`, so
    the schedule is the paper's for β = 1. It depends on the length of the training.
    """

    uses_progress = True

    def __init__(
        self,
        z: int = 10,
        cycles: int = 4,
        rising: float = 0.5,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        if not 0 < rising <= 1:
            raise ValueError(f"rising {rising}; expected a share above 0 and at most 1")
        self.z, self.cycles, self.rising = positive(z), positive(cycles), rising
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder = Encoder(z, data.dimensions)
        self.decoder = decoder(z, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image."""
        return {"z": (batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound, and as `extra` what the present weight of the KL lacks to 1."""
        assert batch.step is not None
        assert batch.total is not None
        mean, var = self.encoder(batch.x)
        z = reparameterize(mean, var, noise["z"])
        rec = self.likelihood.nll(self.decoder(z), batch.x)
        kl = kl_standard_normal(mean, var)
        return Terms(rec, kl, extra=(self._weigh(batch.step, batch.total) - 1) * kl)

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        return self.likelihood.mean(self.decoder(noise["z"]))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z from q(z|x), decoded."""
        mean, var = self.encoder(x)
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z"])))

    def _weigh(self, step: Tensor, total: Tensor) -> Tensor:
        """The weight of the KL at a step, one number from 0 to 1."""
        return ((self.cycles * step / total).frac() / self.rising).clamp(max=1)
