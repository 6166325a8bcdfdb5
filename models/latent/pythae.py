"""An adapter for models of Pythae, by the extra `[pythae]`. They draw their own random numbers.

Source: Chadebec, Vincent and Allassonnière, Pythae: Unifying Generative Autoencoders in Python,
2022. Its models give one number a batch and draw inside `forward`, so they train cell by cell.
Families whose prior is not N(0, I), and those with several optimisers, are refused.
"""

from types import ModuleType
from typing import Any

from torch import Tensor

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.networks import positive

FAMILIES = ("VAE", "BetaVAE", "BetaTCVAE", "INFOVAE_MMD", "WAE_MMD", "IWAE")


@register("pythae", replaceable=True)
class PythaeModel(Model):
    """p(z) = N(0, I);  p(x|z) = Bernoulli(Pythae's decoder(z));  q(z|x) of the family

    The family "VAE" has a bound and follows β. Others follow their own loss, with Pythae's default
    settings, and have no NELBO, as their parts mean something else in every family.
    """

    stackable = False

    def __init__(self, family: str = "VAE", z: int = 10, data: DataSpec = MNIST_SPEC):
        super().__init__()
        if family not in FAMILIES:
            raise ValueError(f"family {family!r}; expected one of {', '.join(FAMILIES)}")
        if data.kind != "binary":
            raise ValueError(f"{data.kind} data; expected binary ones")
        self.z, self.shape, self.has_bound = positive(z), data.shape, family == "VAE"
        library = _import_models()
        config = f"{family}_Config" if "_" in family else f"{family}Config"
        settings = {"input_dim": data.shape, "latent_dim": z, "reconstruction_loss": "bce"}
        self.model = getattr(library, family)(getattr(library, config)(**settings))

    def noise(self, batch: int) -> dict[str, Shape]:
        """z of the prior when sampling; training draws its own."""
        return {} if self.training else {"z": (batch, self.z)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The parts of the bound, or the family's own loss: one number each."""
        output: Any = self.model({"data": batch.x.unflatten(-1, self.shape)})
        if self.has_bound:
            return Terms(output.recon_loss, output.reg_loss)
        return Terms(loss=output.loss)

    def sample(self, noise: Noise) -> Tensor:
        """z from the prior, decoded."""
        pixels: Tensor = self.model.decoder(noise["z"])["reconstruction"]
        return pixels.flatten(1)

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """What Pythae's model gives back for x."""
        pixels: Tensor = self.model({"data": x.unflatten(-1, self.shape)}).recon_x
        return pixels.flatten(1)


def _import_models() -> ModuleType:
    try:
        import pythae.models
    except ImportError as error:
        raise ValueError(
            f"Pythae cannot be imported ({error}); expected the extra: "
            f"pip install 'generative-bench[pythae]'"
        ) from None
    module: ModuleType = pythae.models
    return module
