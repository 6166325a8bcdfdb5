"""Importance-weighted bounds (Burda, Grosse and Salakhutdinov 2016), in nats an image."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from harness.evaluation.checks import check_finite
from harness.evaluation.scored_images import ScoreGenerator, to_device
from harness.experiment import seeding
from harness.plugins.model import ImportanceWeighted, Model, Noise, draw_noise

IWAE_CHUNK_SIZE = 100

DRAWS_PER_CALL = 10


@torch.inference_mode()
def iwae(
    model: ImportanceWeighted,
    x: Tensor,
    samples: Sequence[int],
    unfinished: dict[str, Tensor],
    name: str,
) -> ScoreGenerator:
    """-log (1/k) Σ p(x,z)/q(z|x), mean over the images x (n, PIXELS), for each k (Burda et al.
    2015, eq. 8).

    The bounds of fewer draws use the first of the draws of the largest. `kept[name]` (k, images)
    holds the bounds of the images that are done; a scoring that is taken up goes on behind them.
    """
    done = unfinished.setdefault(name, torch.empty(len(samples), 0, dtype=torch.float64))
    for index, images in enumerate(x.split(IWAE_CHUNK_SIZE)):
        if index * IWAE_CHUNK_SIZE < done.shape[1]:
            continue
        log_w = _log_weights(model, images, index, max(samples)).double()
        bounds = [np.log(k) - log_w[:k].logsumexp(0).cpu() for k in samples]
        unfinished[name] = done = torch.cat([done, torch.stack(bounds)], 1)
        yield done.shape[1] / len(x)
    means = unfinished.pop(name).mean(1).tolist()
    return {
        f"iwae_{k}": check_finite(f"iwae_{k}", mean) for k, mean in zip(samples, means, strict=True)
    }


def _log_weights(model: ImportanceWeighted, x: Tensor, chunk: int, draws: int) -> Tensor:
    """log w of each draw and image: (draws, images); x meets the encoder once for every
    DRAWS_AT_ONCE draws.
    """
    generator = seeding.evaluation_generator("iwae noise", chunk)
    weights = []
    for first in range(0, draws, DRAWS_PER_CALL):
        noise = _draw_stacked_noise(model, len(x), min(DRAWS_PER_CALL, draws - first), generator)
        weights.append(vmap(model.log_weight, in_dims=(None, 0))(x, to_device(noise, x.device)))
    return torch.cat(weights)


def _draw_stacked_noise(
    model: object, n_images: int, draws: int, generator: torch.Generator
) -> Noise:
    assert isinstance(model, Model)
    draw_list = [draw_noise(model, n_images, generator) for _ in range(draws)]
    return {name: torch.stack([noise[name] for noise in draw_list]) for name in draw_list[0]}
