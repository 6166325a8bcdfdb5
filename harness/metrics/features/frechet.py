"""The metric `fd_judge`: the Fréchet distance of Gaussians fitted to features of the judge.

Source of the distance: Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017, eq. 6;
Dowson and Landau 1982. The features are those of the digit classifier, so it is no FID.
"""

import torch
from torch import Tensor

from harness.evaluation.inputs import MetricInputs
from harness.metrics.features.judge_features import compute_features
from harness.plugins.metric import ScoreGenerator, register_metric


@register_metric(
    "fd_judge",
    unit="",
    better="lower",
    meaning="Fréchet distance of samples and test images in features of the judge",
    optional=True,
)
@torch.inference_mode()
def score_fd_judge(inputs: MetricInputs) -> ScoreGenerator:
    """Column fd_judge."""
    features = yield from compute_features(inputs)
    return {"fd_judge": frechet_distance(features.real, features.fake)}


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """|μ_a - μ_b|² + tr(C_a + C_b - 2 (C_a C_b)^½) of features (n, d) and (m, d), in float64.

    The trace of (C_a C_b)^½ is that of (C_a^½ C_b C_a^½)^½, which is symmetric: its eigenvalues are
    real, and those that rounding made negative are 0.
    """
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    product = torch.linalg.eigvalsh(root @ cov_b @ root)
    traces = cov_a.trace() + cov_b.trace() - 2 * product.clamp(min=0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + traces)
