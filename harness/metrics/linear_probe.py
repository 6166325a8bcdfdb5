"""The metric `linear_probe`: how well a linear classifier tells the class from latent variables.

Source of the idea: Alain and Bengio, Understanding Intermediate Layers Using Linear Classifier
Probes, 2016. The probe is a multinomial logistic regression on standardised means of q(z|x), fitted
to all training images by L-BFGS, so nothing in it is random.
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.evaluation.inputs import MetricInputs
from harness.metrics.latents import encode_labelled, measure_accuracy
from harness.plugins.metric import register_metric
from harness.plugins.model import Encoding

PENALTY = 1e-4  # times half the squared weights, beside the mean cross-entropy
STEPS = 200  # of L-BFGS, at most


@register_metric(
    "linear_probe",
    unit="",
    better="higher",
    meaning="fraction of test images whose class a logistic regression on the means of q(z|x) "
    "tells",
    needs=(Encoding,),
    optional=True,
)
def score_linear_probe(inputs: MetricInputs) -> float:
    """Column linear_probe, a fraction."""
    train, classes, test, truth = encode_labelled(inputs)
    centre, scale = train.mean(0), train.std(0).clamp(min=1e-12)
    probe = fit_probe((train - centre) / scale, classes)
    return measure_accuracy((_add_one((test - centre) / scale) @ probe).argmax(1), truth)


def fit_probe(x: Tensor, classes: Tensor) -> Tensor:
    """The weights (d + 1, classes) of a logistic regression, the last row its biases.

    x (n, d) in float64, classes (n,); the biases are not penalised.
    """
    with torch.inference_mode(False), torch.enable_grad():
        inputs, targets = _add_one(x).clone(), classes.clone()
        weights = x.new_zeros(inputs.shape[1], int(targets.max()) + 1).clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [weights], max_iter=STEPS, tolerance_grad=1e-7, line_search_fn="strong_wolfe"
        )

        def evaluate() -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(inputs @ weights, targets)
            loss = loss + PENALTY / 2 * weights[:-1].square().sum()
            loss.backward()
            return loss

        optimizer.step(evaluate)
    return weights.detach()


def _add_one(x: Tensor) -> Tensor:
    """(n, d) -> (n, d + 1), a column of ones at the end."""
    return torch.cat([x, x.new_ones(len(x), 1)], 1)
