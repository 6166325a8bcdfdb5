"""Metrics that compare samples with test images in features: the judge's, or an Inception net's."""

from harness.metrics.features import fid_kid as fid_kid
from harness.metrics.features import frechet as frechet
from harness.metrics.features import kernel_distance as kernel_distance
from harness.metrics.features import manifolds as manifolds
