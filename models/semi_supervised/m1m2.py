"""M1+M2: a VAE gives latent variables, and M2 is trained on them, in two stages.

Source: Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, sections 2.1, 2.2
and 3, eq. 3 and 5-9.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.experiment.cell import Supervision
from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.model import Batch, Model, Noise, Shape, Terms, TrainingImages
from harness.plugins.registry import register
from models.class_conditional import ClassConditional
from models.distributions import (
    kl_standard_normal,
    kl_uniform,
    log_normal,
    log_standard_normal,
    reparameterize,
    variance,
)
from models.likelihoods import make_likelihood
from models.networks import HIDDEN, Encoder, decoder, mlp, positive


@register("m1m2", replaceable=True)
class M1M2(Model):
    """p(y) = 1/classes;  p(z2) = N(0, I);  p(z1|y,z2) = N(mean(y,z2), var(y,z2));  p(x|z1) =
    likelihood(decoder(z1));  q(z1|x), q(z2|y,z1) Gaussian;  q(y|z1) = classifier(z1)

    In the first part `first_stage` of the steps M1 alone is trained, with p(z1) = N(0, I). Then it
    is left as it is, and M2 is trained on draws of q(z1|x), by the loss of `m2`. The reported bound
    is that of both together. Arrays over y are class-major: (classes, batch, ...).
    """

    iterations = 30_000
    supervisions = ("semi-supervised",)
    uses_progress = True

    def __init__(
        self,
        z1: int = 50,
        z2: int = 50,
        alpha: float = 0.1,
        first_stage: float = 0.5,
        supervision: Supervision = "semi-supervised",
        likelihood: str = "auto",
        data: DataSpec = MNIST_SPEC,
    ):
        super().__init__()
        if not 0 < first_stage < 1:
            raise ValueError(f"first_stage {first_stage}; expected a share between 0 and 1")
        self.z1, self.z2, self.classes = positive(z1), positive(z2), positive(data.classes)
        self.alpha, self.first_stage = alpha, first_stage
        self.likelihood = make_likelihood(likelihood, data)
        self.encoder1 = Encoder(z1, data.dimensions)
        self.decoder = decoder(z1, data.dimensions * self.likelihood.parameters)
        self.encoder2 = ClassConditional([z1, HIDDEN, HIDDEN, 2 * z2], self.classes)
        self.prior1 = ClassConditional([z2, HIDDEN, HIDDEN, 2 * z1], self.classes)
        self.classifier = mlp([z1, HIDDEN, HIDDEN, self.classes], nn.ReLU)
        self.register_buffer("images", torch.ones(()))  # N

    def start_from_data(self, images: TrainingImages) -> None:
        """Take down the number of training images."""
        self.get_buffer("images").fill_(images.count)

    def noise(self, batch: int) -> dict[str, Shape]:
        """One draw of z1 per image, of z2 per class and image, and one that selects the class."""
        z2 = (self.classes, batch, self.z2)
        return {"z2": z2, "z1": (batch, self.z1), "y": (batch,)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The bound of the stacked model, and in training the loss of the present stage."""
        mean, var = self.encoder1(batch.x)
        z1 = reparameterize(mean, var, noise["z1"])
        rec = self.likelihood.nll(self.decoder(z1), batch.x)
        above = self._bound_unlabelled(z1.detach(), noise["z2"])
        terms = Terms(rec, log_normal(z1, mean, var) + above)
        if not self.training:
            return terms
        assert batch.step is not None
        assert batch.total is not None
        of_m1 = (rec + kl_standard_normal(mean, var)).mean()
        of_m2 = above.mean() + self._score_labelled(batch, noise)
        is_first = batch.step < self.first_stage * batch.total
        return terms._replace(loss=torch.where(is_first, of_m1, of_m2))

    def sample(self, noise: Noise) -> Tensor:
        """A uniformly drawn class, z2 from the prior, z1 given both, decoded."""
        y = (torch.special.ndtr(noise["y"]) * self.classes).long().clamp(max=self.classes - 1)
        return self.sample_classes(noise, y)

    def sample_classes(self, noise: Noise, y: Tensor) -> Tensor:
        """z2 from the prior, z1 given it and the class, decoded."""
        z2 = noise["z2"][y, torch.arange(len(y), device=y.device)]
        mean, raw = self.prior1.for_class(z2, y).chunk(2, -1)
        z1 = reparameterize(mean, variance(raw), noise["z1"])
        return self.likelihood.mean(self.decoder(z1))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """z1 from q(z1|x), decoded."""
        mean, var = self.encoder1(x)
        return self.likelihood.mean(self.decoder(reparameterize(mean, var, noise["z1"])))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z1|x)."""
        mean, var = self.encoder1(x)
        return mean, var

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log of p(x|z1) / q(z1|x) · Σ_y p(y) p(z1|y,z2_y) p(z2_y) / q(z2_y|y,z1)."""
        mean, var = self.encoder1(x)
        z1 = reparameterize(mean, var, noise["z1"])
        mean2, raw2 = self.encoder2(z1).chunk(2, -1)
        z2 = reparameterize(mean2, variance(raw2), noise["z2"])
        ratios = log_standard_normal(z2) - log_normal(z2, mean2, variance(raw2))
        log_prior = (ratios + score_gaussian(z1, self.prior1(z2))).logsumexp(0)
        rec = self.likelihood.nll(self.decoder(z1), x)
        return log_prior - math.log(self.classes) - log_normal(z1, mean, var) - rec

    def classify(self, x: Tensor) -> Tensor:
        """Logits of q(y|z1) at the mean of q(z1|x)."""
        logits: Tensor = self.classifier(self.encoder1(x)[0])
        return logits

    def _bound_unlabelled(self, z1: Tensor, noise: Tensor) -> Tensor:
        """-log p(z1) at most, eq. 7: z1 (batch, z1), noise (classes, batch, z2) -> (batch,)."""
        logits = self.classifier(z1)
        mean, raw = self.encoder2(z1).chunk(2, -1)
        z2 = reparameterize(mean, variance(raw), noise)
        by_class = kl_standard_normal(mean, variance(raw)) - score_gaussian(z1, self.prior1(z2))
        bound: Tensor = (logits.softmax(-1).T * by_class).sum(0) + kl_uniform(logits)
        return bound

    def _score_labelled(self, batch: Batch, noise: Noise) -> Tensor:
        """What the labelled images add to the loss of M2, one number, in nats per image.

        The draws of z1 and z2 are those of unlabelled images, taken in turn.
        """
        y = batch.targets
        draws1, draws2 = (
            each[torch.arange(len(y), device=y.device) % len(each)]
            for each in (noise["z1"], noise["z2"].flatten(0, 1))
        )
        mean1, var1 = self.encoder1(batch.labelled)
        z1 = reparameterize(mean1, var1, draws1).detach()
        mean, raw = self.encoder2.for_class(z1, y).chunk(2, -1)
        z2 = reparameterize(mean, variance(raw), draws2)
        bound = kl_standard_normal(mean, variance(raw)) + math.log(self.classes)
        bound = bound - score_gaussian(z1, self.prior1.for_class(z2, y))
        cross_entropy = F.cross_entropy(self.classifier(z1), y)
        share = len(y) / self.get_buffer("images")
        return share * bound.mean() + self.alpha * cross_entropy


def score_gaussian(z: Tensor, outputs: Tensor) -> Tensor:
    """log N(z; mean, var) of a net's outputs: (..., latent), (..., 2 · latent) -> (...), nats."""
    mean, raw = outputs.chunk(2, -1)
    return log_normal(z, mean, variance(raw))
