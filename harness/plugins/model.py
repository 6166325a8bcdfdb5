"""What a model owes the harness: a pure objective. Parameters, data and noise in, named terms out.

A model draws nothing itself and knows neither β nor the optimiser, so that the same code trains one
seed or, stacked with `torch.func.vmap`, many. Images are binary vectors of `PIXELS` values; noise
is always standard normal (a uniform draw is its `torch.special.ndtr`). Losses are in nats per
image.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from harness.experiment.cell import Supervision

PIXELS = 784
CLASSES = 10
Shape = tuple[int, ...]
Noise = dict[str, Tensor]


class Batch(NamedTuple):
    """One step's data; zero labelled images for a model without labels, an empty `x` for a
    "supervised" cell.
    """

    x: Tensor  # (batch, PIXELS), binary images as floats
    labelled: Tensor  # (labels, PIXELS), binary images as floats
    targets: Tensor  # (labels,), classes as int64


class Terms(NamedTuple):
    """Parts of the objective, each (batch,) or one number, in nats per image; None where the model
    has no such part.

    The engine minimises what is given: rec + β·kl + extra, or nll + extra. A model with `rec` and
    `kl` has a bound, NELBO = rec + kl; one with `nll` an exact likelihood; one with neither, such
    as a GAN, has no number to compare.
    """

    rec: Tensor | None = None  # E_q[-log p(x|z)]
    kl: Tensor | None = None  # KL(q(z|x) || p(z)), or its estimate
    extra: Tensor | None = None  # what the loss adds to the bound: a weighted cross-entropy, say
    nll: Tensor | None = None  # -log p(x), exact


class Model(nn.Module, ABC):
    """A generative model of binary images.

    The constructor's keyword arguments, with their defaults, are the settings that a grid can
    sweep. A model that uses labels lists its `supervisions` and takes the cell's as the keyword
    `supervision`.
    """

    iterations: ClassVar[int] = 20_000  # full length; fewer are a shortened run
    supervisions: ClassVar[tuple[Supervision, ...]] = ("none",)

    @abstractmethod
    def noise(self, batch: int) -> dict[str, Shape]:
        """Names and shapes of the standard normal noise that `batch` images need, in training and
        in sampling.
        """

    @abstractmethod
    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The parts of the objective of each image; pure: the same arguments give the same terms.
        """

    def forward(self, batch: Batch, noise: Noise) -> Terms:
        """The objective, as `torch.func.functional_call` calls it."""
        return self.terms(batch, noise)

    @abstractmethod
    def sample(self, noise: Noise) -> Tensor:
        """Images from the prior: noise for n images -> (n, PIXELS), the probabilities of their
        pixels.
        """


@runtime_checkable
class ImportanceWeighted(Protocol):
    """A model whose bound can be tightened by importance weights (Burda et al. 2015)."""

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x, z) - log q(z|x) at one draw of z: (batch, PIXELS) -> (batch,), nats."""


@runtime_checkable
class Reconstructing(Protocol):
    """A model that can show what its latent variables keep of an image."""

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """E[x|z] at one draw of z from q(z|x): (batch, PIXELS) -> (batch, PIXELS), the
        probabilities of the pixels.
        """


@runtime_checkable
class Classifier(Protocol):
    """A model that tells an image's class."""

    def classify(self, x: Tensor) -> Tensor:
        """Logits of the classes: (batch, PIXELS), binary or grey in [0, 1] -> (batch, CLASSES)."""


def draw_noise(model: Model, images: int, generator: torch.Generator) -> Noise:
    """The standard normal noise that a model asks for, from a generator, on its device."""
    shapes = model.noise(images).items()
    return {
        name: torch.randn(shape, device=generator.device, generator=generator)
        for name, shape in shapes
    }
