"""A VAE over the rows of an image with LSTMs, which draws its own numbers.

Source: Fabius & van Amersfoort, Variational Recurrent Auto-Encoders, 2015, eq. 2-5. torch.func.vmap
stacks neither `nn.LSTM` nor `nn.Dropout`, so this model trains cell by cell.

    python harness/bench.py --models lstm_vae --iterations 500 --plugin examples/lstm_vae.py
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


@register("lstm_vae")
class LSTMVAE(Model):
    """p(z) = N(0, I);  p(x|z) = likelihood(LSTM(z, z, ...));
    q(z|x) = N(mean, var) of LSTM(rows of x)

    The likelihood is the one of the data's kind.
    """

    stackable = False

    def __init__(
        self, z: int = 20, hidden: int = 128, dropout: float = 0.1, data: DataSpec = MNIST_SPEC
    ):
        super().__init__()
        self.z, self.likelihood = positive(z), make_likelihood("auto", data)
        self.width = data.shape[-1]
        self.rows = data.dimensions // self.width
        self.reader = nn.LSTM(self.width, positive(hidden), batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.to_latent = nn.Linear(hidden, 2 * z)
        self.writer = nn.LSTM(z, hidden, batch_first=True)
        self.to_row = nn.Linear(hidden, self.width * self.likelihood.parameters)

    def noise(self, batch: int) -> dict[str, Shape]:
        """z of the prior when sampling; training draws its own."""
        return {} if self.training else {"z": (batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound with the analytic KL."""
        mean, var = self._encode(batch.x)
        z = reparameterize(mean, var, torch.randn_like(mean))
        return Terms(self.likelihood.nll(self._decode(z), batch.x), kl_standard_normal(mean, var))

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        return self.likelihood.mean(self._decode(noise["z"]))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z from q(z|x), decoded."""
        mean, var = self._encode(x)
        return self.likelihood.mean(self._decode(reparameterize(mean, var, noise["z"])))

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x)."""
        mean, var = self._encode(x)
        z = reparameterize(mean, var, noise["z"])
        rec = self.likelihood.nll(self._decode(z), x)
        return log_standard_normal(z) - log_normal(z, mean, var) - rec

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, dimensions) -> mean and variance, (batch, z) each."""
        _, (last, _) = self.reader(x.unflatten(-1, (self.rows, self.width)))
        mean, raw = self.to_latent(self.dropout(last[-1])).chunk(2, -1)
        return mean, variance(raw)

    def _decode(self, z: Tensor) -> Tensor:
        """(batch, z) -> (batch, parameters · dimensions), first parameters before second ones."""
        hidden, _ = self.writer(z.unsqueeze(1).expand(-1, self.rows, -1))
        by_row = self.to_row(hidden).unflatten(-1, (self.likelihood.parameters, self.width))
        raw: Tensor = by_row.transpose(1, 2).flatten(1)
        return raw
