"""A model under test and its made-up data."""

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import DataSpec
from harness.plugins.model import (
    CLASSES,
    Batch,
    Model,
    Noise,
    Terms,
    TrainingImages,
    draw_noise,
    own_draws_of,
    scored_batch,
)
from harness.plugins.model_state import clone_tensors, restore_buffers
from harness.training.conformance.faults import ContractError, convert_errors, format_error
from harness.training.data_start import start_model


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
            raise ContractError(f"cannot be built: {format_error(error)}") from error

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
        x, labelled = (draw_images(self.spec, count, generator) for count in (images, labels))
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
        return draw_images(self.spec, images, self.generator)


def draw_images(spec: DataSpec, images: int, generator: torch.Generator) -> Tensor:
    """Made-up images of a data set's kind: (images, dimensions)."""
    x = torch.rand(images, spec.dimensions, generator=generator)
    if spec.kind == "continuous":
        return x
    return (x * (spec.levels - 1)).round() / (spec.levels - 1)


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
