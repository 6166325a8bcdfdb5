"""Models by name: registered where they are defined, found by name, third parties' through an entry point.

`register` is a decorator; the first look-up imports every entry point of the group `harness.models`, in whatever
process asks, Ray's workers included. A model in a file of the user's own comes as source text (`load_source`), which
travels with the trial.
"""

import functools
import hashlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import torch

from harness import seeding
from harness.contract import Model
from harness.errors import BadInput, unknown
from harness.grid import Cell, ModelCard, Setting

GROUP = "harness.models"
M = TypeVar("M", bound=Model)
_models: dict[str, type[Model]] = {}
_sources: dict[str, str] = {}  # SHA-256 of the plug-in that registered a model, by the model's name
_plugins: dict[str, str] = {}  # and its name


def register(name: str) -> Callable[[type[M]], type[M]]:
    """Class decorator: make a model known as `name`; a name can be taken once."""

    def add(model: type[M]) -> type[M]:
        taken = _models.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (model.__module__, model.__qualname__):
            raise BadInput(f"model name '{name}' is taken by {taken.__module__}; expected another name")
        _models[name] = model
        return model

    return add


def lookup(name: str) -> type[Model]:
    """The model registered as `name`; an unknown name is refused with the nearest one and the list."""
    _load_entry_points()
    if name not in _models:
        raise unknown("model", name, _models)
    return _models[name]


def cards() -> dict[str, ModelCard]:
    """What a grid must know of each registered model."""
    _load_entry_points()
    return {name: _card(name, model) for name, model in sorted(_models.items())}


def build(cell: Cell) -> Model:
    """A cell's model, its weights drawn from the cell's seed: the same for every β and data set."""
    model = lookup(cell.model)
    labelled = {"supervision": cell.supervision} if model.supervisions != ("none",) else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.derive(cell.seed, "weights"))
        try:
            return model(**dict(cell.settings), **labelled)
        except (ValueError, TypeError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise BadInput(f"model '{cell.model}' refuses {dict(cell.settings)}: {reason}") from None


def load_source(name: str, source: str) -> None:
    """Run the text of a user's model file, which registers its models."""
    before = dict(_models)
    module = types.ModuleType(re.sub(r"\W", "_", f"plugin {name}"))
    sys.modules[module.__name__] = module  # dataclasses and pickle look a class's module up there
    try:
        exec(compile(source, name, "exec"), module.__dict__)
    except BadInput:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(f"model file {name!r} does not load: {reason}") from error
    checksum = hashlib.sha256(source.encode()).hexdigest()
    new = [model for model, made in _models.items() if before.get(model) is not made]
    _sources.update(dict.fromkeys(new, checksum))
    _plugins.update(dict.fromkeys(new, name))


def source(name: str) -> str | None:
    """SHA-256 of the plug-in's text that registered a model; None for one that is installed."""
    return _sources.get(name)


def plugin_of(name: str) -> str | None:
    """The plug-in that registered a model, by the name that the user gave it; None for one that is installed."""
    return _plugins.get(name)


def read_sources(files: list[str]) -> dict[str, str]:
    """The text of each model file, by the name that the user gave."""
    sources = {}
    for file in files:
        try:
            sources[file] = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"model file {file!r} cannot be read ({error}); expected a Python file") from None
    return sources


@functools.cache
def _load_entry_points() -> None:
    for point in metadata.entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise BadInput(f"the models of the package {point.value!r} do not load: {reason}") from error


def _card(name: str, model: type[Model]) -> ModelCard:
    story = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return ModelCard(name, story, model.iterations, model.supervisions, _defaults(name, model))


def _defaults(name: str, model: type[Model]) -> Mapping[str, Setting]:
    parameters = inspect.signature(model).parameters.values()
    settings = {p.name: p.default for p in parameters if p.name != "supervision"}
    missing = [setting for setting, default in settings.items() if not isinstance(default, (bool, int, float, str))]
    if missing:
        raise BadInput(
            f"model '{name}': setting '{missing[0]}' needs a default that is a number, a word or a truth value"
        )
    return settings
