"""The shipped `vampprior` under a name of its own, with 40 latent variables.

It shows how a plug-in extends a shipped model. `results/tuned` was made with this name.

    python harness/bench.py --models vamp_prior vae --plugin examples/vamp_prior.py
"""

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.registry import register
from models.latent.vampprior import VampPrior as Shipped


@register("vamp_prior")
class VampPrior(Shipped):
    """p(z) = Σ_k q(z|u_k) / k, u learned;  p(x|z) = likelihood(decoder(z));  q(z|x) = N(mean(x),
    var(x))
    """

    def __init__(
        self,
        z: int = 40,
        k: int = 500,
        from_data: bool = True,
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__(z, k, from_data, likelihood, data)
