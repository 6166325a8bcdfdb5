"""PixelCNN: a convolutional network with an exact likelihood.

Source: van den Oord, Kalchbrenner and Kavukcuoglu, Pixel Recurrent Neural Networks, 2016, sections
3.2-3.4. The channels of a pixel are independent given the pixels before it.
Sampling runs the net once for every pixel: `--samples 200` takes few.
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
FIRST_SIZE, SIZE = 7, 3  # of the kernels


class MaskedConv(nn.Conv2d):
    """A convolution that sees the pixels before its own, and its own if `sees_itself`."""

    def __init__(self, inputs: int, outputs: int, size: int, sees_itself: bool):
        super().__init__(inputs, outputs, size, padding=size // 2)
        seen = torch.arange(size * size) < size * size // 2 + sees_itself
        self.register_buffer("seen", seen.float().view(size, size))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height, width)."""
        weight = self.weight * self.get_buffer("seen")
        return F.conv2d(x, weight, self.bias, padding=self.padding)


@register("pixelcnn", replaceable=True)
class PixelCNN(Model):
    """p(x) = Π_i likelihood(x_i; net(x_1..x_(i-1))), exact, pixels in the order of rows

    The likelihood is the one of the data's kind.
    """

    def __init__(self, channels: int = 32, layers: int = 4, data: DataSpec = MNIST_SPEC):
        super().__init__()
        if len(data.shape) != 3:
            raise ValueError(f"shape {data.shape}; expected images (channels, height, width)")
        self.shape, self.likelihood = data.shape, make_likelihood("auto", data)
        self.reach = FIRST_SIZE // 2 + positive(layers) * (SIZE // 2)  # rows above that are seen
        self.first = MaskedConv(data.shape[0], positive(channels), FIRST_SIZE, sees_itself=False)
        blocks = [MaskedConv(channels, channels, SIZE, sees_itself=True) for _ in range(layers)]
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Conv2d(channels, data.shape[0] * self.likelihood.parameters, 1)

    def noise(self, batch: int) -> dict[str, Shape]:
        """What draws the pixels when sampling; training needs none."""
        return {} if self.training else {"pixels": (batch, *self.shape)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log p(x)."""
        raw = self._predict(batch.x.unflatten(-1, self.shape))
        return Terms(nll=self.likelihood.nll(raw.flatten(1), batch.x))

    def sample(self, noise: Noise) -> Tensor:
        """Images drawn pixel by pixel, each from the rows that the network sees."""
        uniform = torch.special.ndtr(noise["pixels"]).clamp(SMALLEST, 1 - SMALLEST)
        x, (_, height, width) = torch.zeros_like(uniform), self.shape
        for row in range(height):
            top = max(0, row - self.reach)
            for column in range(width):
                raw = self._predict(x[:, :, top : row + 1])[:, :, -1, column]
                x[:, :, row, column] = self.likelihood.sample(raw, uniform[:, :, row, column])
        return x.flatten(1)

    def _predict(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> (batch, parameters · channels, height, width)."""
        hidden = self.first(x)
        for block in self.blocks:
            hidden = hidden + block(hidden.relu())
        raw: Tensor = self.last(hidden.relu())
        return raw
