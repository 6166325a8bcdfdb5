"""The metric `active_units`: how many latent dimensions a model uses.

Source: Burda, Grosse and Salakhutdinov, Importance Weighted Autoencoders, 2016, section 5.2.
"""

import torch
from torch import Tensor

from harness.evaluation.inputs import MetricInputs
from harness.metrics.latents import encode_means
from harness.plugins.metric import register_metric
from harness.plugins.model import Encoding

THRESHOLD = 0.01


@register_metric(
    "active_units",
    unit="dimensions",
    better=None,
    meaning="latent dimensions whose mean over q varies over the test images by more than 0.01",
    needs=(Encoding,),
    optional=True,
)
@torch.inference_mode()
def score_active_units(inputs: MetricInputs) -> float:
    """Column active_units, over the binarised test images."""
    return float(count_active_units(encode_means(inputs, inputs.test_images)))


def count_active_units(means: Tensor) -> int:
    """Dimensions with Var_x E_q(z|x)[z] > 0.01; means of q(z|x) (images, latent)."""
    return int((means.var(0) > THRESHOLD).sum())
