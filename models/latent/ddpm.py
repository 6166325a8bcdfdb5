"""A small denoising diffusion model.

Source: Ho, Jain and Abbeel, Denoising Diffusion Probabilistic Models, 2020, eq. 5, 7, 13 and 14,
with the cosine schedule of Nichol & Dhariwal 2021, eq. 17.
Scoring and sampling run the net once for each of `steps`: `--samples 1000` takes few.
"""

import math

import torch
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import kl_standard_normal
from models.networks import mlp, positive


@register("ddpm", replaceable=True)
class DDPM(Model):
    """p(x_T) = N(0, I);  p(x_(t-1)|x_t) = N(mean(x_t, t), var_t), discretised for t = 1;
    q(x_t|x) = N(√a_t x, 1 - a_t), fixed

    Training follows the simple loss alone. Scoring computes the bound: `rec` is its term of t = 1
    and `kl` the sum of all others. Scoring and sampling hold `steps` draws of noise per image.
    """

    def __init__(self, steps: int = 50, hidden: int = 512, data: DataSpec = MNIST_SPEC):
        super().__init__()
        if data.kind == "continuous":
            raise ValueError("continuous data; expected binary or ordinal ones")
        self.steps, self.dimensions = positive(steps), data.dimensions
        self.half_width = 1 / (data.levels - 1)  # of a level, where x is in [-1, 1]
        self.hidden = positive(hidden)
        self.net = mlp([data.dimensions + hidden, hidden, hidden, data.dimensions], nn.SiLU)
        self.embedding = nn.Embedding(steps + 1, hidden)
        angles = (torch.arange(steps + 1) / steps + 0.008) / 1.008 * math.pi / 2
        kept = (angles.cos() / angles[0].cos()).square()
        beta = (1 - kept[1:] / kept[:-1]).clamp(max=0.999)
        kept = torch.cat([torch.ones(1), (1 - beta).cumprod(0)])
        self.register_buffer("kept", kept)  # a_t, with a_0 = 1
        self.register_buffer("beta", torch.cat([torch.zeros(1), beta]))

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw and one t per image in training, a draw for every t in scoring and sampling."""
        if self.training:
            return {"x": (batch, self.dimensions), "t": (batch,)}
        return {"x": (self.steps, batch, self.dimensions)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The simple loss in training, the bound in scoring."""
        x = 2 * batch.x - 1
        if not self.training:
            bound = [self._bound_term(x, noise["x"][t - 1], t) for t in range(1, self.steps + 1)]
            return Terms(bound[0], torch.stack([self._prior_kl(x), *bound[1:]]).sum(0))
        t = 1 + (torch.special.ndtr(noise["t"]) * self.steps).long().clamp(max=self.steps - 1)
        predicted = self._predict_noise(self._diffuse(x, noise["x"], t), t)
        return Terms(loss=(predicted - noise["x"]).square().sum(-1))

    def sample(self, noise: Noise) -> Tensor:
        """x_T from the prior, denoised step by step; the last step gives the mean."""
        x = noise["x"][0]
        for t in range(self.steps, 0, -1):
            mean, var = self._posterior(x, self._predict_image(x, t), t)
            x = mean if t == 1 else mean + var.sqrt() * noise["x"][self.steps - t + 1]
        return (x + 1) / 2

    def _diffuse(self, x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """A draw of q(x_t|x): x (batch, dimensions), t (batch,) -> (batch, dimensions)."""
        kept = self.get_buffer("kept")[t].unsqueeze(-1)
        return kept.sqrt() * x + (1 - kept).sqrt() * noise

    def _bound_term(self, x: Tensor, noise: Tensor, t: int) -> Tensor:
        """-log p(x|x_1) for t = 1, else KL(q(x_(t-1)|x_t, x) || p(x_(t-1)|x_t)): (batch,), nats."""
        x_t = self._diffuse(x, noise, torch.full((len(x),), t, device=x.device))
        mean, var = self._posterior(x_t, self._predict_image(x_t, t), t)
        if t == 1:
            return discretized_normal_nll(x, mean, var, self.half_width)
        true_mean, _ = self._posterior(x_t, x, t)
        kl: Tensor = 0.5 * ((true_mean - mean).square() / var).sum(-1)
        return kl

    def _predict_noise(self, x_t: Tensor, t: Tensor) -> Tensor:
        """x_t (batch, dimensions) and t (batch,) -> (batch, dimensions)."""
        predicted: Tensor = self.net(torch.cat([x_t, self.embedding(t)], -1))
        return predicted

    def _predict_image(self, x_t: Tensor, t: int) -> Tensor:
        """x that remains without the predicted noise, cut to [-1, 1]: (batch, dimensions)."""
        kept = self.get_buffer("kept")[t]
        noise = self._predict_noise(x_t, torch.full((len(x_t),), t, device=x_t.device))
        image: Tensor = ((x_t - (1 - kept).sqrt() * noise) / kept.sqrt()).clamp(-1, 1)
        return image

    def _posterior(self, x_t: Tensor, x: Tensor, t: int) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(x_(t-1)|x_t, x): (batch, dimensions) and one number.

        For t = 1, where the variance would be 0, it is β_1.
        """
        kept, before = self.get_buffer("kept")[t], self.get_buffer("kept")[t - 1]
        beta = self.get_buffer("beta")[t]
        weight, weight_t = before.sqrt() * beta, (1 - beta).sqrt() * (1 - before)
        mean = (weight * x + weight_t * x_t) / (1 - kept)
        return mean, beta if t == 1 else beta * (1 - before) / (1 - kept)

    def _prior_kl(self, x: Tensor) -> Tensor:
        """KL(q(x_T|x) || N(0, I)): (batch, dimensions) -> (batch,), nats."""
        kept = self.get_buffer("kept")[-1]
        return kl_standard_normal(kept.sqrt() * x, (1 - kept).expand_as(x))


def discretized_normal_nll(x: Tensor, mean: Tensor, var: Tensor, half_width: float) -> Tensor:
    """-log of the probability that N(mean, var) falls into the interval of x: -> (batch,), nats.

    x is in [-1, 1]; the intervals of the lowest and of the highest level extend to infinity. Ho et
    al. 2020, eq. 13; the tail that is nearer is subtracted, so small probabilities are precise.
    """
    infinite = torch.full_like(x, torch.inf)
    below = torch.where(x < half_width - 1, -infinite, (x - half_width - mean) / var.sqrt())
    above = torch.where(x > 1 - half_width, infinite, (x + half_width - mean) / var.sqrt())
    is_right = below + above > 0
    low, high = torch.where(is_right, -above, below), torch.where(is_right, -below, above)
    log_high, log_low = torch.special.log_ndtr(high), torch.special.log_ndtr(low)
    log_p: Tensor = log_high + (-torch.expm1(log_low - log_high)).log()
    return -log_p.sum(-1)
