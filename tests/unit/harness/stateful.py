"""Small models whose steps change tensors without a gradient, as source of a plug-in."""

SOURCE = '''
import torch
from torch import Tensor, nn

from harness.plugins.model import PIXELS, Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import bernoulli_nll, kl_standard_normal, reparameterize, variance

Z = 4


class Small(Model):
    """p(z) = N(0, I);  p(x|z) = Bernoulli(W z + b);  q(z|x) = N(mean(x), var(x))"""

    iterations = 12

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(PIXELS, 2 * Z)
        self.decoder = nn.Linear(Z, PIXELS)

    def noise(self, batch: int) -> dict[str, Shape]:
        return {"z": (batch, Z)}

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.encoder(x).chunk(2, -1)
        return mean, variance(raw)

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        mean, var = self.encode(batch.x)
        rec = bernoulli_nll(self.decoder(reparameterize(mean, var, noise["z"])), batch.x)
        return Terms(rec, kl_standard_normal(mean, var))

    def sample(self, noise: Noise) -> Tensor:
        return self.decoder(noise["z"]).sigmoid()


@register("normed")
class Normed(Small):
    """BatchNorm keeps running statistics in place."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2 * Z)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self.norm(self.encoder(x)).chunk(2, -1)
        return mean, variance(raw)


@register("warmed")
class Warmed(Small):
    """The KL comes in over ten steps; a buffer that is assigned anew counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros(()))

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        rec, kl, *_ = super().terms(batch, noise)
        weight = (self.steps / 10).clamp(max=1.0)
        if self.training:
            self.steps = self.steps + 1
        return Terms(rec, kl, ((weight - 1) * kl).mean())


@register("quantised")
class Quantised(Small):
    """A VQ-VAE whose codebook is a moving average, changed in place (van den Oord et al. 2017,
    appendix A.1).
    """

    def __init__(self) -> None:
        super().__init__()
        codes = torch.randn(16, 2 * Z)
        self.register_buffer("codes", codes.clone())
        self.register_buffer("total", codes)
        self.register_buffer("count", torch.ones(16))
        self.decoder = nn.Linear(2 * Z, PIXELS)

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        h = self.encoder(batch.x)
        squares = h.square().sum(-1, keepdim=True) + self.codes.square().sum(-1)
        distance = squares - 2 * h @ self.codes.T
        chosen = (distance.argmin(-1, keepdim=True) == torch.arange(16)).to(h.dtype)
        code = chosen @ self.codes
        if self.training:
            with torch.no_grad():
                self.count.mul_(0.9).add_(0.1 * chosen.sum(0))
                self.total.mul_(0.9).add_(0.1 * chosen.T @ h)
                self.codes.copy_(self.total / self.count.clamp(min=1e-3).unsqueeze(-1))
        rec = bernoulli_nll(self.decoder(h + (code - h).detach()), batch.x)
        kl = torch.full_like(rec, 2.772588722239781)  # log 16: q is one code, p uniform
        return Terms(rec, kl, 0.25 * (h - code.detach()).square().sum(-1))

    def sample(self, noise: Noise) -> Tensor:
        place = (torch.special.ndtr(noise["z"][:, 0]) * 16).long().clamp(max=15)
        return self.decoder(self.codes[place]).sigmoid()
'''
NAMES = ("normed", "warmed", "quantised")
