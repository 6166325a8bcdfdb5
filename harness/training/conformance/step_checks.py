"""Checks of a training step: terms, state, stacking and seeds."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import stack_module_state

from harness.plugins import registry
from harness.plugins.model import Batch, Model, StartsFromData, Terms
from harness.training import objective
from harness.training.conformance.faults import CAUSES, ContractError, check_numbers, convert_errors
from harness.training.conformance.subject import MadeUpImages, Subject, evaluation_mode
from harness.training.data_start import start_model


def check_terms(subject: Subject) -> None:
    """Terms are named and finite, one number an image or one in all, and agree about log p(x)."""
    terms = subject.terms()
    if not isinstance(terms, Terms):
        raise ContractError(
            f"gives {type(terms).__name__} as terms; expected harness.plugins.model.Terms"
        )
    present = terms.tensors()
    if taken := sorted(set(terms.further) & set(Terms._fields)):
        raise ContractError(f"names a further term '{taken[0]}'; expected another name")
    if not present:
        raise ContractError(
            "gives no terms at all; expected at least one of rec, kl, extra, nll, loss, further"
        )
    unknown = [name for name, _ in subject.cell.term_weights if name not in terms.further]
    if unknown:
        raise ContractError(
            f"has no further term '{unknown[0]}'; the grid gives it a weight, expected one of: "
            f"{', '.join(terms.further) or 'none'}"
        )
    if "nll" in present and {"rec", "kl"} & set(present):
        raise ContractError("gives nll beside rec or kl; expected an exact likelihood or a bound")
    for name, part in present.items():
        check_numbers(name, part, ((len(subject.batch.x),), ()))


def check_start(subject: Subject) -> None:
    """What a model sets from training images are parameters and buffers, of the shape they had."""
    model = registry.build(subject.cell)
    if not isinstance(model, StartsFromData):
        return
    attributes, shapes = _attributes(model), _tensor_shapes(model)
    with convert_errors("start_from_data"):
        start_model(model, subject.cell.seed, MadeUpImages(subject.spec, subject.cell.seed))
    changed = [name for name, v in _attributes(model).items() if attributes.get(name) != v]
    if changed:
        raise ContractError(
            f"sets {', '.join(sorted(changed))} in start_from_data: keep state in buffers "
            "(register_buffer)"
        )
    for name, shape in _tensor_shapes(model).items():
        if shapes.get(name) != shape:
            raise ContractError(
                f"sets {name} of shape {shape} in start_from_data; expected "
                f"{shapes.get(name, 'a buffer of the constructor')}"
            )


def _tensor_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    return {name: tuple(value.shape) for name, value in tensors.items()}


def check_purity(subject: Subject) -> None:
    """The same arguments and buffers give the same terms, and nothing else is changed or drawn."""
    random_state, attributes = _random_state(), _attributes(subject.model)
    first = subject.terms()
    if subject.model.stackable and _random_state() != random_state:
        raise ContractError(CAUSES["random operation"])
    if changed := sorted(
        name for name, value in _attributes(subject.model).items() if attributes.get(name) != value
    ):
        raise ContractError(
            f"changes {', '.join(changed)} in a step: keep state in buffers (register_buffer)"
        )
    second = subject.terms().tensors()
    for name, one in first.tensors().items():
        if name not in second or not torch.allclose(one, second[name], rtol=1e-4, atol=1e-4):
            raise ContractError(
                f"gives another {name} for the same arguments: draw from `noise`, keep state in "
                f"buffers"
            )


def _random_state() -> bytes:
    """The state of torch's generator.

    Draws from numpy or Python are found by comparing the terms; other code may use those generators
    meanwhile.
    """
    state: bytes = torch.get_rng_state().numpy().tobytes()
    return state


def _attributes(model: Model) -> Mapping[str, Any]:
    """The attributes of all modules that are neither parameters nor buffers, by name.

    Only numbers, strings, and tensors as bytes.
    """
    attributes: dict[str, Any] = {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                value = value.detach().numpy().tobytes()
            if isinstance(value, (bool, int, float, str, bytes)) and not name.startswith("_"):
                attributes[f"{path}.{name}".lstrip(".")] = value
    return attributes


def check_stacking(subject: Subject) -> None:
    """Two seeds stacked give what each gives alone: losses, and gradients that are finite."""
    models = [copy.deepcopy(subject.model), subject.build(subject.cell.seed + 1)]
    params, buffers = stack_module_state(models)
    names, _ = objective.trained_parameters(models[0], subject.batch, subject.noise())
    if not names:
        raise ContractError("has no parameter on which its terms depend")
    trained = {name: value.detach() for name, value in params.items() if name in names}
    other = {
        name: value.detach() for name, value in (params | buffers).items() if name not in names
    }
    fields = subject.batch.tensors()
    batch = Batch(**{name: torch.stack([part, part]) for name, part in fields.items()})
    noise = {name: torch.stack([draw, draw]) for name, draw in subject.noise().items()}
    with convert_errors("terms of stacked models"):
        gradients, parts, _ = objective.make_objective(models[0])(
            trained, other, batch, noise, {}, (0, 0)
        )
    if non_finite := sorted(
        name for name, gradient in gradients.items() if not gradient.isfinite().all()
    ):
        raise ContractError(
            f"has gradients that are not finite, with fresh weights: {', '.join(non_finite)}"
        )
    for index, model in enumerate(models):
        with torch.no_grad(), subject.own_draws():
            alone = objective.weigh_terms(model.terms(subject.batch, subject.noise()), {}).loss
        if not torch.allclose(parts.loss[index], alone, rtol=1e-4, atol=1e-3):
            raise ContractError(
                f"gives another loss stacked ({parts.loss[index]:.6g}) than alone ({alone:.6g})"
            )


def check_images_alone(subject: Subject) -> None:
    """Scored, the rec, kl and nll of an image do not depend on the other images."""
    if not (subject.cell.has_bound and subject.model.stackable):
        return
    batch = subject.unlabelled
    others = subject.as_scored(torch.cat([batch.x[:1], 1 - batch.x[1:]]))
    with evaluation_mode(subject, "terms in evaluation") as model:
        noise = subject.noise()
        one, two = model.terms(batch, noise), model.terms(others, noise)
    for name in ("rec", "kl", "nll"):
        ours, theirs = getattr(one, name), getattr(two, name)
        if (
            ours is not None
            and theirs is not None
            and ours.ndim
            and not torch.allclose(ours[0], theirs[0], rtol=1e-4)
        ):
            raise ContractError(f"gives an image another {name} in another batch")


def check_seed(subject: Subject) -> None:
    """The seed alone decides the weights: the same twice, others for another seed."""
    first, again = subject.build().state_dict(), subject.build().state_dict()
    other = subject.build(subject.cell.seed + 1).state_dict()
    if any(not torch.equal(value, again[name]) for name, value in first.items()):
        raise ContractError("has other weights when it is built again from one seed")
    if all(torch.equal(value, other[name]) for name, value in first.items()):
        raise ContractError("has the same weights for every seed")
