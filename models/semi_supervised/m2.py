"""M2: a VAE whose class is known for labelled images and latent for all others.

Source: Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, eq. 6-9.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.experiment.cell import Supervision
from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Noise, Terms, TrainingImages
from harness.plugins.registry import register
from models.class_conditional import ClassConditionalVAE
from models.distributions import kl_standard_normal, reparameterize, variance


@register("m2", replaceable=True)
class M2(ClassConditionalVAE):
    """p(y) = 1/classes;  p(z) = N(0, I);  p(x|y,z) = likelihood(decoder(z,y));
    q(y|x) = classifier(x);  q(z|x,y) = N(mean(x,y), var(x,y))

    The loss of the paper, divided by the number N of training images: the unlabelled bound, plus
    labels/N times the mean bound of log p(x,y) of the labelled images, plus `alpha` times their
    mean cross-entropy (the paper's α is alpha · N). Arrays over y are class-major.
    """

    iterations = 30_000
    supervisions = ("semi-supervised",)

    def __init__(
        self,
        z: int = 50,
        alpha: float = 0.1,
        supervision: Supervision = "semi-supervised",
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__(z, likelihood, data)
        self.alpha = alpha
        self.register_buffer("images", torch.ones(()))  # N

    def start_from_data(self, images: TrainingImages) -> None:
        """Take down the number of training images."""
        self.get_buffer("images").fill_(images.count)

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The unlabelled bound, and in `extra` what the labelled images add."""
        unlabelled = super().terms(batch, noise)
        if not len(batch.labelled):
            return unlabelled
        share = len(batch.labelled) / self.get_buffer("images")
        cross_entropy = F.cross_entropy(self.classifier(batch.labelled), batch.targets)
        bound = self._bound_labelled(batch.labelled, batch.targets, noise["z"]).mean()
        return unlabelled._replace(extra=share * bound + self.alpha * cross_entropy)

    def _bound_labelled(self, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """-log p(x,y) at most, eq. 6: x (labels, dimensions), y (labels,) -> (labels,), nats.

        The draws of z are those of unlabelled images, taken in turn.
        """
        draws = noise.flatten(0, 1)
        draws = draws[torch.arange(len(x), device=x.device) % len(draws)]
        mean, raw = self.encoder.for_class(x, y).chunk(2, -1)
        var = variance(raw)
        decoded = self.decoder.for_class(reparameterize(mean, var, draws), y)
        kl = kl_standard_normal(mean, var) + math.log(self.classes)
        return self.likelihood.nll(decoded, x) + kl
