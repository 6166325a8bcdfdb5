"""A convolutional VAE with batch normalisation and dropout, for images of any shape.

Source: Kingma & Welling 2014 for the bound; Ioffe & Szegedy 2015; Tompson et al. 2015, section 3.2,
for dropout of whole channels.
"""

import torch
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import (
    kl_standard_normal,
    log_normal,
    log_standard_normal,
    reparameterize,
    variance,
)
from models.likelihoods import make_likelihood
from models.networks import positive


@register("convvae", replaceable=True)
class ConvVAE(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x), var(x))

    The encoder halves height and width twice. The likelihood is the one of the data's kind.
    """

    def __init__(
        self,
        z: int = 32,
        channels: int = 16,
        dropout: float = 0.1,
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        if len(data.shape) != 3:
            raise ValueError(f"shape {data.shape}; expected images (channels, height, width)")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout}; expected a share of at least 0 and below 1")
        self.z, self.channels, self.dropout = positive(z), positive(channels), dropout
        self.shape, self.likelihood = data.shape, make_likelihood("auto", data)
        layers, height, width = data.shape
        self.small = (2 * channels, -(-height // 4), -(-width // 4))
        self.encoder = _make_encoder(layers, channels)
        self.to_latent = nn.Linear(self.small[0] * self.small[1] * self.small[2], 2 * z)
        self.from_latent = nn.Linear(z, self.small[0] * self.small[1] * self.small[2])
        self.decoder = _make_decoder(channels, layers * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per image, and in training one per channel that may drop it."""
        draws: dict[str, Shape] = {"z": (batch, self.z)}
        return draws | ({"drop": (batch, self.small[0])} if self.training else {})

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound with the analytic KL."""
        mean, var = self._encode(batch.x, noise)
        rec = self.likelihood.nll(self._decode(reparameterize(mean, var, noise["z"])), batch.x)
        return Terms(rec, kl_standard_normal(mean, var))

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        return self.likelihood.mean(self._decode(noise["z"]))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z from q(z|x), decoded."""
        mean, var = self._encode(x, noise)
        return self.likelihood.mean(self._decode(reparameterize(mean, var, noise["z"])))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z|x), without dropout."""
        return self._encode(x, {})

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x)."""
        mean, var = self._encode(x, noise)
        z = reparameterize(mean, var, noise["z"])
        rec = self.likelihood.nll(self._decode(z), x)
        return log_standard_normal(z) - log_normal(z, mean, var) - rec

    def _encode(self, x: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """(batch, dimensions) -> mean and variance, (batch, z) each."""
        hidden = self.encoder(x.unflatten(-1, self.shape))
        if self.training:
            kept = torch.special.ndtr(noise["drop"]) >= self.dropout
            hidden = hidden * (kept / (1 - self.dropout))[..., None, None]
        mean, raw = self.to_latent(hidden.flatten(1)).chunk(2, -1)
        return mean, variance(raw)

    def _decode(self, z: Tensor) -> Tensor:
        """(batch, z) -> (batch, parameters · dimensions), first parameters before second ones."""
        _, height, width = self.shape
        raw: Tensor = self.decoder(self.from_latent(z).unflatten(-1, self.small))
        return raw[..., :height, :width].flatten(1)


def _make_encoder(layers: int, channels: int) -> nn.Sequential:
    """(batch, layers, height, width) -> (batch, 2 · channels, height / 4, width / 4)."""
    return nn.Sequential(
        nn.Conv2d(layers, channels, 3, stride=2, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
        nn.BatchNorm2d(2 * channels),
        nn.ReLU(),
    )


def _make_decoder(channels: int, outputs: int) -> nn.Sequential:
    """(batch, 2 · channels, height, width) -> (batch, outputs, 4 · height, 4 · width)."""
    return nn.Sequential(
        nn.BatchNorm2d(2 * channels),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * channels, channels, 4, stride=2, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.ConvTranspose2d(channels, outputs, 4, stride=2, padding=1),
    )
