"""The shipped `vampprior` under another name, with a pseudo-input for each of `k` training images.

It shows how a plug-in extends a shipped model. `results/tuned` was made with this name.

    python harness/bench.py --models vamp_prior vae --plugin examples/vamp_prior.py
"""

from harness.plugins.registry import register
from models.latent.vampprior import VampPrior as Shipped


@register("vamp_prior")
class VampPrior(Shipped):
    """p(z) = Σ_k q(z|u_k) / k, u learned;  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x),
    var(x))
    """
