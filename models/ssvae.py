"""The semi-supervised VAE of Stanford CS236, homework 2.

It is model M2 of Kingma et al. 2014, but labels enter by a cross-entropy alone. `m2` is the model
of the paper. With supervision "supervised" it is the classifier alone.
"""

import torch.nn.functional as F  # noqa: N812

from harness.experiment.cell import Supervision
from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Noise, Terms
from harness.plugins.registry import register
from models.class_conditional import ClassConditional as ClassConditional
from models.class_conditional import ClassConditionalVAE


@register("ssvae")
class SSVAE(ClassConditionalVAE):
    """p(y) = 1/classes;  p(z) = N(0, I);  p(x|y,z) = likelihood(decoder(z,y));
    q(y|x) = classifier(x);  q(z|x,y) = N(mean(x,y), var(x,y))

    The unlabelled bound sums over y exactly, with one z per y (Kingma et al. 2014, eq. 7); labels
    enter by a cross-entropy alone. Arrays over y are class-major: (classes, batch, ...).
    """

    iterations = 30_000
    supervisions = ("semi-supervised", "supervised")
    added_settings = ("likelihood",)

    def __init__(
        self,
        z: int = 64,
        class_weight: float = 100.0,
        supervision: Supervision = "semi-supervised",
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__(z, likelihood, data)
        self.class_weight = class_weight
        self.generative = supervision == "semi-supervised"

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound of the unlabelled images, and the weighted cross-entropy of the others."""
        extra = self.class_weight * F.cross_entropy(self.classifier(batch.labelled), batch.targets)
        if not self.generative:
            return Terms(extra.new_zeros(()), extra.new_zeros(()), extra)
        return super().terms(batch, noise)._replace(extra=extra)
