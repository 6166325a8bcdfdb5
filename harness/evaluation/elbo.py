"""Scores of a trained model: the bound and its parts, IWAE bounds, accuracy, samples. Losses in nats an image, β = 1.

Two evaluation sets, never mixed: all test images, binarised once for all cells; and a listed subset, binarised once
with numpy's RandomState(0), each metric the mean of 100 single-sample repeats.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from harness.data.idx_sets import Data, binarise, scaled
from harness.experiment import seeding
from harness.experiment.seeding import Evaluation
from harness.plugins.model import Batch, Classifier, ImportanceWeighted, Model, Noise, Reconstructing, Terms, draw_noise
from harness.storage.schema import Estimator, estimator

CHUNK = 1000  # images at a time
IWAE_CHUNK = 100
DRAWS_AT_ONCE = 10
SUBSET_REPEATS = 100
REACH = 3.0  # standard deviations, of a traversal
KL_ROUNDING = 1e-3  # nats
Work = Generator[float, None, dict[str, Any]]  # yields the share of the work that is done, returns columns of a row


class BadScore(ValueError):
    """A score that no model can have on binary images; the message says which, and what was expected."""


class NotFinite(BadScore):
    """A score that is no number: the training has diverged."""

    def __init__(self, name: str):
        super().__init__(f"not finite after training: {name}")


def test_images(data: Data) -> Tensor:
    """The test images binarised once: the same draw for every cell and device; (n, PIXELS) floats 0 or 1."""
    return binarise(data.test_x.cpu(), seeding.evaluation("test binarisation")).to(data.test_x.device)


def subset_images(data: Data, indices: Sequence[int]) -> Tensor:
    """The listed test images, binarised once as the source report's code does; (n, PIXELS) floats 0 or 1."""
    grey = scaled(data.test_x[torch.tensor(indices, device=data.test_x.device)]).cpu().numpy()
    binary = np.random.RandomState(0).binomial(1, grey)
    return torch.from_numpy(binary).float().to(data.test_x.device)


@torch.inference_mode()
def bound(model: Model, x: Tensor) -> Work:
    """What a model says of log p(x) over the test images x (n, PIXELS), one sample of z an image.

    Columns: estimator, data_kind and, as far as the model has them, nelbo, kl, rec, nll, in nats an image.

    BadScore where a number is impossible for binary images: a NELBO below 0, or a KL below 0 by more than its noise.
    """
    chunks, found = x.split(CHUNK), []
    for index, images in enumerate(chunks):
        found.append(_terms(model, images, "test noise", index))
        yield (index + 1) / len(chunks)
    return _believed(found)


@torch.inference_mode()
def subset_bound(model: Model, x: Tensor) -> Work:
    """NELBO, KL and reconstruction over the listed images: the mean of 100 single-sample repeats."""
    found = []
    for index in range(SUBSET_REPEATS):
        found.append(_terms(model, x, "subset noise", index))
        yield (index + 1) / SUBSET_REPEATS
    values = _believed(found)
    return {name: values[name] for name in ("nelbo", "kl", "rec") if name in values}


@torch.inference_mode()
def iwae(model: ImportanceWeighted, x: Tensor, samples: Sequence[int], kept: dict[str, Tensor], name: str) -> Work:
    """-log (1/k) Σ p(x,z)/q(z|x), mean over the images x (n, PIXELS), for each k (Burda et al. 2015, eq. 8).

    The bounds of fewer draws use the first of the draws of the largest. `kept[name]` (k, images) holds the bounds of
    the images that are done; a scoring that is taken up goes on behind them.
    """
    done = kept.setdefault(name, torch.empty(len(samples), 0, dtype=torch.float64))
    for index, images in enumerate(x.split(IWAE_CHUNK)):
        if index * IWAE_CHUNK < done.shape[1]:
            continue
        log_w = _log_weights(model, images, index, max(samples)).double()
        bounds = [np.log(k) - log_w[:k].logsumexp(0).cpu() for k in samples]
        kept[name] = done = torch.cat([done, torch.stack(bounds)], 1)
        yield done.shape[1] / len(x)
    means = kept.pop(name).mean(1).tolist()
    return {f"iwae_{k}": _finite(f"iwae_{k}", mean) for k, mean in zip(samples, means, strict=True)}


@torch.inference_mode()
def accuracy(model: Model, data: Data) -> float | None:
    """Fraction of the grey test images that a classifier names right; None for other models."""
    return hits(model, scaled(data.test_x), data.test_y) if isinstance(model, Classifier) else None


@torch.inference_mode()
def classes(classifier: Classifier, x: Tensor) -> Tensor:
    """The class that a classifier gives each image: (n, PIXELS) -> (n,)."""
    return torch.cat([classifier.classify(images).argmax(-1) for images in x.split(CHUNK)])


def hits(classifier: Classifier, x: Tensor, y: Tensor) -> float:
    """Fraction of images x (n, PIXELS) whose class y (n,) is named right."""
    return float((classes(classifier, x) == y).sum()) / len(y)


@torch.inference_mode()
def samples(model: Model, count: int, device: torch.device) -> Generator[float, None, Tensor]:
    """Binary images from the prior, the same noise for every cell: returns (count, PIXELS), yields the share done."""
    images = []
    for index, size in enumerate(_sizes(count)):
        probabilities = model.sample(_noise(model, size, "samples", index, device)).cpu()
        images.append(torch.bernoulli(probabilities, generator=seeding.evaluation("pixels", index)))
        yield min(1.0, (index + 1) * CHUNK / count)
    return torch.cat(images).to(device)


