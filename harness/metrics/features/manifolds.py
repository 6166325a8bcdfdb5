"""The metrics `precision`, `recall`, `density` and `coverage` of samples, in features of the judge.

Precision and recall: Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing
Generative Models, 2019, eq. 1 and 2. Density and coverage: Naeem et al., Reliable Fidelity and
Diversity Metrics for Generative Models, 2020, eq. 3 and 4. The ball of an image reaches to its k-th
nearest neighbour among its own kind, and k is 5 for all four, as in the second paper.
"""

import torch
from torch import Tensor

from harness.evaluation.inputs import MetricInputs
from harness.metrics.features.judge_features import compute_features
from harness.metrics.neighbours import CHUNK_SIZE, neighbour_radii, squared_distances
from harness.plugins.metric import ScoreGenerator, register_metric

NEIGHBOURS = 5


@register_metric(
    "manifolds",
    unit="",
    better="higher",
    columns={
        "precision": "share of samples within a ball of a test image, 5 neighbours, judge features",
        "recall": "share of test images within a ball of a sample, 5 neighbours, judge features",
        "density": "balls of test images around a sample / 5, mean; above 1 where they are dense",
        "coverage": "share of test images whose ball holds a sample, 5 neighbours, judge features",
    },
    optional=True,
)
@torch.inference_mode()
def score_manifolds(inputs: MetricInputs) -> ScoreGenerator:
    """Columns precision, recall, density and coverage."""
    real, fake = yield from compute_features(inputs)
    return compare_manifolds(real, fake, NEIGHBOURS)


def compare_manifolds(real: Tensor, fake: Tensor, k: int) -> dict[str, float]:
    """Precision, recall, density and coverage of features (n, d) and (m, d).

    ValueError where there are too few for k neighbours.
    """
    real_radii, fake_radii = neighbour_radii(real, k), neighbour_radii(fake, k)
    balls = torch.zeros(len(fake), device=fake.device)  # those that hold each sample
    recalled, covered = 0, 0
    for part, radii in zip(real.split(CHUNK_SIZE), real_radii.split(CHUNK_SIZE), strict=True):
        distances = squared_distances(part, fake)
        inside = distances <= radii[:, None]
        balls += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((distances <= fake_radii).any(1).sum())
    return {
        "precision": float((balls > 0).double().mean()),
        "recall": recalled / len(real),
        "density": float(balls.double().mean()) / k,
        "coverage": covered / len(real),
    }
