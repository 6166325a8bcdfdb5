"""MADE: an autoregressive network with an exact likelihood.

Source: Germain et al., MADE: Masked Autoencoder for Distribution Estimation, 2015, eq. 8 and 9, one
hidden layer in one order.

    python harness/bench.py --models made vae
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.likelihoods import make_likelihood
from models.networks import positive

SMALLEST = 1e-6  # uniform number; 0 and 1 would give infinite values


@register("made", replaceable=True)
class MADE(Model):
    """p(x) = Π_i likelihood(x_i; net(x_1..x_(i-1))), exact

    The likelihood is the one of the data's kind.
    """

    def __init__(self, hidden: int = 500, data: DataSpec = MNIST_SPEC):
        super().__init__()
        self.dimensions, self.likelihood = data.dimensions, make_likelihood("auto", data)
        self.first = nn.Linear(data.dimensions, positive(hidden))
        self.last = nn.Linear(hidden, data.dimensions * self.likelihood.parameters)
        # a hidden unit of degree d sees x_1..x_d; the outputs i > d see the unit
        degree = 1 + torch.arange(hidden) * (data.dimensions - 1) // hidden
        place = 1 + torch.arange(data.dimensions)
        self.register_buffer("seen", (degree.unsqueeze(1) >= place).float())
        self.register_buffer("seeing", (place.unsqueeze(1) > degree).float())

    def noise(self, batch: int) -> dict[str, Shape]:
        """What draws the pixels when sampling; training needs none."""
        return {} if self.training else {"pixels": (batch, self.dimensions)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log p(x)."""
        first, last = self._masked_weights()
        hidden = F.linear(batch.x, first, self.first.bias).relu()
        return Terms(nll=self.likelihood.nll(F.linear(hidden, last, self.last.bias), batch.x))

    def sample(self, noise: Noise) -> Tensor:
        """Images drawn pixel by pixel; the hidden units are updated by one pixel at a time."""
        uniform = torch.special.ndtr(noise["pixels"]).clamp(SMALLEST, 1 - SMALLEST)
        first, last = self._masked_weights()
        inputs = self.first.bias.expand(len(uniform), -1)
        pixels = []
        for i in range(self.dimensions):
            own = slice(i, None, self.dimensions)  # one output for each parameter
            raw = F.linear(inputs.relu(), last[own], self.last.bias[own])
            pixels.append(self.likelihood.sample(raw, uniform[:, i : i + 1]))
            inputs = inputs + pixels[-1] * first[:, i]
        return torch.cat(pixels, -1)

    def _masked_weights(self) -> tuple[Tensor, Tensor]:
        """Both weight matrices, 0 where an output would see itself or a later pixel."""
        seeing = self.get_buffer("seeing").repeat(self.likelihood.parameters, 1)
        return self.first.weight * self.get_buffer("seen"), self.last.weight * seeing
