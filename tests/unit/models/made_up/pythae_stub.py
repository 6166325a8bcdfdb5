"""What `models/latent/pythae.py` needs of Pythae, with the same interface."""

from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


class Config:
    """A Pythae config: a record of keywords."""

    def __init__(self, input_dim: tuple[int, ...], latent_dim: int, reconstruction_loss: str):
        self.input_dim, self.latent_dim = input_dim, latent_dim
        assert reconstruction_loss == "bce"


class Output(dict[str, Any]):
    """A Pythae ModelOutput: items that are attributes too."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Decoder(nn.Module):
    def __init__(self, latent: int, shape: tuple[int, ...]):
        super().__init__()
        self.shape, self.net = shape, nn.Linear(latent, torch.Size(shape).numel())

    def forward(self, z: Tensor) -> Output:
        return Output(reconstruction=self.net(z).sigmoid().unflatten(-1, self.shape))


class VAE(nn.Module):
    """Draws z itself and gives means over the batch, as Pythae's does."""

    def __init__(self, config: Config):
        super().__init__()
        pixels = torch.Size(config.input_dim).numel()
        self.encoder = nn.Linear(pixels, 2 * config.latent_dim)
        self.decoder = Decoder(config.latent_dim, config.input_dim)

    def forward(self, inputs: dict[str, Tensor]) -> Output:
        x = inputs["data"]
        mean, log_var = self.encoder(x.flatten(1)).chunk(2, -1)
        z = mean + (0.5 * log_var).exp() * torch.randn_like(mean)
        recon_x = self.decoder(z)["reconstruction"]
        rec = F.binary_cross_entropy(recon_x, x, reduction="none").flatten(1).sum(-1).mean()
        kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum(-1).mean()
        return Output(recon_loss=rec, reg_loss=kl, loss=rec + kl, recon_x=recon_x, z=z)


def make_modules() -> dict[str, ModuleType]:
    """The modules `pythae` and `pythae.models`, by name."""
    package, models = ModuleType("pythae"), ModuleType("pythae.models")
    vars(models).update(VAE=VAE, VAEConfig=Config, WAE_MMD=VAE, WAE_MMD_Config=Config)
    vars(package)["models"] = models
    return {"pythae": package, "pythae.models": models}
