"""Deprecated path of version 0.1 to distributions: use `models.distributions`."""

from models.distributions import LOG_2PI as LOG_2PI
from models.distributions import MIN_VARIANCE as MIN_VARIANCE
from models.distributions import bernoulli_nll as bernoulli_nll
from models.distributions import kl_standard_normal as kl_standard_normal
from models.distributions import kl_uniform as kl_uniform
from models.distributions import log_mixture as log_mixture
from models.distributions import log_normal as log_normal
from models.distributions import log_standard_normal as log_standard_normal
from models.distributions import reparameterize as draw
from models.distributions import variance as variance

__all__ = [
    "LOG_2PI",
    "MIN_VARIANCE",
    "bernoulli_nll",
    "draw",
    "kl_standard_normal",
    "kl_uniform",
    "log_mixture",
    "log_normal",
    "log_standard_normal",
    "variance",
]
