"""MADE: an autoregressive network with an exact likelihood.

Source: Germain et al., MADE: Masked Autoencoder for Distribution Estimation, 2015, eq. 8, 9, 12
and 13, in the natural order of the pixels with one set of masks.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.likelihoods import make_likelihood
from models.masked import MaskedLinear, spread_degrees
from models.networks import HIDDEN, positive

SMALLEST = 1e-6  # uniform number; 0 and 1 would give infinite values


@register("made", replaceable=True)
class MADE(Model):
    """p(x) = Π_i likelihood(x_i; net(x_1..x_(i-1))), exact;  no z

    The likelihood is the one of the data's kind; the net has `layers` hidden ones with ReLU.
    """

    def __init__(self, hidden: int = HIDDEN, layers: int = 2, data: DataSpec = MNIST_SPEC):
        super().__init__()
        self.dimensions, self.likelihood = data.dimensions, make_likelihood("auto", data)
        places = 1 + torch.arange(data.dimensions)
        degrees = spread_degrees(positive(hidden), data.dimensions)
        self.first = MaskedLinear(places, degrees)
        rest = [MaskedLinear(degrees, degrees) for _ in range(positive(layers) - 1)]
        self.rest = nn.ModuleList(rest)
        outputs = places.repeat(self.likelihood.parameters)
        self.last = MaskedLinear(degrees, outputs, is_output=True)

    def noise(self, batch: int) -> dict[str, Shape]:
        """What draws the pixels when sampling; training needs none."""
        return {} if self.training else {"pixels": (batch, self.dimensions)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log p(x)."""
        return Terms(nll=self.likelihood.nll(self._predict(batch.x), batch.x))

    def sample(self, noise: Noise) -> Tensor:
        """Images drawn pixel by pixel; the first layer is updated by one pixel at a time."""
        uniform = torch.special.ndtr(noise["pixels"]).clamp(SMALLEST, 1 - SMALLEST)
        first, last = self.first.masked_weight(), self.last.masked_weight()
        inputs = self.first.bias.expand(len(uniform), -1)
        pixels = []
        for i in range(self.dimensions):
            own = slice(i, None, self.dimensions)  # one output for each parameter
            raw = F.linear(self._apply_rest(inputs), last[own], self.last.bias[own])
            pixels.append(self.likelihood.sample(raw, uniform[:, i : i + 1]))
            inputs = inputs + pixels[-1] * first[:, i]
        return torch.cat(pixels, -1)

    def _predict(self, x: Tensor) -> Tensor:
        """The parameters of every pixel given those before: -> (..., parameters · dimensions)."""
        raw: Tensor = self.last(self._apply_rest(self.first(x)))
        return raw

    def _apply_rest(self, inputs: Tensor) -> Tensor:
        """The last hidden units from the inputs of the first ones: (..., hidden) both."""
        hidden = inputs.relu()
        for layer in self.rest:
            hidden = layer(hidden).relu()
        return hidden
