"""The networks of the protocol: linear layers in torch's default initialisation."""

from itertools import pairwise

from torch import Tensor, nn

from harness.plugins.model import PIXELS
from models.distributions import variance

HIDDEN = 300


class ELU(nn.Module):
    """The exponential linear unit (Clevert et al. 2016) for any shape.

    torch's own takes ten times as long on a CPU.
    """

    def forward(self, h: Tensor) -> Tensor:
        """max(h, 0) + exp(min(h, 0)) - 1.

        torch's uses expm1; the results agree to the rounding of 1, 6e-8.
        """
        above = h.relu()
        return above + ((h - above).exp() - 1)


def mlp(sizes: list[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers of these sizes with the activation between them.

    (..., sizes[0]) -> (..., sizes[-1])
    """
    layers: list[nn.Module] = []
    for inner, outer in pairwise(sizes):
        layers += [nn.Linear(inner, outer), activation()]
    return nn.Sequential(*layers[:-1])


def positive(latent: int) -> int:
    """A latent dimension of at least 1; ValueError otherwise."""
    if latent < 1:
        raise ValueError(f"expected at least 1 dimension, got {latent}")
    return latent


class Encoder(nn.Module):
    """q(z|x) = N(mean(x), var(x)): a net x-300-300-2z with ELU, var = softplus + 1e-8."""

    def __init__(self, latent: int, dimensions: int = PIXELS):
        super().__init__()
        self.net = mlp([dimensions, HIDDEN, HIDDEN, 2 * latent], ELU)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(..., dimensions) -> mean and variance, each (..., latent)."""
        mean, raw = self.net(x).chunk(2, -1)
        return mean, variance(raw)


def decoder(latent: int, outputs: int = PIXELS) -> nn.Sequential:
    """The parameters of p(x|z), of a Bernoulli its logits: a net z-300-300-outputs with ELU.

    (..., latent) -> (..., outputs)
    """
    return mlp([latent, HIDDEN, HIDDEN, outputs], ELU)
