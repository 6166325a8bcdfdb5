"""The conditional VAE: the class of every image is known, in training and in scoring.

Source: Sohn, Lee and Yan, Learning Structured Output Representation, 2015, eq. 4, with p(z|y) =
p(z) as in Kingma et al. 2014, eq. 6.
"""

import torch
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


@register("cvae", replaceable=True)
class CVAE(Model):
    """p(z) = N(0, I);  p(x|z,y) = likelihood(decoder(z,y));  q(z|x,y) = N(mean(x,y), var(x,y))

    The bound is one of log p(x|y): it is lower than a bound of log p(x) by what y says about x.
    """

    uses_classes = True

    def __init__(self, z: int = 10, likelihood: str = "auto", data: DataSpec = MNIST_SPEC):
        super().__init__()
        self.z, self.classes = positive(z), positive(data.classes)
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder = Encoder(z, data.dimensions + self.classes)
        self.decoder = decoder(z + self.classes, data.dimensions * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image, and one that selects the class when sampling."""
        return {"z": (batch, self.z), "y": (batch,)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound of log p(x|y) with the analytic KL."""
        assert batch.y is not None
        mean, var = self.encoder(self._append_class(batch.x, batch.y))
        z = reparameterize(mean, var, noise["z"])
        rec = self.likelihood.nll(self.decoder(self._append_class(z, batch.y)), batch.x)
        return Terms(rec, kl_standard_normal(mean, var))

    def sample(self, noise: Noise) -> Tensor:
        """A uniformly drawn class, z from the prior, decoded."""
        y = (torch.special.ndtr(noise["y"]) * self.classes).long().clamp(max=self.classes - 1)
        return self.sample_classes(noise, y)

    def sample_classes(self, noise: Noise, y: Tensor) -> Tensor:
        """z from the prior, decoded with the given classes."""
        return self.likelihood.mean(self.decoder(self._append_class(noise["z"], y)))

    def reconstruct(self, x: Tensor, noise: Noise, y: Tensor) -> Tensor:
        """z from q(z|x,y), decoded with the image's class."""
        mean, var = self.encoder(self._append_class(x, y))
        z = reparameterize(mean, var, noise["z"])
        return self.likelihood.mean(self.decoder(self._append_class(z, y)))

    def log_weight(self, x: Tensor, noise: Noise, y: Tensor) -> Tensor:
        """log p(x|z,y) + log p(z) - log q(z|x,y)."""
        mean, var = self.encoder(self._append_class(x, y))
        z = reparameterize(mean, var, noise["z"])
        rec = self.likelihood.nll(self.decoder(self._append_class(z, y)), x)
        return log_standard_normal(z) - log_normal(z, mean, var) - rec

    def _append_class(self, v: Tensor, y: Tensor) -> Tensor:
        """v (batch, size) and classes (batch,) -> (batch, size + classes), the class one-hot."""
        one_hot = y.unsqueeze(-1) == torch.arange(self.classes, device=y.device)
        return torch.cat([v, one_hot.to(v.dtype)], -1)
