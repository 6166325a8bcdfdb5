"""The VAE whose posterior is an inverse autoregressive flow.

Source: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow, 2016,
algorithm 1.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import log_normal, log_standard_normal, reparameterize, variance
from models.likelihoods import make_likelihood
from models.masked import MaskedLinear, spread_degrees
from models.networks import ELU, HIDDEN, decoder, mlp, positive

FIRST_GATE = 1.5  # added to the gate's input, so that a flow begins near the identity


class AutoregressiveStep(nn.Module):
    """z -> g z + (1 - g) m, where g_i and m_i depend on z_1..z_(i-1) and on the image's context.

    The Jacobian is triangular with the diagonal g, so the log of its determinant is Σ_i log g_i.
    """

    def __init__(self, z: int, context: int, hidden: int):
        super().__init__()
        places, degrees = 1 + torch.arange(z), spread_degrees(hidden, z)
        self.first = MaskedLinear(places, degrees)
        self.context = nn.Linear(context, hidden, bias=False)
        self.last = MaskedLinear(degrees, places.repeat(2), is_output=True)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """The next z, (batch, z), and the log of the determinant, (batch,)."""
        hidden = F.elu(self.first(z) + self.context(context))
        mean, raw_gate = self.last(hidden).chunk(2, -1)
        gate = (raw_gate + FIRST_GATE).sigmoid()
        return gate * z + (1 - gate) * mean, F.logsigmoid(raw_gate + FIRST_GATE).sum(-1)


@register("iaf", replaceable=True)
class IAF(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x): z0 ~ N(mean(x), var(x)), then
    autoregressive steps in alternating order, given a context h(x)
    """

    def __init__(
        self,
        z: int = 10,
        flows: int = 4,
        hidden: int = HIDDEN,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        self.z, self.likelihood = positive(z), make_likelihood(likelihood, data)
        self.encoder = mlp([data.dimensions, HIDDEN, HIDDEN, 2 * z + HIDDEN], ELU)
        steps = [AutoregressiveStep(z, HIDDEN, positive(hidden)) for _ in range(positive(flows))]
        self.steps = nn.ModuleList(steps)
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
        """z from q(z|x), (batch, z), and log q(z|x) - log p(z), (batch,), nats."""
        mean, raw, context = self.encoder(x).split([self.z, self.z, HIDDEN], -1)
        var = variance(raw)
        z = reparameterize(mean, var, noise)
        log_q = log_normal(z, mean, var)
        for step in self.steps:
            z, log_det = step(z.flip(-1), context)
            log_q = log_q - log_det
        return z, log_q - log_standard_normal(z)
