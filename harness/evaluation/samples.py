"""Samples from the prior, reconstructions and latent traversals."""

from collections.abc import Generator

import torch
from torch import Tensor

from harness.evaluation.scored_images import CHUNK_SIZE, chunk_sizes, draw_evaluation_noise
from harness.experiment import seeding
from harness.plugins.model import Model, Reconstructing

TRAVERSAL_SD = 3.0  # standard deviations, of a traversal


@torch.inference_mode()
def draw_samples(model: Model, count: int, device: torch.device) -> Generator[float, None, Tensor]:
    """Binary images from the prior, the same noise for every cell: returns (count, PIXELS), yields
    the share done.
    """
    images = []
    for index, size in enumerate(chunk_sizes(count)):
        probabilities = model.sample(
            draw_evaluation_noise(model, size, "samples", index, device)
        ).cpu()
        images.append(
            torch.bernoulli(probabilities, generator=seeding.evaluation_generator("pixels", index))
        )
        yield min(1.0, (index + 1) * CHUNK_SIZE / count)
    return torch.cat(images).to(device)


@torch.inference_mode()
def reconstruct_images(model: Model, images: Tensor, rows: int, columns: int) -> Tensor | None:
    """Lines of images (n, PIXELS), each above the line of their reconstructions: (rows · columns,
    PIXELS) in [0, 1].

    None for a model that does not reconstruct.
    """
    if not isinstance(model, Reconstructing):
        return None
    x = images[: rows // 2 * columns]
    noise = draw_evaluation_noise(model, len(x), "reconstructions", 0, x.device)
    lines = torch.stack(
        [part.unflatten(0, (-1, columns)) for part in (x, model.reconstruct(x, noise))], 1
    )
    return lines.flatten(0, 2)


@torch.inference_mode()
def traverse_latents(model: Model, rows: int, columns: int, device: torch.device) -> Tensor | None:
    """A line for each of the first latent dimensions, from -REACH to REACH with all others 0: (rows
    · columns, PIXELS).

    What is walked along is the noise (..., batch, latent) that `sample` takes. None for a model
    whose latent space has fewer dimensions than there are lines.
    """
    n_images = rows * columns
    noise = {
        name: torch.zeros(shape, device=device) for name, shape in model.noise(n_images).items()
    }
    latents = [
        part
        for part in noise.values()
        if part.ndim > 1 and part.shape[-2] == n_images and part.shape[-1] >= rows
    ]
    if not latents:
        return None
    position = torch.arange(n_images, device=device)
    latents[0][..., position, position // columns] = torch.linspace(
        -TRAVERSAL_SD, TRAVERSAL_SD, columns, device=device
    )[position % columns]
    return model.sample(noise)
