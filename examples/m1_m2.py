"""The stacked semi-supervised model M1+M2, trained jointly.

Source: Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, eq. 3, 7 and 9.
The paper trains M1 first and M2 on its latent variables, which `--dataset latents:RESULTS/CELL`
does; here both follow one bound from the start. Its numbers are not those of the paper.

    python harness/bench.py --models m1_m2 ssvae --labels 100 --plugin examples/m1_m2.py
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.experiment.cell import Supervision
from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register
from models.distributions import (
    kl_standard_normal,
    kl_uniform,
    log_normal,
    log_standard_normal,
    reparameterize,
)
from models.likelihoods import make_likelihood
from models.networks import HIDDEN, Encoder, decoder, mlp, positive


@register("m1_m2")
class M1M2(Model):
    """p(y) = 1/classes;  p(z2) = N(0, I);  p(z1|y,z2) = N(mean(y,z2), var(y,z2));  p(x|z1) =
    likelihood(decoder(z1));  q(z1|x), q(z2|y,z1) Gaussian;  q(y|z1) = classifier(z1)

    The bound sums over y exactly, at one z1 and one z2 per y; labels enter by a cross-entropy at
    the mean of q(z1|x). Arrays over y are class-major: (classes, batch, ...).
    """

    iterations = 30_000
    supervisions = ("semi-supervised",)

    def __init__(
        self,
        z1: int = 50,
        z2: int = 50,
        class_weight: float = 100.0,
        supervision: Supervision = "semi-supervised",
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        self.z1, self.z2, self.classes = positive(z1), positive(z2), positive(data.classes)
        self.class_weight = class_weight
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder1 = Encoder(z1, data.dimensions)
        self.encoder2 = Encoder(z2, z1 + self.classes)
        self.prior1 = Encoder(z1, z2 + self.classes)
        self.decoder = decoder(z1, data.dimensions * self.likelihood.parameters)
        self.classifier = mlp([z1, HIDDEN, self.classes], nn.ReLU)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z1 per image, of z2 per class and image, and one that selects the class."""
        z2 = (self.classes, batch, self.z2)
        return {"z2": z2, "z1": (batch, self.z1), "y": (batch,)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound of the unlabelled images, and the weighted cross-entropy of the others."""
        mean, var = self.encoder1(batch.x)
        z1 = reparameterize(mean, var, noise["z1"])
        logits = self.classifier(z1)
        mean2, var2, z2 = self._draw_z2(z1, noise["z2"])
        by_class = kl_standard_normal(mean2, var2) - self._log_p_z1(z1, z2)
        kl = log_normal(z1, mean, var) + (logits.softmax(-1).T * by_class).sum(0)
        rec = self.likelihood.nll(self.decoder(z1), batch.x)
        return Terms(rec, kl + kl_uniform(logits), extra=self._classify_labelled(batch))

    def sample(self, noise: Noise) -> Tensor:
        """A uniformly drawn class, z2 from the prior, z1 given both, decoded."""
        y = (torch.special.ndtr(noise["y"]) * self.classes).long().clamp(max=self.classes - 1)
        of_class = (y, torch.arange(len(y), device=y.device))
        mean, var = self.prior1(self._append_classes(noise["z2"]))
        z1 = reparameterize(mean[of_class], var[of_class], noise["z1"])
        return self.likelihood.mean(self.decoder(z1))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z1 from q(z1|x), decoded."""
        mean, var = self.encoder1(x)
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z1"])))

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log of p(x|z1) / q(z1|x) · Σ_y p(y) p(z1|y,z2_y) p(z2_y) / q(z2_y|y,z1)."""
        mean, var = self.encoder1(x)
        z1 = reparameterize(mean, var, noise["z1"])
        mean2, var2, z2 = self._draw_z2(z1, noise["z2"])
        ratios = log_standard_normal(z2) - log_normal(z2, mean2, var2) + self._log_p_z1(z1, z2)
        log_prior = ratios.logsumexp(0) - math.log(self.classes)
        return log_prior - log_normal(z1, mean, var) - self.likelihood.nll(self.decoder(z1), x)

    def classify(self, x: Tensor) -> Tensor:
        """Logits of q(y|z1) at the mean of q(z1|x)."""
        logits: Tensor = self.classifier(self.encoder1(x)[0])
        return logits

    def _classify_labelled(self, batch: Batch) -> Tensor:
        """The weighted cross-entropy, one number; 0 without labelled images, as in scoring."""
        if not len(batch.labelled):
            return batch.x.new_zeros(())
        return self.class_weight * F.cross_entropy(self.classify(batch.labelled), batch.targets)

    def _draw_z2(self, z1: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, variance and draw of q(z2|y,z1) for every y: (classes, batch, z2) each."""
        mean, var = self.encoder2(self._append_classes(z1.expand(self.classes, -1, -1)))
        return mean, var, reparameterize(mean, var, noise)

    def _log_p_z1(self, z1: Tensor, z2: Tensor) -> Tensor:
        """log p(z1|y,z2) for every y: (classes, batch), nats."""
        return log_normal(z1, *self.prior1(self._append_classes(z2)))

    def _append_classes(self, v: Tensor) -> Tensor:
        """(classes, batch, size) -> (classes, batch, size + classes), one-hot."""
        one_hot = torch.eye(self.classes, device=v.device).unsqueeze(1)
        return torch.cat([v, one_hot.expand(-1, v.shape[1], -1)], -1)
