"""The metrics `fid` and `kid`: distances of samples and test images in features of Inception-v3.

FID: Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017, eq. 6, on the 2,048 features
of the last pooling. Its estimate is biased: it is too high, the more the fewer images, and the bias
differs between models (Chong and Forsyth, Effectively Unbiased FID and Inception Score and where to
find them, 2020). It is comparable only at the same numbers of samples and of test images, so the
column `fid_samples` says how many samples there were.

KID: Bińkowski et al., Demystifying MMD GANs, 2018, section 4: the squared MMD with the kernel
(x·y / d + 1)³, by the unbiased estimate of Gretton et al. 2012, eq. 3. It is computed once from all
images. The mean over blocks of 1,000, as often reported, estimates the same and scatters more.
"""

import torch

from harness.evaluation.inputs import MetricInputs
from harness.experiment.own_columns import OwnColumn
from harness.metrics.features.compared import scale_shares
from harness.metrics.features.frechet import frechet_distance
from harness.metrics.features.inception_features import compute_inception_features, has_features
from harness.metrics.features.inception_net import check_inception
from harness.metrics.features.kernel_distance import kernel_distance
from harness.plugins.metric import ScoreGenerator, register_metric

FEATURES_END, KID_END = 0.9, 0.95  # shares of the work that are done then, roughly


@register_metric(
    "inception",
    unit="",
    better="lower",
    columns={
        "fid": "Fréchet distance of samples and test images in Inception features; biased upwards, "
        "the more the fewer images (fid_samples)",
        "kid": "unbiased squared MMD, cubic kernel, of samples and test images in Inception "
        "features; may be below 0",
        "fid_samples": OwnColumn("images", None, "samples that fid and kid are computed from"),
    },
    optional=True,
    applies=has_features,
    label=lambda inputs: f"fid and kid, {inputs.shared.evaluation.samples:,} samples",
    check=check_inception,
)
@torch.inference_mode()
def score_inception(inputs: MetricInputs) -> ScoreGenerator:
    """Columns fid, kid and fid_samples; ValueError where there are fewer than two images."""
    real, fake = yield from scale_shares(compute_inception_features(inputs), FEATURES_END)
    kid = kernel_distance(real, fake)
    yield KID_END
    return {"fid": frechet_distance(real, fake), "kid": kid, "fid_samples": len(fake)}
