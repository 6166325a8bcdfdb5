"""Scores of a trained model: the bound and its parts, IWAE bounds, accuracy, samples. Losses in nats an image, β = 1.

Two evaluation sets, never mixed: all test images, binarised once for all cells; and a listed subset, binarised once
with numpy's RandomState(0), each metric the mean of 100 single-sample repeats.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from harness import seeding
from harness.contract import Batch, Classifier, ImportanceWeighted, Model, Noise, Reconstructing, draw_noise
from harness.data import Data, binarise, scaled
from harness.seeding import Evaluation

CHUNK = 1000  # images at a time
IWAE_CHUNK = 100
DRAWS_AT_ONCE = 10
SUBSET_REPEATS = 100
REACH = 3.0  # standard deviations, of a traversal
Scores = dict[str, float]


def test_images(data: Data) -> Tensor:
    """The test images binarised once: the same draw for every cell and device; (n, PIXELS) floats 0 or 1."""
    return binarise(data.test_x.cpu(), seeding.evaluation("test binarisation")).to(data.test_x.device)


def subset_images(data: Data, indices: Sequence[int]) -> Tensor:
    """The listed test images, binarised once as the source report's code does; (n, PIXELS) floats 0 or 1."""
    grey = scaled(data.test_x[torch.tensor(indices, device=data.test_x.device)]).cpu().numpy()
    binary = np.random.RandomState(0).binomial(1, grey)
    return torch.from_numpy(binary).float().to(data.test_x.device)


@torch.inference_mode()
def bound(model: Model, data: Data) -> Scores:
    """NELBO, KL and reconstruction over the test images, one sample of z an image."""
    chunks = enumerate(test_images(data).split(CHUNK))
    return _parts([_terms(model, x, "test noise", index) for index, x in chunks])


@torch.inference_mode()
def subset_bound(model: Model, data: Data, indices: Sequence[int]) -> Scores:
    """NELBO, KL and reconstruction over the listed images: the mean of 100 single-sample repeats."""
    x = subset_images(data, indices)
    repeats = range(SUBSET_REPEATS)
    return _parts([_terms(model, x, "subset noise", index) for index in repeats])


@torch.inference_mode()
def iwae(model: Model, x: Tensor, samples: Sequence[int]) -> Scores:
    """-log (1/k) Σ p(x,z)/q(z|x), mean over the images x (n, PIXELS), for each k (Burda et al. 2015, eq. 8).

    The bounds of fewer draws use the first of the draws of the largest. Empty for a model without importance weights.
    """
    if not isinstance(model, ImportanceWeighted) or not samples:
        return {}
    weights = [_log_weights(model, chunk, index, max(samples)) for index, chunk in enumerate(x.split(IWAE_CHUNK))]
    log_w = torch.cat(weights, 1).double()
    return {f"iwae_{k}": -float((log_w[:k].logsumexp(0) - np.log(k)).mean()) for k in samples}


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
def samples(model: Model, count: int, device: torch.device) -> Tensor:
    """Binary images from the prior, the same noise for every cell: (count, PIXELS)."""
    images = []
    for index, size in enumerate(_sizes(count)):
        probabilities = model.sample(_noise(model, size, "samples", index, device)).cpu()
        images.append(torch.bernoulli(probabilities, generator=seeding.evaluation("pixels", index)))
    return torch.cat(images).to(device)


@torch.inference_mode()
def reconstructions(model: Model, data: Data, rows: int, columns: int) -> Tensor | None:
    """Lines of test images, each above the line of their reconstructions: (rows · columns, PIXELS) in [0, 1].

    None for a model that does not reconstruct.
    """
    if not isinstance(model, Reconstructing):
        return None
    x = test_images(data)[: rows // 2 * columns]
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


def _terms(model: Model, x: Tensor, purpose: Evaluation, index: int) -> Tensor:
    """KL and reconstruction of each image: (2, batch)."""
    unlabelled = Batch(x, x[:0], torch.empty(0, dtype=torch.long, device=x.device))
    terms = model.terms(unlabelled, _noise(model, len(x), purpose, index, x.device))
    return torch.stack([terms.kl, terms.rec])


def _parts(terms: list[Tensor]) -> Scores:
    kl, rec = torch.cat(terms, 1).double()
    return {"nelbo": float((kl + rec).mean()), "kl": float(kl.mean()), "rec": float(rec.mean())}


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
