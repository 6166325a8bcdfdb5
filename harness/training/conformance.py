"""Checks that a model keeps the contract, on a few made-up images, before anything is trained.

Every kind of cell runs `PROBE_CHECKS` at the start of a run: a step and a call of every score, on
two images. `CHECKS` is the whole contract; `--check FILE` and the project's tests run it.
"""

import copy
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.func import stack_module_state, vmap

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import DataSpec
from harness.plugins.deprecation import describe_old_imports
from harness.plugins.model import (
    CLASSES,
    Batch,
    Classifier,
    ImportanceWeighted,
    Model,
    Noise,
    Reconstructing,
    StartsFromData,
    Terms,
    TrainingImages,
    draw_noise,
    own_draws_of,
    reconstruct_means,
    scored_batch,
    weigh_images,
)
from harness.plugins.model_state import clone_tensors, restore_buffers
from harness.plugins.source_files import Plugin
from harness.training import objective
from harness.training.data_start import start_model

WEIGHT_DRAWS = 4000  # draws of z in the check of importance weights
# part of an error message of torch.func.vmap or autograd -> the same in words of the contract
CAUSES = {
    "random operation": "draws random numbers itself: take them from `noise`",
    ".item()": "looks at the value of a tensor (.item()): use tensor operations instead",
    "data-dependent control flow": "decides by the value of a tensor (if, while): use "
    "torch.where instead",
    "dynamic shape": "makes a shape depend on values (a boolean mask, nonzero): multiply by the "
    "mask instead",
    "Cannot access data pointer": "leaves torch (.numpy(), a kernel of its own): use tensor "
    "operations instead",
    "doesn't match the "
    "broadcast shape": "adds in place to a tensor that it made: write a = a + b instead of a += b",
    "vmap: inplace arithmetic": "changes in place a tensor that it made: write a = a + b instead "
    "of a += b",
    "requires_grad_()": "differentiates with torch.autograd: use torch.func.grad instead",
    "were not batched": "keeps running statistics outside its buffers: register them in the "
    "constructor",
}


class ContractError(Exception):
    """A model does not keep the contract.

    The message says how, as the rest of a sentence that begins with the model's name.
    """


@dataclass(frozen=True)
class Subject:
    """A model under test: its cell and the size of the made-up data.

    images: unlabelled images
    labels: labelled images
    """

    cell: Cell
    images: int = 2
    labels: int = CLASSES

    def build(self, seed: int | None = None) -> Model:
        """The model before the first step, of a seed, by default the cell's."""
        cell = self.cell if seed is None else replace(self.cell, seed=seed)
        model = self._build_unstarted(cell)
        with convert_errors("start_from_data"):
            start_model(model, cell.seed, MadeUpImages(self.spec, cell.seed))
        return model

    def _build_unstarted(self, cell: Cell) -> Model:
        try:
            return registry.build(cell)
        except InputError:
            raise
        except Exception as error:
            raise ContractError(f"cannot be built: {_format_error(error)}") from error

    @cached_property
    def model(self) -> Model:
        """The model with the weights of the cell's seed."""
        return self.build()

    @property
    def spec(self) -> DataSpec:
        """The description of the cell's data set."""
        return registry.data_spec(self.cell.dataset)

    @cached_property
    def batch(self) -> Batch:
        """Random images, with labelled ones for a cell that uses labels."""
        generator = torch.Generator().manual_seed(0)
        images = self.images if self.cell.has_bound else 0
        labels = self.labels if self.cell.supervision != "none" else 0
        x, labelled = (_draw_images(self.spec, count, generator) for count in (images, labels))
        model, classes = self.model, max(1, self.spec.classes)
        progress = torch.zeros(()) if model.uses_progress else None
        return Batch(
            x,
            labelled,
            torch.arange(labels) % classes,
            self.classes_of(x) if model.uses_classes else None,
            progress,
            None if progress is None else progress + self.cell.iterations,
        )

    @property
    def unlabelled(self) -> Batch:
        """The images without the labelled ones, as in scoring."""
        return self.as_scored(self.batch.x)

    def as_scored(self, x: Tensor) -> Batch:
        """Images x as a batch of scoring, with classes if the model asks for them."""
        return scored_batch(self.model, x, self.classes_of(x))

    def classes_of(self, x: Tensor) -> Tensor:
        """Made-up classes of images x (n, dimensions): (n,)."""
        return torch.arange(len(x)) % max(1, self.spec.classes)

    def own_draws(self) -> AbstractContextManager[None]:
        """Let a model that is not stackable draw from torch's generator, at one seed."""
        return own_draws_of(self.model, 0)

    def noise(self, images: int | None = None, seed: int = 1) -> Noise:
        """Noise of the shapes that the model asks for."""
        with convert_errors("noise"):
            return draw_noise(
                self.model,
                self.images if images is None else images,
                torch.Generator().manual_seed(seed),
            )

    def terms(self) -> Terms:
        """The terms of the batch; the buffers are the same before every call."""
        buffers, batch = (
            clone_tensors(dict(self.model.named_buffers())),
            Batch(**clone_tensors(self.batch.tensors())),
        )
        with convert_errors("terms"), self.own_draws():
            terms = self.model.terms(batch, self.noise())
        restore_buffers(self.model, buffers)
        if not torch.equal(batch.x, self.batch.x):
            raise ContractError("changes the images that it is given")
        return terms


