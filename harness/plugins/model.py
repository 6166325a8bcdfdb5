"""The contract of a model: a pure function from parameters, data and noise to named loss terms.

A model draws no random numbers and knows neither β nor the optimiser. So the same code trains one
seed or, stacked with `torch.func.vmap`, many. Images are binary vectors of `PIXELS` values. Noise
is standard normal; `torch.special.ndtr` turns it into uniform noise. Losses are in nats per
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
    """The data of one step.

    A model without labels gets zero labelled images, a "supervised" cell gets an empty `x`.
    """

    x: Tensor  # (batch, PIXELS), binary images as floats
    labelled: Tensor  # (labels, PIXELS), binary images as floats
    targets: Tensor  # (labels,), classes as int64


class Terms(NamedTuple):
    """The terms of the objective in nats per image: (batch,) or one number, None if absent.

    Training minimises the sum of the given terms, rec + β·kl + extra or nll + extra. A model with
    `rec` and `kl` has a bound, NELBO = rec + kl; one with `nll` has an exact likelihood. One with
    neither, such as a GAN, has no likelihood to compare.
    """

    rec: Tensor | None = None  # E_q[-log p(x|z)]
    kl: Tensor | None = None  # KL(q(z|x) || p(z)), or its estimate
    extra: Tensor | None = None  # anything else in the loss, such as a weighted cross-entropy
    nll: Tensor | None = None  # -log p(x), exact


class Model(nn.Module, ABC):
    """A generative model of binary images.

    The keyword arguments of the constructor, with their defaults, are the settings that a grid can
    sweep. A model that uses labels lists its `supervisions` and takes the cell's as the keyword
    `supervision`.
    """

    iterations: ClassVar[int] = 20_000  # steps of a full training; a grid may ask for fewer
    supervisions: ClassVar[tuple[Supervision, ...]] = ("none",)

    @abstractmethod
    def noise(self, batch: int) -> dict[str, Shape]:
        """Shapes by name of the standard normal noise for `batch` images.

        Training and sampling use the same shapes.
        """

    @abstractmethod
    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The terms of the objective; pure: the same arguments give the same terms."""

    def forward(self, batch: Batch, noise: Noise) -> Terms:
        """The objective, in the form that `torch.func.functional_call` calls."""
        return self.terms(batch, noise)

    @abstractmethod
    def sample(self, noise: Noise) -> Tensor:
        """The pixel probabilities of images from the prior: noise for n images -> (n, PIXELS)."""


@runtime_checkable
class ImportanceWeighted(Protocol):
    """A model whose bound importance weights can tighten (Burda et al. 2016)."""

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x, z) - log q(z|x) at one draw of z: (batch, PIXELS) -> (batch,), in nats."""


@runtime_checkable
class Reconstructing(Protocol):
    """A model that can reconstruct an image from its latent variables."""

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """The pixel probabilities E[x|z] at one draw of z from q(z|x).

        (batch, PIXELS) -> (batch, PIXELS)
        """


@runtime_checkable
class Encoding(Protocol):
    """A model whose q(z|x) is a diagonal Gaussian, for metrics of its latent variables."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z|x): (batch, PIXELS) -> (batch, latent) each."""


@runtime_checkable
class Classifier(Protocol):
    """A model that predicts the class of an image."""

    def classify(self, x: Tensor) -> Tensor:
        """The logits of the classes: (batch, PIXELS) -> (batch, CLASSES).

        The images are binary or grey levels in [0, 1].
        """


def draw_noise(model: Model, images: int, generator: torch.Generator) -> Noise:
    """The noise of a model for `images` images, from a generator and on its device."""
    shapes = model.noise(images).items()
    return {
        name: torch.randn(shape, device=generator.device, generator=generator)
        for name, shape in shapes
    }
