"""The metrics `iwae` and `subset iwae`: importance-weighted bounds, in nats per image.

Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016.
"""

from collections.abc import MutableMapping, Sequence

import numpy as np
import torch
from torch import Tensor

from harness.evaluation.checks import check_finite
from harness.evaluation.image_sampling import COLUMN, estimate_standard_error
from harness.evaluation.importance.weights import (
    BLOCK_IMAGES,
    compile_block,
    compute_log_weights,
    should_compile,
)
from harness.evaluation.inputs import MetricInputs
from harness.experiment import seeding
from harness.experiment.metrics import IWAE_SAMPLES, describe_iwae
from harness.experiment.options import Compile
from harness.experiment.own_columns import OwnColumn
from harness.plugins.metric import ScoreGenerator, register_metric
from harness.plugins.model import ImportanceWeighted, Model

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
    mode = inputs.shared.compile_mode
    values = yield from iwae(inputs.model, x, draws, inputs.unfinished, name, y, mode)
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
    mode: Compile = "auto",
) -> ScoreGenerator:
    """-log (1/k) Σ p(x,z)/q(z|x), the mean over images x (n, dimensions), for each k in `samples`.

    Burda et al. 2016, eq. 8. A bound of fewer draws uses the first draws of the largest one.
    unfinished[name]: (len(samples), images), the bounds of the images that are done; an interrupted
        computation continues after them
    The standard errors over the images stand beside the bounds.
    y: classes (n,), for models that use them, whose bound is one of log p(x|y)
    mode: whether to compile; "auto" means where that pays
    """
    assert isinstance(model, Model)
    done = unfinished.setdefault(name, torch.empty(len(samples), 0, dtype=torch.float64))
    classes = torch.zeros(len(x), dtype=torch.long, device=x.device) if y is None else y
    left, block = (len(x) - done.shape[1]) * max(samples), None
    if len(x) >= BLOCK_IMAGES and should_compile(model, left, mode, x.device):
        block = compile_block(model, x[:BLOCK_IMAGES], classes[:BLOCK_IMAGES])
    chunks = zip(x.split(BLOCK_IMAGES), classes.split(BLOCK_IMAGES), strict=True)
    for index, chunk in enumerate(chunks):
        if index * BLOCK_IMAGES < done.shape[1]:
            continue
        generator = seeding.evaluation_generator("iwae noise", index)
        log_w = compute_log_weights(model, chunk, max(samples), generator, block).double()
        bounds = [np.log(k) - log_w[:k].logsumexp(0).cpu() for k in samples]
        unfinished[name] = done = torch.cat([done, torch.stack(bounds)], 1)
        yield done.shape[1] / len(x)
    bounds_of = dict(zip((f"iwae_{k}" for k in samples), unfinished.pop(name), strict=True))
    means = {column: check_finite(column, float(each.mean())) for column, each in bounds_of.items()}
    errors = {column: estimate_standard_error(each) for column, each in bounds_of.items()}
    return means | {COLUMN: errors}
