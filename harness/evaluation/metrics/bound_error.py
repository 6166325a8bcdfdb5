"""The metric `nelbo_se`: the standard error of `nelbo` over the test images, in nats."""

import torch
from torch import Tensor

from harness.evaluation.elbo import evaluate_terms
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
    chunks = inputs.shared.test_images.split(CHUNK_SIZE)
    bounds = []
    for index, images in enumerate(chunks):
        terms = evaluate_terms(inputs.model, images, "test noise", index)
        if terms.rec is None or terms.kl is None:
            return {"nelbo_se": None}
        bounds.append((terms.rec + terms.kl).double())
        yield (index + 1) / len(chunks)
    return {"nelbo_se": estimate_standard_error(torch.cat(bounds))}


def estimate_standard_error(values: Tensor) -> float | None:
    """SD / √n of values (n,), the SD with n - 1; None of fewer than two values."""
    return float(values.std()) / len(values) ** 0.5 if len(values) > 1 else None
