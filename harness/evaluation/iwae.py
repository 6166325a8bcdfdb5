"""The metrics `iwae` and `subset iwae`: importance-weighted bounds, in nats per image.

Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016.
"""

from collections.abc import MutableMapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from harness.evaluation.checks import check_finite
from harness.evaluation.image_sampling import COLUMN, estimate_standard_error
from harness.evaluation.inputs import MetricInputs
from harness.evaluation.scored_images import to_device
from harness.experiment import seeding
from harness.experiment.metrics import IWAE_SAMPLES, describe_iwae
from harness.experiment.own_columns import OwnColumn
from harness.plugins.metric import ScoreGenerator, register_metric
from harness.plugins.model import (
    ImportanceWeighted,
    Model,
    Noise,
    draw_noise,
    own_draws,
    weigh_images,
)

IWAE_CHUNK_SIZE = 100  # images at a time
DRAWS_PER_CALL = 10  # of z, at a time
TEST_BOUNDS = tuple(f"iwae_{k}" for k in IWAE_SAMPLES)  # those of other K are their own
TEST_COLUMNS = (*TEST_BOUNDS, COLUMN)
SUBSET_COLUMNS = (*(f"subset_{column}" for column in TEST_BOUNDS), COLUMN)


def _describe_test_bound(column: str) -> OwnColumn | None:
    return describe_iwae(column) if column.startswith("iwae_") else None


def _describe_subset_bound(column: str) -> OwnColumn | None:
    return describe_iwae(column) if column.startswith("subset_") else None


def _label(inputs: MetricInputs) -> str:
    return f"iwae {', '.join(map(str, inputs.shared.evaluation.iwae))}"


@register_metric(
    "iwae",
    unit="nats",
    better="lower",
    columns=TEST_COLUMNS,
    family=_describe_test_bound,
    order=4,
    applies=lambda inputs: any(map(_describe_test_bound, inputs.required_columns)),
    label=_label,
)
def score_iwae(inputs: MetricInputs) -> ScoreGenerator:
    """Columns iwae_K over the test images, for each number of draws K that is configured."""
    shared = inputs.shared
    return _score_bounds(inputs, inputs.test_images, shared.data.test_y, "")


@register_metric(
    "subset iwae",
    unit="nats",
    better="lower",
    columns=SUBSET_COLUMNS,
    family=_describe_subset_bound,
    order=6,
    applies=lambda inputs: any(map(_describe_subset_bound, inputs.required_columns)),
    label=lambda inputs: f"subset_{_label(inputs)}",
)
def score_subset_iwae(inputs: MetricInputs) -> ScoreGenerator:
    """Columns subset_iwae_K over the listed images."""
    shared = inputs.shared
    return _score_bounds(inputs, inputs.subset_images, shared.subset_classes, "subset_")


def _score_bounds(inputs: MetricInputs, x: Tensor, y: Tensor, prefix: str) -> ScoreGenerator:
    if not isinstance(inputs.model, ImportanceWeighted):
        return {}
    draws, name = inputs.shared.evaluation.iwae, prefix + _label(inputs)
    values = yield from iwae(inputs.model, x, draws, inputs.unfinished, name, y)
    errors = {prefix + column: error for column, error in values.pop(COLUMN).items()}
    return {prefix + column: value for column, value in values.items()} | {COLUMN: errors}


@torch.inference_mode()
def iwae(
    model: ImportanceWeighted,
    x: Tensor,
    samples: Sequence[int],
    unfinished: MutableMapping[str, Tensor],
    name: str,
    y: Tensor | None = None,
) -> ScoreGenerator:
    """-log (1/k) Σ p(x,z)/q(z|x), the mean over images x (n, dimensions), for each k in `samples`.

    Burda et al. 2016, eq. 8. A bound of fewer draws uses the first draws of the largest one.
    unfinished[name]: (len(samples), images), the bounds of the images that are done; an interrupted
        computation continues after them
    The standard errors over the images stand beside the bounds.
    y: classes (n,), for models that use them, whose bound is one of log p(x|y)
    """
    done = unfinished.setdefault(name, torch.empty(len(samples), 0, dtype=torch.float64))
    classes = torch.zeros(len(x), dtype=torch.long, device=x.device) if y is None else y
    chunks = zip(x.split(IWAE_CHUNK_SIZE), classes.split(IWAE_CHUNK_SIZE), strict=True)
    for index, chunk in enumerate(chunks):
        if index * IWAE_CHUNK_SIZE < done.shape[1]:
            continue
        log_w = _log_weights(model, chunk, index, max(samples)).double()
        bounds = [np.log(k) - log_w[:k].logsumexp(0).cpu() for k in samples]
        unfinished[name] = done = torch.cat([done, torch.stack(bounds)], 1)
        yield done.shape[1] / len(x)
    bounds_of = dict(zip((f"iwae_{k}" for k in samples), unfinished.pop(name), strict=True))
    means = {column: check_finite(column, float(each.mean())) for column, each in bounds_of.items()}
    errors = {column: estimate_standard_error(each) for column, each in bounds_of.items()}
    return means | {COLUMN: errors}


def _log_weights(
    model: ImportanceWeighted, chunk: tuple[Tensor, Tensor], index: int, draws: int
) -> Tensor:
    """log w of each draw and each of the images and classes of a chunk: (draws, images).

    The model encodes x once for every DRAWS_PER_CALL draws.
    """
    generator = seeding.evaluation_generator("iwae noise", index)
    x, y = chunk
    weights = []
    for first in range(0, draws, DRAWS_PER_CALL):
        noise = _draw_stacked_noise(model, len(x), min(DRAWS_PER_CALL, draws - first), generator)
        weights.append(_weigh_draws(model, x, y, to_device(noise, x.device), generator))
    return torch.cat(weights)


def _weigh_draws(
    model: ImportanceWeighted, x: Tensor, y: Tensor, noise: Noise, generator: torch.Generator
) -> Tensor:
    """log w of each of the stacked draws: (draws, images)."""
    assert isinstance(model, Model)
    if model.stackable:
        return vmap(lambda draw: weigh_images(model, x, draw, y))(noise)
    draws = len(next(iter(noise.values()))) if noise else DRAWS_PER_CALL
    with own_draws(int(torch.randint(2**62, (), generator=generator))):
        return torch.stack(
            [
                weigh_images(model, x, {k: v[draw] for k, v in noise.items()}, y)
                for draw in range(draws)
            ]
        )


def _draw_stacked_noise(
    model: object, n_images: int, draws: int, generator: torch.Generator
) -> Noise:
    assert isinstance(model, Model)
    draw_list = [draw_noise(model, n_images, generator) for _ in range(draws)]
    return {name: torch.stack([noise[name] for noise in draw_list]) for name in draw_list[0]}
