"""The metric `kd_judge`: the kernel distance (squared MMD) of samples in features of the judge.

Source: Bińkowski et al., Demystifying MMD GANs, 2018, with its kernel (x·y / d + 1)³, and the
unbiased estimate of Gretton et al. 2012, eq. 3. It is computed once from all images, not averaged
over blocks of them. The features are those of the digit classifier, so it is no KID.
"""

import torch
from torch import Tensor

from harness.evaluation.inputs import MetricInputs
from harness.evaluation.scored_images import CHUNK_SIZE
from harness.metrics.features.judge_features import compute_features
from harness.plugins.metric import ScoreGenerator, register_metric


@register_metric(
    "kd_judge",
    unit="",
    better="lower",
    meaning="unbiased squared MMD, cubic kernel, of samples and test images in features of the "
    "judge; may be below 0",
    optional=True,
)
@torch.inference_mode()
def score_kd_judge(inputs: MetricInputs) -> ScoreGenerator:
    """Column kd_judge."""
    features = yield from compute_features(inputs)
    return {"kd_judge": kernel_distance(features.real, features.fake)}


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """The unbiased estimate of the squared MMD of features (n, d) and (m, d), in float64.

    ValueError where one has fewer than two images.
    """
    n, m = len(a), len(b)
    if min(n, m) < 2:
        raise ValueError(f"{n} and {m} images; expected at least two each")
    a, b = a.double(), b.double()
    within_a = (_sum_kernel(a, a) - _sum_diagonal(a)) / (n * (n - 1))
    within_b = (_sum_kernel(b, b) - _sum_diagonal(b)) / (m * (m - 1))
    return within_a + within_b - 2 * _sum_kernel(a, b) / (n * m)


def _sum_kernel(a: Tensor, b: Tensor) -> float:
    """Σ k(a_i, b_j) over all pairs of features (n, d) and (m, d)."""
    sums = [((part @ b.T) / b.shape[1] + 1).pow(3).sum() for part in a.split(CHUNK_SIZE)]
    return float(torch.stack(sums).sum())


def _sum_diagonal(a: Tensor) -> float:
    """Σ k(a_i, a_i)."""
    return float((a.square().sum(1) / a.shape[1] + 1).pow(3).sum())
