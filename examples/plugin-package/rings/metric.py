"""How far samples are from the nearest circle of the data set `rings`."""

import torch

from harness.evaluation.inputs import MetricInputs
from harness.evaluation.scored_images import draw_evaluation_noise
from harness.plugins.metric import register_metric
from rings.dataset import RADII

SAMPLES = 2000


@register_metric(
    "radius_error",
    unit="",
    better="lower",
    meaning="mean distance of samples from the nearest circle, of the data set rings",
)
@torch.inference_mode()
def score_radius(inputs: MetricInputs) -> float | None:
    """Column radius_error; None for another data set."""
    if inputs.cell.dataset != "rings":
        return None
    device = inputs.shared.data.test_x.device
    noise = draw_evaluation_noise(inputs.model, SAMPLES, "samples", 0, device)
    radius = inputs.model.sample(noise).norm(dim=-1, keepdim=True)
    return float((radius - torch.tensor(RADII, device=device)).abs().amin(-1).mean())