class MadeUpImages(TrainingImages):
    """Random images in place of the training images."""

    count = 1000

    def __init__(self, spec: DataSpec, seed: int):
        self.spec, self.generator = spec, torch.Generator().manual_seed(seed)

    def draw(self, images: int) -> Tensor:
        """Random images: (images, dimensions)."""
        return _draw_images(self.spec, images, self.generator)


def _draw_images(spec: DataSpec, images: int, generator: torch.Generator) -> Tensor:
    """Made-up images of a data set's kind: (images, dimensions)."""
    x = torch.rand(images, spec.dimensions, generator=generator)
    if spec.kind == "continuous":
        return x
    return (x * (spec.levels - 1)).round() / (spec.levels - 1)


Check = Callable[[Subject], None]


@contextmanager
def convert_errors(what: str) -> Iterator[None]:
    """Raise errors inside this block as a ContractError about `what`."""
    try:
        yield
    except (ContractError, InputError):
        raise
    except Exception as error:
        raise ContractError(_explain(what, error)) from error


def _explain(what: str, error: Exception) -> str:
    text = str(error)
    for mark, cause in CAUSES.items():
        if mark in text:
            return f"{cause} (in {what}); or set `stackable = False`"
    if text.startswith("Batching rule not implemented for "):
        return (
            f"uses {text.split()[5].rstrip('.;')}, which torch.func.vmap cannot stack (in {what}): "
            "set `stackable = False`"
        )
    return f"fails in {what}: {_format_error(error)}"


