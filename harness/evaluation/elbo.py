"""The evidence lower bound of a trained model and its parts, in nats an image at β = 1.

Two evaluation sets, never mixed: all test images, binarised once for all cells; and a listed
subset, binarised once with numpy's RandomState(0), each metric the mean of 100 single-sample
repeats.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.evaluation.checks import check_finite, check_kl, check_not_negative
from harness.evaluation.scored_images import CHUNK_SIZE, ScoreGenerator, draw_evaluation_noise
from harness.experiment.seeding import EvaluationPurpose
from harness.plugins.model import Batch, Model, Terms
from harness.storage.schema import Estimator, infer_estimator

SUBSET_REPEATS = 100


@torch.inference_mode()
def elbo(model: Model, x: Tensor) -> ScoreGenerator:
    """What a model says of log p(x) over the test images x (n, PIXELS), one sample of z an image.

    Columns: estimator, data_kind and, as far as the model has them, nelbo, kl, rec, nll, in nats an
    image.

    BadScore where a number is impossible for binary images: a NELBO below 0, or a KL below 0 by
    more than its noise.
    """
    chunks, terms = x.split(CHUNK_SIZE), []
    for index, images in enumerate(chunks):
        terms.append(_evaluate_terms(model, images, "test noise", index))
        yield (index + 1) / len(chunks)
    return _check_and_average(terms)


@torch.inference_mode()
def subset_elbo(model: Model, x: Tensor) -> ScoreGenerator:
    """NELBO, KL and reconstruction over the listed images: the mean of 100 single-sample repeats.
    """
    terms = []
    for index in range(SUBSET_REPEATS):
        terms.append(_evaluate_terms(model, x, "subset noise", index))
        yield (index + 1) / SUBSET_REPEATS
    values = _check_and_average(terms)
    return {name: values[name] for name in ("nelbo", "kl", "rec") if name in values}


def _evaluate_terms(model: Model, x: Tensor, purpose: EvaluationPurpose, index: int) -> Terms:
    """A model's terms of unlabelled images x (batch, PIXELS), each part (batch,)."""
    unlabelled = Batch(x, x[:0], torch.empty(0, dtype=torch.long, device=x.device))
    terms = model.terms(unlabelled, draw_evaluation_noise(model, len(x), purpose, index, x.device))
    return Terms(*(None if part is None else part.expand(len(x)) for part in terms))


def _check_and_average(chunks: Sequence[Terms]) -> dict[str, Any]:
    """The columns that terms of chunks of images fill, where binary images allow them."""
    rec, kl, _, nll = (_concatenate(parts) for parts in zip(*chunks, strict=True))
    means = {
        name: float(part.mean()) for name, part in (("kl", kl), ("rec", rec)) if part is not None
    }
    estimator_kind: Estimator = (
        "exact" if nll is not None else infer_estimator(means.get("rec"), means.get("kl"))
    )
    values: dict[str, Any] = {"estimator": estimator_kind, "data_kind": "binary"}
    if nll is not None:
        values["nll"] = check_not_negative("nll", float(nll.mean()))
    elif estimator_kind == "exact":
        values |= {"nll": means["rec"]}
    if estimator_kind == "none" and means.get("rec") == means.get("kl") == 0:
        return values  # zeros that stand for nothing
    if rec is not None and kl is not None:
        check_kl(kl)
        means = {"nelbo": check_not_negative("nelbo", float((kl + rec).mean()))} | means
    return values | {name: check_finite(name, mean) for name, mean in means.items()}


def _concatenate(parts: tuple[Tensor | None, ...]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    return torch.cat(given).double() if given else None
