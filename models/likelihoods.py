"""Likelihoods p(x|z): what a decoder's outputs mean for one kind of data.

Binary x is 0 or 1; ordinal x is level / (levels - 1), in [0, 1]; continuous x is any float. A
decoder gives `parameters` numbers for each dimension of x, "raw" below: (..., parameters · dims).
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.plugins.dataset import DataSpec
from models.distributions import LOG_2PI, bernoulli_nll, variance

MIN_LOG_SCALE = -7.0  # of the logistic distribution
FIRST_LOG_SCALE = -2.0  # its log scale where the decoder gives 0


class Likelihood(ABC):
    """p(x|z) with independent dimensions."""

    name: str
    parameters: int
    # whether x is dequantised: level / (levels - 1) plus uniform noise as wide as a level
    dequantises: bool = False

    @abstractmethod
    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        """-log p(x|z): raw (..., parameters · dims), x (..., dims) -> (...), nats."""

    @abstractmethod
    def mean(self, raw: Tensor) -> Tensor:
        """The mean of x, of the logistic distribution its location: -> (..., dims)."""

    @abstractmethod
    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """A draw by the inverse of the distribution function.

        raw (..., parameters · dims), uniform (..., dims) in (0, 1) -> (..., dims)
        """


class Bernoulli(Likelihood):
    """Bernoulli(x; sigmoid(raw)), for binary data."""

    name, parameters = "bernoulli", 1

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        """The cross-entropy."""
        return bernoulli_nll(raw, x)

    def mean(self, raw: Tensor) -> Tensor:
        """The probabilities of ones."""
        return raw.sigmoid()

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """1 where the uniform number is below the probability."""
        ones: Tensor = uniform < raw.sigmoid()
        return ones.to(raw.dtype)


class Gaussian(Likelihood):
    """N(x; mean, var) for continuous data, with learned variances or one fixed standard deviation.

    Source: Kingma & Welling 2014, appendix C.2.
    """

    def __init__(self, sd: float | None = None):
        self.sd = sd
        self.name = "gaussian" if sd is None else f"gaussian:{sd:g}"
        self.parameters = 2 if sd is None else 1

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        """-log N(x; mean, var), a density: it can be below 0."""
        mean, var = self._split(raw)
        return 0.5 * ((x - mean).square() / var + var.log() + LOG_2PI).sum(-1)

    def mean(self, raw: Tensor) -> Tensor:
        """The mean."""
        return self._split(raw)[0]

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """mean + sd · Φ⁻¹(uniform)."""
        mean, var = self._split(raw)
        quantiles: Tensor = torch.special.ndtri(uniform)
        return mean + var.sqrt() * quantiles

    def _split(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        if self.sd is not None:
            return raw, torch.full_like(raw, self.sd**2)
        mean, raw_variance = raw.chunk(2, -1)
        return mean, variance(raw_variance)


class DequantisedGaussian(Gaussian):
    """N(x; mean, var) for dequantised ordinal data, as a density of the level.

    The mean of -log p over the noise is at least -log P(level), with P(level) the integral of the
    density over the level's interval (Theis et al. 2016, section 3.1).
    """

    dequantises = True

    def __init__(self, levels: int, sd: float | None = None):
        super().__init__(sd)
        self.name = self.name.replace("gaussian", "gaussian_dequantised")
        self.levels = levels

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        """-log N(x; mean, var) + dims · log(levels - 1), as x has the unit of levels - 1 levels."""
        return super().nll(raw, x) + x.shape[-1] * math.log(self.levels - 1)

    def mean(self, raw: Tensor) -> Tensor:
        """The mean, cut to [0, 1]."""
        return super().mean(raw).clamp(0, 1)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """The nearest level to a draw."""
        level = (super().sample(raw, uniform).clamp(0, 1) * (self.levels - 1)).round()
        return level / (self.levels - 1)


class DiscretizedLogistic(Likelihood):
    """The probability that a logistic variable falls into the interval of a level.

    Source: Kingma et al. 2016 (IAF), section 6.1; the intervals of the lowest and of the highest
    level extend to infinity, as in PixelCNN++ (Salimans et al. 2017, eq. 2).
    """

    name, parameters = "logistic", 2

    def __init__(self, levels: int):
        self.half_width = 0.5 / (levels - 1)
        self.levels = levels

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        """-log(σ(b) - σ(a)) with σ(b) - σ(a) = σ(b) σ(-a) (1 - exp(a - b))."""
        location, log_scale = self._split(raw)
        inverse_scale = (-log_scale).exp()
        below = (x - self.half_width - location) * inverse_scale
        above = (x + self.half_width - location) * inverse_scale
        width = 2 * self.half_width * inverse_scale
        inside = F.softplus(-above) + F.softplus(below) - (-torch.expm1(-width)).log()
        nll = torch.where(x < self.half_width, F.softplus(-above), inside)
        nll = torch.where(x > 1 - self.half_width, F.softplus(below), nll)
        return nll.sum(-1)

    def mean(self, raw: Tensor) -> Tensor:
        """The location, cut to [0, 1]."""
        return self._split(raw)[0].clamp(0, 1)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """The nearest level to a draw of the logistic variable."""
        location, log_scale = self._split(raw)
        x = location + log_scale.exp() * torch.logit(uniform)
        level = (x.clamp(0, 1) * (self.levels - 1)).round()
        return level / (self.levels - 1)

    def _split(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        location, raw_scale = raw.chunk(2, -1)
        return location + 0.5, (raw_scale + FIRST_LOG_SCALE).clamp(min=MIN_LOG_SCALE)


class Categorical(Likelihood):
    """One probability for each level, for ordinal data."""

    name = "categorical"

    def __init__(self, levels: int):
        self.levels = self.parameters = levels

    def nll(self, raw: Tensor, x: Tensor) -> Tensor:
        """The cross-entropy over levels."""
        level = (x * (self.levels - 1)).round().long().unsqueeze(-1)
        log_p = self._split(raw).log_softmax(-1)
        return -log_p.gather(-1, level.expand(*log_p.shape[:-1], 1)).squeeze(-1).sum(-1)

    def mean(self, raw: Tensor) -> Tensor:
        """The mean level, in [0, 1]."""
        levels = torch.linspace(0, 1, self.levels, device=raw.device)
        return (self._split(raw).softmax(-1) * levels).sum(-1)

    def sample(self, raw: Tensor, uniform: Tensor) -> Tensor:
        """The first level whose cumulative probability exceeds the uniform number."""
        cumulative = self._split(raw).softmax(-1).cumsum(-1)
        level: Tensor = (cumulative < uniform.unsqueeze(-1)).sum(-1).clamp(max=self.levels - 1)
        return level.to(raw.dtype) / (self.levels - 1)

    def _split(self, raw: Tensor) -> Tensor:
        by_dimension: Tensor = raw.unflatten(-1, (-1, self.levels))
        return by_dimension


DEFAULTS = {"binary": "bernoulli", "ordinal": "logistic", "continuous": "gaussian"}
KINDS = {
    "bernoulli": "binary",
    "logistic": "ordinal",
    "categorical": "ordinal",
    "gaussian_dequantised": "ordinal",
    "gaussian": "continuous",
}
WITH_SD = ("gaussian", "gaussian_dequantised")


def make_likelihood(name: str, data: DataSpec) -> Likelihood:
    """The likelihood of a name: one of KINDS; gaussian:SD and gaussian_dequantised:SD fix the SD.

    "auto" is the one of the data's kind. ValueError for another name, or one for other data.
    """
    base, _, argument = (DEFAULTS[data.kind] if name == "auto" else name).partition(":")
    if base not in KINDS or (argument and base not in WITH_SD):
        expected = f"auto, {', '.join(KINDS)} or gaussian:SD"
        raise ValueError(f"no likelihood {name!r}; expected {expected}")
    if KINDS[base] != data.kind:
        raise ValueError(
            f"likelihood {base!r} is for {KINDS[base]} data, and these are {data.kind}; "
            f"expected {' or '.join(n for n, kind in KINDS.items() if kind == data.kind)}"
        )
    if base == "gaussian":
        return Gaussian(_parse_sd(argument))
    if base == "gaussian_dequantised":
        return DequantisedGaussian(data.levels, _parse_sd(argument))
    if base == "bernoulli":
        return Bernoulli()
    return {"logistic": DiscretizedLogistic, "categorical": Categorical}[base](data.levels)


def _parse_sd(text: str) -> float | None:
    if not text:
        return None
    try:
        sd = float(text)
    except ValueError:
        sd = math.nan
    if not 0 < sd < math.inf:
        raise ValueError(f"standard deviation {text!r}; expected a number above 0")
    return sd
