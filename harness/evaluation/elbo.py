"""The metrics `elbo` and `subset elbo`: the evidence lower bound and its parts, in nats per image.

The bound is at β = 1. There are two evaluation sets, which are never mixed: all test images, with
one sample of z each; and the listed subset, with the mean of 100 repeats of one sample each.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.evaluation.checks import check_finite, check_kl, check_not_negative
from harness.evaluation.image_sampling import COLUMN, estimate_standard_error
from harness.evaluation.inputs import MetricInputs
from harness.evaluation.scored_images import CHUNK_SIZE, draw_evaluation_noise
from harness.experiment import seeding
from harness.experiment.seeding import EvaluationPurpose
from harness.plugins.dataset import MNIST_SPEC, DataSpec
from harness.plugins.metric import ScoreGenerator, register_metric
from harness.plugins.model import Model, own_draws_of, scored_batch, sees_dequantised
from harness.storage.schema import Estimator, infer_estimator

SUBSET_REPEATS = 100


TEST_COLUMNS = ("nelbo", "kl", "rec", "nll", "estimator", "data_kind", "likelihood", COLUMN)
SUBSET_COLUMNS = ("subset_nelbo", "subset_kl", "subset_rec", "subset_checksum", COLUMN)


class LikelihoodTerms(NamedTuple):
    """The terms that say something about log p(x), in nats: (batch,), None if absent."""

    rec: Tensor | None
    kl: Tensor | None
    nll: Tensor | None


@register_metric(
    "elbo", unit="nats", better="lower", columns=TEST_COLUMNS, order=1, label=lambda _: "bound"
)
def score_elbo(inputs: MetricInputs) -> ScoreGenerator:
    """The columns that `elbo` returns, over the test images."""
    data = inputs.shared.data
    values = yield from elbo(inputs.model, inputs.test_images, data.test_y, data.spec)
    likelihood = getattr(inputs.model, "likelihood", None)
    kind = {"data_kind": "dequantised"} if sees_dequantised(inputs.model) else {}
    return values | kind | {"likelihood": getattr(likelihood, "name", None)}


def _covers_subset(inputs: MetricInputs) -> bool:
    return "subset_nelbo" in inputs.required_columns


@register_metric(
    "subset elbo",
    unit="nats",
    better="lower",
    columns=SUBSET_COLUMNS,
    order=5,
    applies=_covers_subset,
    label=lambda _: "subset bound",
)
def score_subset_elbo(inputs: MetricInputs) -> ScoreGenerator:
    """The columns that `subset_elbo` returns, as subset_*, and the checksum of the subset."""
    shared = inputs.shared
    values = yield from subset_elbo(
        inputs.model, inputs.subset_images, shared.subset_classes, shared.data.spec
    )
    errors = {f"subset_{name}": error for name, error in values.pop(COLUMN).items()}
    checksum = {"subset_checksum": inputs.shared.evaluation.subset_checksum}
    return {f"subset_{name}": value for name, value in values.items()} | checksum | {COLUMN: errors}


@torch.inference_mode()
def elbo(
    model: Model,
    x: Tensor,
    y: Tensor | None = None,
    spec: DataSpec = MNIST_SPEC,
    purpose: EvaluationPurpose = "test noise",
) -> ScoreGenerator:
    """What the model's terms say about log p(x) of images x (n, dimensions), one sample of z each.

    y: classes (n,), for models that use them
    purpose: of the noise

    Columns: estimator, data_kind and, as far as the model has them, nelbo, kl, rec, nll, in nats
    per image; and the standard errors of these over the images. InvalidScoreError where a number is
    impossible: a NELBO below 0 for binary or ordinal data, or a KL below 0 by more than its
    standard error explains.
    """
    classes = torch.zeros(len(x), dtype=torch.long, device=x.device) if y is None else y
    chunks, terms = list(zip(x.split(CHUNK_SIZE), classes.split(CHUNK_SIZE), strict=True)), []
    for index, (images, labels) in enumerate(chunks):
        terms.append(evaluate_terms(model, images, labels, purpose, index))
        yield (index + 1) / len(chunks)
    return _check_and_average(terms, spec) | {COLUMN: _estimate_errors(terms)}


@torch.inference_mode()
def subset_elbo(
    model: Model, x: Tensor, y: Tensor | None = None, spec: DataSpec = MNIST_SPEC
) -> ScoreGenerator:
    """nelbo, kl and rec of images x (n, dimensions): the mean of 100 repeats, one z each.

    The standard errors over the images are those of the means over the repeats.
    """
    classes = torch.zeros(len(x), dtype=torch.long, device=x.device) if y is None else y
    terms = []
    for index in range(SUBSET_REPEATS):
        terms.append(evaluate_terms(model, x, classes, "subset noise", index))
        yield (index + 1) / SUBSET_REPEATS
    values = _check_and_average(terms, spec)
    errors = _estimate_errors([_average_repeats(terms)])
    means = {name: values[name] for name in ("nelbo", "kl", "rec") if name in values}
    return means | {COLUMN: {name: error for name, error in errors.items() if name in means}}


def evaluate_terms(
    model: Model, x: Tensor, y: Tensor, purpose: EvaluationPurpose, index: int
) -> LikelihoodTerms:
    """The terms of unlabelled images x (batch, dimensions); each part is (batch,)."""
    noise = draw_evaluation_noise(model, len(x), purpose, index, x.device)
    with own_draws_of(model, seeding.derive(seeding.EVALUATION_SEED, purpose, index)):
        terms = model.terms(scored_batch(model, x, y), noise)
    parts = (terms.rec, terms.kl, terms.nll)
    return LikelihoodTerms(*(None if part is None else part.expand(len(x)) for part in parts))


def _check_and_average(chunks: Sequence[LikelihoodTerms], spec: DataSpec) -> dict[str, Any]:
    """The columns from the terms of each chunk of images, checked: means over all images."""
    rec, kl, nll = (_concatenate(parts) for parts in zip(*chunks, strict=True))
    check = check_finite if spec.kind == "continuous" else check_not_negative
    means = {
        name: float(part.mean()) for name, part in (("kl", kl), ("rec", rec)) if part is not None
    }
    estimator_kind: Estimator = (
        "exact" if nll is not None else infer_estimator(means.get("rec"), means.get("kl"))
    )
    values: dict[str, Any] = {"estimator": estimator_kind, "data_kind": spec.kind}
    if nll is not None:
        values["nll"] = check("nll", float(nll.mean()))
    elif estimator_kind == "exact":
        values |= {"nll": means["rec"]}
    if estimator_kind == "none" and means.get("rec") == means.get("kl") == 0:
        return values  # the model has neither part
    if rec is not None and kl is not None:
        check_kl(kl)
        means = {"nelbo": check("nelbo", float((kl + rec).mean()))} | means
    return values | {name: check_finite(name, mean) for name, mean in means.items()}


def _estimate_errors(chunks: Sequence[LikelihoodTerms]) -> dict[str, float | None]:
    """The standard errors over images of the terms of each chunk of them, and of the NELBO."""
    rec, kl, nll = (_concatenate(parts) for parts in zip(*chunks, strict=True))
    parts = {"rec": rec, "kl": kl, "nll": nll}
    if rec is not None and kl is not None:
        parts["nelbo"] = rec + kl
    return {name: estimate_standard_error(part) for name, part in parts.items() if part is not None}


def _average_repeats(repeats: Sequence[LikelihoodTerms]) -> LikelihoodTerms:
    """The mean terms (n,) of each image over repeats of (n,) each."""
    parts = zip(*repeats, strict=True)
    return LikelihoodTerms(
        *(None if each[0] is None else torch.stack(list(each)).double().mean(0) for each in parts)
    )


def _concatenate(parts: tuple[Tensor | None, ...]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    return torch.cat(given).double() if given else None
