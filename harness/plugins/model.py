"""The contract of a model: a pure function from parameters, data and noise to named loss terms.

A model draws no random numbers and knows neither β nor the optimiser. So the same code trains one
seed or, stacked with `torch.func.vmap`, many. A model that cannot be stacked says so (`stackable`)
and may do both. The constructor may take `data`, a `harness.plugins.dataset.DataSpec`. Images are
vectors of `data.dimensions` values: 0 or 1, levels in [0, 1], or any floats, as `data.kind` says;
`x.unflatten(-1, data.shape)` gives them their shape. Noise is standard normal;
`torch.special.ndtr` turns it into uniform noise. Losses are in nats per image.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from harness.experiment.cell import Supervision

PIXELS = 784  # of the data sets in MNIST's format; other data sets have `data.dimensions`
CLASSES = 10
Shape = tuple[int, ...]
Noise = dict[str, Tensor]


class _Images(NamedTuple):
    x: Tensor
    labelled: Tensor
    targets: Tensor


class Batch(_Images):
    """The data of one step: a tuple of three tensors, and up to three more as attributes.

    x: (batch, dimensions), floats; empty for a "supervised" cell
    labelled: (labels, dimensions), floats; none for a model without labels
    targets: (labels,), classes as int64
    y: (batch,), classes of x as int64, -1 where the cell does not know them; for models with
        `uses_classes`, else None
    step, total: steps taken before this one, and steps of the whole training, one float each; for
        models with `uses_progress`, else None
    """

    y: Tensor | None
    step: Tensor | None
    total: Tensor | None

    def __new__(
        cls,
        x: Tensor,
        labelled: Tensor,
        targets: Tensor,
        y: Tensor | None = None,
        step: Tensor | None = None,
        total: Tensor | None = None,
    ) -> Self:
        """A batch; what the model does not ask for is None."""
        batch = super().__new__(cls, x, labelled, targets)
        batch.y, batch.step, batch.total = y, step, total
        return batch

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name, without those that the model did not ask for."""
        requested = {"y": self.y, "step": self.step, "total": self.total}
        return self._asdict() | {name: part for name, part in requested.items() if part is not None}


NO_TERMS: Mapping[str, Tensor] = MappingProxyType({})


class Terms(NamedTuple):
    """The terms of the objective in nats per image: (batch,) or one number, None if absent.

    Training minimises the weighted sum of the given terms, rec + β·kl + extra + Σ w·further, or
    nll + extra + Σ w·further; or `loss` alone, where a model follows something else than its
    bound. The weights w are 1, or the grid's key `term_weights`. A model with `rec` and `kl` has a
    bound, NELBO = rec + kl; one with `nll` has an exact likelihood. One with neither, such as a
    GAN, has no likelihood to compare.
    """

    rec: Tensor | None = None  # E_q[-log p(x|z)]
    kl: Tensor | None = None  # KL(q(z|x) || p(z)), or its estimate
    extra: Tensor | None = None  # anything else in the loss, such as a weighted cross-entropy
    nll: Tensor | None = None  # -log p(x), exact
    loss: Tensor | None = None  # what training minimises instead of the sum
    further: Mapping[str, Tensor] = NO_TERMS  # other terms by name, each with a weight of its own

    def tensors(self) -> dict[str, Tensor]:
        """The terms that the model gives, by name."""
        own = {"rec": self.rec, "kl": self.kl, "extra": self.extra, "nll": self.nll}
        own["loss"] = self.loss
        return {name: part for name, part in own.items() if part is not None} | dict(self.further)