@torch.inference_mode()
def reconstructions(model: Model, images: Tensor, rows: int, columns: int) -> Tensor | None:
    """Lines of images (n, PIXELS), each above the line of their reconstructions: (rows · columns, PIXELS) in [0, 1].

    None for a model that does not reconstruct.
    """
    if not isinstance(model, Reconstructing):
        return None
    x = images[: rows // 2 * columns]
    noise = _noise(model, len(x), "reconstructions", 0, x.device)
    lines = torch.stack([part.unflatten(0, (-1, columns)) for part in (x, model.reconstruct(x, noise))], 1)
    return lines.flatten(0, 2)


@torch.inference_mode()
def traversals(model: Model, rows: int, columns: int, device: torch.device) -> Tensor | None:
    """A line for each of the first latent dimensions, from -REACH to REACH with all others 0: (rows · columns, PIXELS).

    What is walked along is the noise (..., batch, latent) that `sample` takes. None for a model whose latent space has
    fewer dimensions than there are lines.
    """
    images = rows * columns
    noise = {name: torch.zeros(shape, device=device) for name, shape in model.noise(images).items()}
    walked = [part for part in noise.values() if part.ndim > 1 and part.shape[-2] == images and part.shape[-1] >= rows]
    if not walked:
        return None
    place = torch.arange(images, device=device)
    walked[0][..., place, place // columns] = torch.linspace(-REACH, REACH, columns, device=device)[place % columns]
    return model.sample(noise)


def _sizes(count: int) -> Iterator[int]:
    while count > 0:
        yield min(CHUNK, count)
        count -= CHUNK


def _noise(model: Model, images: int, purpose: Evaluation, index: int, device: torch.device) -> Noise:
    """The noise of an evaluation draw for so many images, on a device."""
    return _placed(draw_noise(model, images, seeding.evaluation(purpose, index)), device)


def _placed(noise: Noise, device: torch.device) -> Noise:
    return {name: draw.to(device) for name, draw in noise.items()}


def _terms(model: Model, x: Tensor, purpose: Evaluation, index: int) -> Terms:
    """A model's terms of unlabelled images x (batch, PIXELS), each part (batch,)."""
    unlabelled = Batch(x, x[:0], torch.empty(0, dtype=torch.long, device=x.device))
    terms = model.terms(unlabelled, _noise(model, len(x), purpose, index, x.device))
    return Terms(*(None if part is None else part.expand(len(x)) for part in terms))


def _believed(found: Sequence[Terms]) -> dict[str, Any]:
    """The columns that terms of chunks of images fill, where binary images allow them."""
    rec, kl, _, nll = (_joined(parts) for parts in zip(*found, strict=True))
    means = {name: float(part.mean()) for name, part in (("kl", kl), ("rec", rec)) if part is not None}
    kind: Estimator = "exact" if nll is not None else estimator(means.get("rec"), means.get("kl"))
    values: dict[str, Any] = {"estimator": kind, "data_kind": "binary"}
    if nll is not None:
        values["nll"] = _positive("nll", float(nll.mean()))
    elif kind == "exact":
        values |= {"nll": means["rec"]}
    if kind == "none" and means.get("rec") == means.get("kl") == 0:
        return values  # zeros that stand for nothing
    if rec is not None and kl is not None:
        _check_kl(kl)
        means = {"nelbo": _positive("nelbo", float((kl + rec).mean()))} | means
    return values | {name: _finite(name, mean) for name, mean in means.items()}


def _joined(parts: tuple[Tensor | None, ...]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    return torch.cat(given).double() if given else None


def _check_kl(kl: Tensor) -> None:
    """Refuse a KL (images,) whose mean is below 0 by more than four standard errors: it would be no divergence."""
    noise = 4 * float(kl.std()) / len(kl) ** 0.5
    if float(kl.mean()) < -noise - KL_ROUNDING:
        raise BadScore(f"kl is {float(kl.mean()):.6g} nats; expected a divergence, which is not below 0")


def _positive(name: str, mean: float) -> float:
    if mean < 0:
        raise BadScore(f"{name} is {mean:.6g} nats; expected at least 0, as images are binary")
    return _finite(name, mean)


def _finite(name: str, mean: float) -> float:
    if not math.isfinite(mean):
        raise NotFinite(name)
    return mean


def _log_weights(model: ImportanceWeighted, x: Tensor, chunk: int, draws: int) -> Tensor:
    """log w of each draw and image: (draws, images); x meets the encoder once for every DRAWS_AT_ONCE draws."""
    generator = seeding.evaluation("iwae noise", chunk)
    weights = []
    for first in range(0, draws, DRAWS_AT_ONCE):
        noise = _stacked_noise(model, len(x), min(DRAWS_AT_ONCE, draws - first), generator)
        weights.append(vmap(model.log_weight, in_dims=(None, 0))(x, _placed(noise, x.device)))
    return torch.cat(weights)


def _stacked_noise(model: object, images: int, draws: int, generator: torch.Generator) -> Noise:
    assert isinstance(model, Model)
    each = [draw_noise(model, images, generator) for _ in range(draws)]
    return {name: torch.stack([noise[name] for noise in each]) for name in each[0]}
