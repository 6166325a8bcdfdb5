"""The nets and distributions of a VAE whose classes are latent for images without a label.

`ssvae` and `m2` are trained on it by different losses.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import CLASSES, Batch, Model, Noise, Shape, Terms
from models.distributions import (
    kl_standard_normal,
    kl_uniform,
    log_normal,
    log_standard_normal,
    reparameterize,
    variance,
)
from models.likelihoods import make_likelihood
from models.networks import ELU, HIDDEN, mlp, positive


class ClassConditional(nn.Module):
    """A net whose input is [v, one-hot y], evaluated for all classes at once.

    The first layer multiplies v once, and not once for each class.
    """

    def __init__(self, sizes: list[int], classes: int = CLASSES):
        super().__init__()
        self.first = nn.Linear(sizes[0] + classes, sizes[1])
        self.elu = ELU()
        self.rest = mlp(sizes[1:], ELU)

    def forward(self, v: Tensor) -> Tensor:
        """The outputs for every class: (classes, batch, output).

        v: (batch, size) for all classes, or (classes, batch, size)
        """
        return self._apply_layers(v, self._class_bias(v).unsqueeze(1))

    def for_class(self, v: Tensor, y: Tensor) -> Tensor:
        """The output for one class per image: v (batch, size), y (batch,) -> (batch, output)."""
        return self._apply_layers(v, self._class_bias(v)[y])

    def _class_bias(self, v: Tensor) -> Tensor:
        """What each class adds to the first layer: (classes, hidden)."""
        return self.first.weight[:, v.shape[-1] :].T

    def _apply_layers(self, v: Tensor, class_bias: Tensor) -> Tensor:
        hidden = self.elu(
            F.linear(v, self.first.weight[:, : v.shape[-1]], self.first.bias) + class_bias
        )
        output: Tensor = self.rest(hidden)
        return output


class ClassConditionalVAE(Model):
    """p(y) = 1/classes;  p(z) = N(0, I);  p(x|y,z) = likelihood(decoder(z,y));
    q(y|x) = classifier(x);  q(z|x,y) = N(mean(x,y), var(x,y))

    The unlabelled bound sums over y exactly, with one z per y (Kingma et al. 2014, eq. 7). Arrays
    over y are class-major: (classes, batch, ...).
    """

    def __init__(self, z: int, likelihood: str = "auto", data: DataSpec = MNIST_SPEC):
        super().__init__()
        self.z, self.classes = positive(z), positive(data.classes)
        self.likelihood = make_likelihood(likelihood, data)
        pixels, outputs = data.dimensions, data.dimensions * self.likelihood.parameters
        self.encoder = ClassConditional([pixels, HIDDEN, HIDDEN, 2 * z], data.classes)
        self.decoder = ClassConditional([z, HIDDEN, HIDDEN, outputs], data.classes)
        self.classifier = mlp([pixels, HIDDEN, HIDDEN, data.classes], nn.ReLU)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z per class and image, and one that selects the class when sampling."""
        return {"z": (self.classes, batch, self.z), "y": (batch,)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound of the unlabelled images."""
        logits = self.classifier(batch.x)
        mean, var, _, rec = self._per_class(batch.x, noise["z"])
        q = logits.softmax(-1).T
        kl = kl_uniform(logits) + (q * kl_standard_normal(mean, var)).sum(0)
        return Terms((q * rec).sum(0), kl)

    def sample(self, noise: Noise) -> Tensor:
        """A uniformly drawn class, z from the prior, decoded."""
        y = (torch.special.ndtr(noise["y"]) * self.classes).long().clamp(max=self.classes - 1)
        return self.sample_classes(noise, y)

    def sample_classes(self, noise: Noise, y: Tensor) -> Tensor:
        """z from the prior, decoded with the given classes."""
        z = noise["z"][y, torch.arange(len(y), device=y.device)]
        return self.likelihood.mean(self.decoder.for_class(z, y))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """The most probable y under q(y|x), z from q(z|x,y), decoded."""
        mean, raw = self.encoder(x).chunk(2, -1)
        decoded = self.decoder(reparameterize(mean, variance(raw), noise["z"]))
        chosen = decoded[self.classify(x).argmax(-1), torch.arange(len(x), device=x.device)]
        return self.likelihood.mean(chosen)

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log Σ_y p(y) p(x|y,z_y) p(z_y) / q(z_y|x,y): an exact sum over y, one draw z_y each."""
        mean, var, z, rec = self._per_class(x, noise["z"])
        log_ratio = log_standard_normal(z) - log_normal(z, mean, var) - rec
        return torch.logsumexp(log_ratio, 0) - math.log(self.classes)

    def classify(self, x: Tensor) -> Tensor:
        """Logits of q(y|x)."""
        logits: Tensor = self.classifier(x)
        return logits

    def _per_class(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean, variance and draw of z, (classes, batch, z) each, and -log p(x|z_y,y).

        The last is (classes, batch).
        """
        mean, raw = self.encoder(x).chunk(2, -1)
        var = variance(raw)
        z = reparameterize(mean, var, noise)
        return mean, var, z, self.likelihood.nll(self.decoder(z), x)