class Model(nn.Module, ABC):
    """A generative model.

    The keyword arguments of the constructor, with their defaults, are the settings that a grid can
    sweep. `data` is none of them: a constructor that has it gets the description of the data set; a
    model without it works with images of 784 binary values alone. A model that uses labels lists
    its `supervisions` and takes the cell's as the keyword `supervision`.
    """

    iterations: ClassVar[int] = 20_000  # steps of a full training; a grid may ask for fewer
    supervisions: ClassVar[tuple[Supervision, ...]] = ("none",)
    # settings that were added after cells had been trained; the ids of those stay valid
    added_settings: ClassVar[tuple[str, ...]] = ()
    # False trains cell by cell without torch.func.vmap, in which case `terms` may draw random
    # numbers (seeded for every step), look at values and use any operation of torch
    stackable: ClassVar[bool] = True
    # whether `terms` needs `Batch.y`, in scoring too; `log_weight` and `reconstruct` then get the
    # classes as a third argument, if they take one called `y`
    uses_classes: ClassVar[bool] = False
    uses_progress: ClassVar[bool] = False  # whether `terms` needs `Batch.step` and `Batch.total`

    @abstractmethod
    def noise(self, batch: int) -> dict[str, Shape]:
        """Shapes by name of the standard normal noise for `batch` images.

        A model may ask for other noise in scoring and sampling, where `self.training` is False.
        """

    @abstractmethod
    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The terms of the objective; pure: the same arguments give the same terms."""

    def forward(self, batch: Batch, noise: Noise) -> Terms:
        """The objective, in the form that `torch.func.functional_call` calls."""
        return self.terms(batch, noise)

    @abstractmethod
    def sample(self, noise: Noise) -> Tensor:
        """Images from the prior: noise for n images -> (n, dimensions).

        For binary data they are the probabilities of pixels, from which the harness draws.
        """


@runtime_checkable
class ImportanceWeighted(Protocol):
    """A model whose bound importance weights can tighten (Burda et al. 2016).

    With `uses_classes` it may be `log_weight(self, x, noise, y)` for log p(x, z|y) - log q(z|x, y),
    y (batch,).
    """

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        """log p(x, z) - log q(z|x) at one draw of z: (batch, dimensions) -> (batch,), in nats."""


@runtime_checkable
class Reconstructing(Protocol):
    """A model that can reconstruct an image from its latent variables.

    With `uses_classes` it may be `reconstruct(self, x, noise, y)`, y (batch,).
    """

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        """The means E[x|z] at one draw of z from q(z|x).

        (batch, dimensions) -> (batch, dimensions)
        """


@runtime_checkable
class ConditionalSampling(Protocol):
    """A model that can sample images of given classes, x ~ p(x|y)."""

    def sample_classes(self, noise: Noise, y: Tensor) -> Tensor:
        """Images of classes y (n,), from noise for n images, as of `sample`: (n, dimensions)."""


@runtime_checkable
class Encoding(Protocol):
    """A model whose q(z|x) is a diagonal Gaussian, for metrics of its latent variables."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(z|x): (batch, PIXELS) -> (batch, latent) each."""


@runtime_checkable
class Classifier(Protocol):
    """A model that predicts the class of an image."""

    def classify(self, x: Tensor) -> Tensor:
        """The logits of the classes: (batch, dimensions) -> (batch, classes).

        The images are binary, or grey levels in [0, 1].
        """


class TrainingImages(ABC):
    """The images that a cell is trained on; `count` is their number."""

    count: int

    @abstractmethod
    def draw(self, images: int) -> Tensor:
        """Images as `terms` sees them, others in every call: (images, dimensions), on the CPU."""


@runtime_checkable
class StartsFromData(Protocol):
    """A model that sets parameters or buffers from training images, before its first step.

    The cell's seed decides the images and the state of torch's generator, from which the method
    may draw. It is called without gradients, on the CPU. What it sets keeps its shape.
    """

    def start_from_data(self, images: TrainingImages) -> None:
        """Set parameters or buffers; attributes of another kind would be lost."""


def draw_noise(model: Model, images: int, generator: torch.Generator) -> Noise:
    """The noise of a model for `images` images, from a generator and on its device."""
    shapes = model.noise(images).items()
    return {
        name: torch.randn(shape, device=generator.device, generator=generator)
        for name, shape in shapes
    }


def sees_dequantised(model: Model) -> bool:
    """Whether a model sees ordinal data dequantised: its attribute `likelihood` says so.

    That likelihood is a density, of values that are spread evenly over the interval of a level.
    """
    return bool(getattr(getattr(model, "likelihood", None), "dequantises", False))


def scored_batch(model: Model, x: Tensor, y: Tensor) -> Batch:
    """Images x (batch, dimensions) of classes y (batch,) without labelled ones, as in scoring.

    The model gets the classes and the progress of a finished training, if it asks for them.
    """
    done = torch.ones((), device=x.device) if model.uses_progress else None
    none = torch.empty(0, dtype=torch.long, device=x.device)
    return Batch(x, x[:0], none, y if model.uses_classes else None, done, done)


def weigh_images(model: ImportanceWeighted, x: Tensor, noise: Noise, y: Tensor) -> Tensor:
    """`log_weight` of images x of classes y (batch,), which only a model that takes them gets."""
    return _call_with_classes(model, model.log_weight, x, noise, y)


def reconstruct_means(model: Reconstructing, x: Tensor, noise: Noise, y: Tensor) -> Tensor:
    """`reconstruct` of images x of classes y (batch,), which only a model that takes them gets."""
    return _call_with_classes(model, model.reconstruct, x, noise, y)


def _call_with_classes(
    model: object, method: Callable[..., Tensor], x: Tensor, noise: Noise, y: Tensor
) -> Tensor:
    takes_classes = (
        isinstance(model, Model)
        and model.uses_classes
        and "y" in inspect.signature(method).parameters
    )
    return method(x, noise, y=y) if takes_classes else method(x, noise)


@contextmanager
def own_draws(seed: int) -> Iterator[None]:
    """Let code inside this block draw from torch's generator, which starts at a seed.

    The generator's state is restored afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def own_draws_of(model: Model, seed: int) -> AbstractContextManager[None]:
    """`own_draws` for a model that may draw; nothing for one that is stackable."""
    return nullcontext() if model.stackable else own_draws(seed)
