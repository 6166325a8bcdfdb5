"""The metric `samples`: which digits a model samples; and its pictures.

Pictures are samples from the prior, reconstructions and latent traversals.
"""

from collections.abc import Generator

import torch
from torch import Tensor

from harness.evaluation.image_grid import SHEET_COLUMNS, SHEET_ROWS, render_sheet
from harness.evaluation.inputs import MetricInputs
from harness.evaluation.scored_images import CHUNK_SIZE, chunk_sizes, draw_evaluation_noise
from harness.experiment import seeding
from harness.plugins.dataset import Data
from harness.plugins.metric import ScoreGenerator, register_metric
from harness.plugins.model import (
    ConditionalSampling,
    Model,
    Reconstructing,
    own_draws_of,
    reconstruct_means,
)
from harness.storage.layout import picture_key

TRAVERSAL_SD = 3.0  # a traversal goes from -3 to 3 standard deviations


DIGIT_COLUMNS = ("digit_counts", "digit_counts_200", "judge_accuracy", "judge_accuracy_binary")


@register_metric(
    "samples",
    unit="images",
    better=None,
    columns=DIGIT_COLUMNS,
    order=2,
    label=lambda inputs: f"{inputs.shared.evaluation.samples:,} samples",
)
def score_samples(inputs: MetricInputs) -> ScoreGenerator:
    """Columns digit_counts and digit_counts_200, (classes,) each, and the classifier's accuracy.

    They are empty for data without classes. The first 200 samples are written to the store as a
    picture, if they are images.
    """
    shared, classifier = inputs.shared, inputs.shared.digit_classifier
    images = yield from draw_samples(inputs.model, shared.evaluation.samples, shared.data)
    sheet = images[: SHEET_ROWS * SHEET_COLUMNS]
    if shared.data.spec.is_image:
        key = picture_key("samples", inputs.cell.id)
        shared.store.write(key, render_sheet(sheet, shared.data.spec))
    if classifier is None:
        return {}
    return {
        "digit_counts": classifier.count_digits(images),
        "digit_counts_200": classifier.count_digits(sheet),
        "judge_accuracy": classifier.accuracy,
        "judge_accuracy_binary": classifier.accuracy_binary,
    }


def _shows_images(inputs: MetricInputs) -> bool:
    return bool(inputs.cell.has_bound and inputs.shared.data.spec.is_image)


@register_metric("pictures", unit="", better=None, columns=(), order=3, applies=_shows_images)
def write_pictures(inputs: MetricInputs) -> ScoreGenerator:
    """No columns: write reconstructions and traversals to the store, where a model has any."""
    shared, size = inputs.shared, (SHEET_ROWS, SHEET_COLUMNS)
    reconstructions = reconstruct_images(
        inputs.model, inputs.test_images, *size, shared.data.test_y
    )
    yield 0.5
    dimensions = shared.data.spec.dimensions
    traversals = traverse_latents(inputs.model, dimensions, *size, shared.data.device)
    if reconstructions is not None:
        key = picture_key("reconstructions", inputs.cell.id)
        shared.store.write(key, render_sheet(reconstructions, shared.data.spec))
    if traversals is not None:
        key = picture_key("traversals", inputs.cell.id)
        shared.store.write(key, render_sheet(traversals, shared.data.spec))
    return {}


@torch.inference_mode()
def draw_samples(
    model: Model, count: int, data: Data, classes: Tensor | None = None
) -> Generator[float, None, Tensor]:
    """Images from the prior, with the same noise for every cell; binary ones are drawn.

    classes: (count,) of the images, for a model that can sample given classes

    Yields the share that is done and returns (count, dimensions).
    """
    device, images = data.device, []
    for index, size in enumerate(chunk_sizes(count)):
        noise = draw_evaluation_noise(model, size, "samples", index, device)
        with own_draws_of(model, seeding.derive(seeding.EVALUATION_SEED, "samples", index)):
            if classes is None:
                sampled = model.sample(noise).cpu()
            else:
                assert isinstance(model, ConditionalSampling)
                start = index * CHUNK_SIZE
                sampled = model.sample_classes(noise, classes[start : start + size]).cpu()
        if data.spec.kind == "binary":
            generator = seeding.evaluation_generator("pixels", index)
            sampled = torch.bernoulli(sampled, generator=generator)
        images.append(sampled)
        yield min(1.0, (index + 1) * CHUNK_SIZE / count)
    return torch.cat(images).to(device)


@torch.inference_mode()
def reconstruct_images(
    model: Model, images: Tensor, rows: int, columns: int, classes: Tensor | None = None
) -> Tensor | None:
    """Lines of images, each above the line of their reconstructions.

    images (n, dimensions) -> (rows · columns, dimensions) in [0, 1], fewer of fewer images; None
    for a model that cannot reconstruct, and for less than a line of images.

    classes: (n,), for models that use them
    """
    full_lines = min(rows // 2, len(images) // columns)
    if not isinstance(model, Reconstructing) or full_lines == 0:
        return None
    x = images[: full_lines * columns]
    y = torch.zeros(len(x), dtype=torch.long, device=x.device) if classes is None else classes
    noise = draw_evaluation_noise(model, len(x), "reconstructions", 0, x.device)
    with own_draws_of(model, seeding.derive(seeding.EVALUATION_SEED, "reconstructions", 0)):
        reconstructed = reconstruct_means(model, x, noise, y[: len(x)])
    lines = torch.stack([part.unflatten(0, (-1, columns)) for part in (x, reconstructed)], 1)
    return lines.flatten(0, 2)


@torch.inference_mode()
def traverse_latents(
    model: Model, dimensions: int, rows: int, columns: int, device: torch.device
) -> Tensor | None:
    """One line for each of the first latent dimensions: (rows · columns, dimensions).

    Along a line one dimension goes from -TRAVERSAL_SD to TRAVERSAL_SD and all others are 0. The
    dimensions are those of the noise (..., batch, latent) that `sample` takes. None for a model
    whose latent space has fewer dimensions than there are lines, or that draws every pixel from
    noise of its own, as autoregressive models do. dimensions: those of an image
    """
    n_images = rows * columns
    noise = {
        name: torch.zeros(shape, device=device) for name, shape in model.noise(n_images).items()
    }
    latents = [
        part
        for part in noise.values()
        if part.ndim > 1 and part.shape[-2] == n_images and rows <= part.shape[-1] != dimensions
    ]
    if not latents:
        return None
    position = torch.arange(n_images, device=device)
    latents[0][..., position, position // columns] = torch.linspace(
        -TRAVERSAL_SD, TRAVERSAL_SD, columns, device=device
    )[position % columns]
    return model.sample(noise)
