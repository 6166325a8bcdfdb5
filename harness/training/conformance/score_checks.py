"""Checks of what scoring calls: bounds, samples, reconstructions, classes and weights."""

import torch
from torch import Tensor
from torch.func import vmap

from harness.plugins.model import (
    Classifier,
    ConditionalSampling,
    ImportanceWeighted,
    Reconstructing,
    reconstruct_means,
    weigh_images,
)
from harness.training.conformance.faults import ContractError, check_numbers
from harness.training.conformance.subject import Subject, evaluation_mode

WEIGHT_DRAWS = 4000  # draws of z in the check of importance weights


def check_bound(subject: Subject) -> None:
    """Unlabelled images have the terms that a score needs."""
    if subject.cell.has_bound:
        with evaluation_mode(subject, "terms in evaluation") as model:
            terms = model.terms(subject.unlabelled, subject.noise())
            for name in ("rec", "kl", "nll"):
                if (part := getattr(terms, name)) is not None:
                    check_numbers(name, part, ((subject.images,), ()))


def check_samples(subject: Subject) -> None:
    """Samples are values that images can have on average, one vector an image."""
    if subject.cell.has_bound:
        with evaluation_mode(subject, "sample") as model:
            _check_pixels(subject, "samples", model.sample(subject.noise()))


def check_class_samples(subject: Subject) -> None:
    """Samples of given classes are like samples."""
    if subject.cell.has_bound and isinstance(subject.model, ConditionalSampling):
        with evaluation_mode(subject, "sample_classes") as model:
            assert isinstance(model, ConditionalSampling)
            y = subject.classes_of(subject.batch.x)
            images = model.sample_classes(subject.noise(), y)
            _check_pixels(subject, "samples of classes", images)


def check_reconstructions(subject: Subject) -> None:
    """Reconstructions are values that images can have on average, one vector an image."""
    if subject.cell.has_bound and isinstance(subject.model, Reconstructing):
        with evaluation_mode(subject, "reconstruct") as model:
            assert isinstance(model, Reconstructing)
            x = subject.batch.x
            _check_pixels(
                subject,
                "reconstructions",
                reconstruct_means(model, x, subject.noise(), subject.classes_of(x)),
            )


def check_classes(subject: Subject) -> None:
    """A classifier gives a logit a class, of grey images too."""
    if isinstance(subject.model, Classifier) and subject.spec.classes:
        with evaluation_mode(subject, "classify") as model:
            assert isinstance(model, Classifier)
            generator = torch.Generator().manual_seed(2)
            grey = torch.rand(subject.images, subject.spec.dimensions, generator=generator)
            expected = (subject.images, subject.spec.classes)
            check_numbers("logits", model.classify(grey), (expected,))


def check_weights(subject: Subject) -> None:
    """log_weight gives a number an image, stacked over draws if the model can be stacked."""
    if subject.cell.has_bound and isinstance(subject.model, ImportanceWeighted):
        with evaluation_mode(subject, "log_weight") as model:
            assert isinstance(model, ImportanceWeighted)
            draws, x = [subject.noise(seed=seed) for seed in (1, 2)], subject.batch.x
            y = subject.classes_of(x)
            if subject.model.stackable:
                noise = {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}
                weights = vmap(lambda draw: weigh_images(model, x, draw, y))(noise)
            else:
                weights = torch.stack([weigh_images(model, x, draw, y) for draw in draws])
            check_numbers("log_weight", weights, ((2, subject.images),))


def check_average_weight(subject: Subject) -> None:
    """The mean importance weight is not below the ELBO; without classes it equals it.

    E[log p(x,z) - log q(z|x)] is the ELBO of a model with one latent variable.
    """
    if not (subject.cell.has_bound and isinstance(subject.model, ImportanceWeighted)):
        return
    with evaluation_mode(subject, "log_weight") as model:
        x = subject.batch.x[:1].repeat(WEIGHT_DRAWS, 1)
        noise = subject.noise(WEIGHT_DRAWS, seed=3)
        terms = model.terms(subject.as_scored(x), noise)
        assert isinstance(model, ImportanceWeighted)
        weight = weigh_images(model, x, noise, subject.classes_of(x))
    if terms.rec is None or terms.kl is None:
        return
    elbo, mean, error = (
        -(terms.rec + terms.kl).mean(),
        weight.mean(),
        4 * weight.std() / WEIGHT_DRAWS**0.5,
    )
    if mean < elbo - error:
        raise ContractError(f"has importance weights of mean {mean:.6g} below its ELBO {elbo:.6g}")
    if subject.cell.supervision == "none" and mean > elbo + error:
        raise ContractError(f"has importance weights of mean {mean:.6g} above its ELBO {elbo:.6g}")


def _check_pixels(subject: Subject, what: str, pixels: object) -> None:
    check_numbers(what, pixels, ((subject.images, subject.spec.dimensions),))
    assert isinstance(pixels, Tensor)
    if subject.spec.kind != "continuous" and not bool(((pixels >= 0) & (pixels <= 1)).all()):
        raise ContractError(f"gives {what} outside [0, 1]; expected means of pixels")
