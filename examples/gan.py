"""A GAN by gradient reversal: one loss and one optimiser, no bound.

Source: Goodfellow et al., Generative Adversarial Nets, 2014, eq. 1; the reversal is that of Ganin &
Lempitsky 2015, eq. 8.

    python harness/bench.py --models gan --plugin examples/gan.py
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.networks import HIDDEN, mlp, positive


@register("gan")
class GAN(Model):
    """p(z) = N(0, I);  x = generator(z), binary pixels drawn;  no q

    The critic minimises its cross-entropy and the generator, by the reversed gradient, maximises
    it. There is no likelihood, so the cell has no NELBO.
    """

    def __init__(self, z: int = 50, reversal: float = 1.0, data: DataSpec = MNIST_SPEC):
        super().__init__()
        if data.kind == "continuous":
            raise ValueError("continuous data; expected binary or ordinal ones")
        self.z, self.reversal = positive(z), reversal
        self.dimensions, self.is_binary = data.dimensions, data.kind == "binary"
        self.generator = mlp([z, HIDDEN, HIDDEN, data.dimensions], nn.ReLU)
        self.critic = mlp([data.dimensions, HIDDEN, HIDDEN, 1], nn.SiLU)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One z per image, and in training what draws its binary pixels."""
        draws: dict[str, Shape] = {"z": (batch, self.z)}
        is_drawn = self.training and self.is_binary
        return draws | ({"pixels": (batch, self.dimensions)} if is_drawn else {})

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The critic's cross-entropy, real images against generated ones."""
        fake = self.sample(noise)
        if "pixels" in noise:  # drawn pixels, with the gradient of their probabilities
            drawn = (torch.special.ndtr(noise["pixels"]) < fake).to(fake.dtype)
            fake = fake + (drawn - fake).detach()
        # the value of `fake`, with the gradient -reversal
        reversed_fake = fake.detach() - self.reversal * (fake - fake.detach())
        real_loss = F.softplus(-self.critic(batch.x))
        fake_loss = F.softplus(self.critic(reversed_fake))
        return Terms(loss=(real_loss + fake_loss).squeeze(-1))

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior through the generator."""
        pixels: Tensor = self.generator(noise["z"]).sigmoid()
        return pixels
