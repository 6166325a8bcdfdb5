"""The metrics `nelbo_se`, its standard error over the test images, and `bits_per_dimension`."""

import math

import torch

from harness.evaluation.elbo import elbo, evaluate_terms
from harness.evaluation.image_sampling import estimate_standard_error
from harness.evaluation.inputs import MetricInputs
from harness.evaluation.scored_images import CHUNK_SIZE
from harness.plugins.metric import ScoreGenerator, register_metric


@register_metric(
    "nelbo_se",
    unit="nats",
    better=None,
    meaning="standard error of nelbo over the test images, one sample of z each",
    optional=True,
)
@torch.inference_mode()
def score_nelbo_se(inputs: MetricInputs) -> ScoreGenerator:
    """Column nelbo_se, from the same noise as `nelbo`; None for a model without a bound."""
    shared, bounds = inputs.shared, []
    chunks = inputs.test_images.split(CHUNK_SIZE), shared.data.test_y.split(CHUNK_SIZE)
    for index, (images, classes) in enumerate(zip(*chunks, strict=True)):
        terms = evaluate_terms(inputs.model, images, classes, "test noise", index)
        if terms.rec is None or terms.kl is None:
            return {"nelbo_se": None}
        bounds.append((terms.rec + terms.kl).double())
        yield (index + 1) / len(chunks[0])
    return {"nelbo_se": estimate_standard_error(torch.cat(bounds))}


@register_metric(
    "bits_per_dimension",
    unit="bits",
    better="lower",
    meaning="nll or nelbo of ordinal or binary data, in bits for each value of an image",
    optional=True,
)
@torch.inference_mode()
def score_bits_per_dimension(inputs: MetricInputs) -> ScoreGenerator:
    """Column bits_per_dimension: nats / (dimensions · ln 2); None for continuous data.

    For these a bound is of a density, whose value depends on the unit of the data. A density of
    dequantised levels is one of a level, so its bits are at least those of the levels themselves.
    """
    spec = inputs.shared.data.spec
    if spec.kind == "continuous":
        return {"bits_per_dimension": None}
    shared = inputs.shared
    values = yield from elbo(inputs.model, inputs.test_images, shared.data.test_y, spec)
    nats = values.get("nll", values.get("nelbo"))
    bits = None if nats is None else nats / (spec.dimensions * math.log(2))
    return {"bits_per_dimension": bits}