def _format_error(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no reason given'])[0]}"


# --- the objective --------------------------------------------------------------------------------


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
        _check_numbers(name, part, ((len(subject.batch.x),), ()))


def _check_numbers(name: str, part: object, shapes: tuple[tuple[int, ...], ...]) -> None:
    if not isinstance(part, Tensor):
        raise ContractError(f"gives {name} as {type(part).__name__}; expected a tensor")
    if tuple(part.shape) not in shapes:
        expected = " or ".join("one number" if shape == () else str(shape) for shape in shapes)
        raise ContractError(f"gives {name} of shape {tuple(part.shape)}; expected {expected}")
    if not part.is_floating_point():
        raise ContractError(f"gives {name} as {part.dtype}; expected floats")
    if not part.isfinite().all():
        raise ContractError(f"gives {name} that is not finite, with fresh weights")


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


# --- scores ---------------------------------------------------------------------------------------


@contextmanager
def evaluation_mode(subject: Subject, what: str) -> Iterator[Model]:
    """A copy of the model in evaluation mode, without gradients, as in scoring.

    Inside this block `subject.noise` has the shapes that the model asks for in that mode.
    """
    with convert_errors(what):
        model = copy.deepcopy(subject.model).eval()
        subject.model.eval()
        try:
            with torch.inference_mode(), subject.own_draws():
                yield model
        finally:
            subject.model.train()


def check_bound(subject: Subject) -> None:
    """Unlabelled images have the terms that a score needs."""
    if subject.cell.has_bound:
        with evaluation_mode(subject, "terms in evaluation") as model:
            terms = model.terms(subject.unlabelled, subject.noise())
            for name in ("rec", "kl", "nll"):
                if (part := getattr(terms, name)) is not None:
                    _check_numbers(name, part, ((subject.images,), ()))


def check_samples(subject: Subject) -> None:
    """Samples are values that images can have on average, one vector an image."""
    if subject.cell.has_bound:
        with evaluation_mode(subject, "sample") as model:
            _check_pixels(subject, "samples", model.sample(subject.noise()))


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
            _check_numbers("logits", model.classify(grey), (expected,))


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
            _check_numbers("log_weight", weights, ((2, subject.images),))


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
    _check_numbers(what, pixels, ((subject.images, subject.spec.dimensions),))
    assert isinstance(pixels, Tensor)
    if subject.spec.kind != "continuous" and not bool(((pixels >= 0) & (pixels <= 1)).all()):
        raise ContractError(f"gives {what} outside [0, 1]; expected means of pixels")


# --- all together ---------------------------------------------------------------------------------

PROBE_CHECKS: tuple[Check, ...] = (
    check_terms,
    check_start,
    check_purity,
    check_stacking,
    check_bound,
    check_samples,
    check_reconstructions,
    check_classes,
)
CHECKS: tuple[Check, ...] = (
    *PROBE_CHECKS,
    check_weights,
    check_average_weight,
    check_images_alone,
    check_seed,
)


def find_violation(cell: Cell, importance_weights: bool) -> str | None:
    """Why a kind of cell cannot be trained and scored, in a sentence; None if it can.

    InputError if the model refuses its settings.
    """
    subject = Subject(cell, labels=max(1, registry.data_spec(cell.dataset).classes))
    checks = (*PROBE_CHECKS, check_weights) if importance_weights else PROBE_CHECKS
    try:
        for check in checks:
            with registry.isolate_model(cell.model), convert_errors("a step"):
                check(subject)
    except ContractError as error:
        return f"model '{cell.model}' {error}"
    return None


def refuse_missing_classes(cells: Iterable[Cell]) -> None:
    """InputError for a cell that needs classes of a data set without them."""
    for cell in cells:
        needs_classes = cell.supervision != "none" or registry.lookup(cell.model).uses_classes
        if needs_classes and not registry.data_spec(cell.dataset).classes:
            raise InputError(
                f"model '{cell.model}' needs classes, and data set '{cell.dataset}' has none; "
                "expected a data set with classes"
            )


def run_checks(cell: Cell) -> Iterator[tuple[str, str | None]]:
    """The first line of each check's docstring, and what is wrong, or None."""
    subject = Subject(cell, images=6, labels=2 * CLASSES)
    for check in CHECKS:
        try:
            with registry.isolate_model(cell.model), convert_errors("a step"):
                check(subject)
            fault = None
        except (ContractError, InputError) as error:
            fault = str(error)
        yield (check.__doc__ or "").splitlines()[0], fault
        if fault and check is check_terms:
            return  # the other checks need the terms


def print_report(plugin: Plugin) -> int:
    """Print the result of every check for every model of a plug-in; 1 if one fails, else 0."""
    names = [name for name in registry.cards() if registry.find_plugin(name) == plugin]
    if not names:
        raise InputError(
            f"{plugin.name!r} registers no model; expected a class under @register(NAME)"
        )
    for line in describe_old_imports(names):
        print(line, file=sys.stderr)
    violations = 0
    for cell in (cell for name in names for cell in _default_cells(name)):
        print(f"{cell.model} {cell.supervision if cell.supervision != 'none' else ''}".rstrip())
        for promise, fault in run_checks(cell):
            violations += fault is not None
            print(
                f"  {'ok' if fault is None else 'NO'}  {promise}"
                + (f" It {fault}." if fault else "")
            )
    print(f"{len(names)} models checked, {violations} promises not kept")
    return 1 if violations else 0


def _default_cells(name: str) -> Iterator[Cell]:
    """One cell for each supervision of a model, with its default settings."""
    card = registry.cards()[name]
    settings = tuple(card.default_settings.items())
    for supervision in card.supervisions:
        label_settings: dict[str, Any] = (
            {} if supervision == "none" else {"labels": 100, "label_draw": "seed"}
        )
        yield Cell(
            name, 0, card.iterations, settings=settings, supervision=supervision, **label_settings
        )
