"""The metric `class_accuracy`: whether samples of given classes look like these classes."""

import torch

from harness.evaluation.classification import predict_classes
from harness.evaluation.inputs import MetricInputs
from harness.evaluation.samples import draw_samples
from harness.plugins.metric import ScoreGenerator, register_metric
from harness.plugins.model import ConditionalSampling


@register_metric(
    "class_accuracy",
    unit="",
    better="higher",
    meaning="fraction of samples of given classes that the classifier takes for these classes; "
    "each class has equally many",
    needs=(ConditionalSampling,),
    optional=True,
)
def score_class_accuracy(inputs: MetricInputs) -> ScoreGenerator:
    """Column class_accuracy, a fraction of the samples in which classes are counted.

    ValueError for data without classes.
    """
    shared = inputs.shared
    if shared.digit_classifier is None:
        raise ValueError(f"data set '{shared.data.name}' has no classes; expected classes")
    count = shared.evaluation.samples
    classes = torch.arange(count, device=shared.data.device) % shared.data.spec.classes
    images = yield from draw_samples(inputs.model, count, shared.data, classes)
    predicted = predict_classes(shared.digit_classifier.net, images)
    return {"class_accuracy": float((predicted == classes).double().mean())}
