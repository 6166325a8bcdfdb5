"""Models by name: registered where they are defined, found by name, third parties' through an entry
point.

`register` is a decorator; the first look-up imports every entry point of the group
`harness.models`, in whatever process asks, Ray's workers included. A model in files of the user's
own is a plug-in: it comes as texts (`load`), which travel with the trial, and what it changes in
other modules holds for its own models (`isolate_model`).
"""

import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TypeVar

import torch

from harness.errors import InputError, unknown_name_error
from harness.experiment import seeding
from harness.experiment.cell import Cell, ModelCard, Setting
from harness.plugins import isolation, source_files, source_modules
from harness.plugins.isolation import Change
from harness.plugins.metric import Metric, registered_metrics
from harness.plugins.model import Model
from harness.plugins.source_files import Plugin

ENTRY_POINT_GROUP = "harness.models"
# where the harness is installed, and our models beside it
PROJECT_ROOT = Path(__file__).resolve().parents[2]
M = TypeVar("M", bound=Model)
V = TypeVar("V")
_models: dict[str, type[Model]] = {}


@dataclass(frozen=True)
class _LoadedPlugin:
    """A plug-in of this process: what it registered, and what it changed in other modules."""

    plugin: Plugin
    models: Mapping[str, type[Model]]
    metrics: Mapping[str, Metric]
    changes: tuple[Change, ...]


_loaded: dict[str, _LoadedPlugin] = {}  # by the plug-in's name


def register(name: str) -> Callable[[type[M]], type[M]]:
    """Class decorator: make a model known as `name`; a name can be taken once."""

    def add(model: type[M]) -> type[M]:
        taken = _models.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (
            model.__module__,
            model.__qualname__,
        ):
            raise InputError(
                f"model name '{name}' is taken by {taken.__module__}; expected another name"
            )
        _models[name] = model
        return model

    return add


def lookup(name: str) -> type[Model]:
    """The model registered as `name`; an unknown name is refused with the nearest one and the list."""
    _load_entry_points()
    if name not in _models:
        raise unknown_name_error("model", name, _models)
    return _models[name]


def cards() -> dict[str, ModelCard]:
    """What a grid must know of each registered model."""
    _load_entry_points()
    return {name: _make_card(name, model) for name, model in sorted(_models.items())}


def build(cell: Cell) -> Model:
    """A cell's model, its weights drawn from the cell's seed: the same for every β and data set."""
    model = lookup(cell.model)
    keywords = {"supervision": cell.supervision} if model.supervisions != ("none",) else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.derive(cell.seed, "weights"))
        try:
            return model(**dict(cell.settings), **keywords)
        except (ValueError, TypeError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"model '{cell.model}' refuses {dict(cell.settings)}: {reason}"
            ) from None


def load(plugin: Plugin) -> None:
    """Run a plug-in's texts, which register its models; again only if they are others than before."""
    loaded = _loaded.get(plugin.name)
    if loaded is not None and loaded.plugin == plugin:
        _models.update(loaded.models)
        registered_metrics.update(loaded.metrics)
        return
    _load_entry_points()
    if loaded is not None:
        _unload(loaded)
    before, metrics_before = dict(_models), dict(registered_metrics)
    packages = {model.__module__.partition(".")[0] for model in before.values()}
    try:
        changes = isolation.record_changes(
            lambda: source_modules.import_modules(plugin), plugin.files.values(), packages
        )
    except InputError:
        _restore(_models, before)
        _restore(registered_metrics, metrics_before)
        raise
    _loaded[plugin.name] = _LoadedPlugin(
        plugin, _find_new(_models, before), _find_new(registered_metrics, metrics_before), changes
    )
    isolation.add_changes(changes)


def load_source(name: str, text: str) -> None:
    """Run the text of one file, as `load` does."""
    load(source_files.plugin_from_text(name, text))


def _unload(loaded: _LoadedPlugin) -> None:
    """Take back all that a plug-in did."""
    del _loaded[loaded.plugin.name]
    isolation.drop_changes(loaded.changes)
    source_modules.unload(loaded.plugin)
    _remove(_models, loaded.models)
    _remove(registered_metrics, loaded.metrics)


def _remove(registered: dict[str, V], values: Mapping[str, V]) -> None:
    """Remove values, unless another one is registered under the name."""
    for name, value in values.items():
        if registered.get(name) is value:
            del registered[name]


def _restore(registered: dict[str, V], before: Mapping[str, V]) -> None:
    registered.clear()
    registered.update(before)


def _find_new(registered: Mapping[str, V], before: Mapping[str, V]) -> dict[str, V]:
    return {name: value for name, value in registered.items() if before.get(name) is not value}


def find_plugin(name: str) -> Plugin | None:
    """The plug-in that registered a model; None for one that is installed."""
    loaded = _find_loaded(name)
    return None if loaded is None else loaded.plugin


def source_hash(name: str) -> str | None:
    """SHA-256 of the plug-in that registered a model; None for one that is installed."""
    registered_by = find_plugin(name)
    return None if registered_by is None else registered_by.sha256


@contextmanager
def isolate_model(name: str | None = None) -> Iterator[None]:
    """Where the cells of a model are worked on: what its own plug-in changes elsewhere holds, and
    no other's changes.

    Without a name no plug-in's changes hold. Outside of rooms all do.
    """
    loaded = None if name is None else _find_loaded(name)
    with isolation.only_changes(() if loaded is None else loaded.changes):
        yield


def describe_unused_changes(plugins: Iterable[Plugin]) -> list[str]:
    """A sentence on each plug-in that changes what no cell will meet, as it registers no model."""
    return [
        f"plug-in {loaded.plugin.name!r} changes "
        f"{', '.join(change.name for change in loaded.changes)}: no cell is "
        "trained so, as that holds for a plug-in's own models, and it registers none"
        for loaded in (_loaded[plugin.name] for plugin in plugins)
        if loaded.changes and not loaded.models
    ]


def refuse_local(names: Iterable[str]) -> None:
    """Refuse a model that workers could not load: one that this process alone defines."""
    for name in names:
        model = lookup(name)
        installed = (
            name in _load_entry_points()
            or model.__module__.partition(".")[0] in _entry_point_packages()
        )
        if _find_loaded(name) is None and not installed:
            raise InputError(
                f"model '{name}' is defined in this process alone; Ray's workers cannot load it: "
                f"put it into a file "
                "(--plugin FILE) or use --launcher in-process"
            )


def _find_loaded(name: str) -> _LoadedPlugin | None:
    model = _models.get(name)
    return next(
        (
            loaded
            for loaded in _loaded.values()
            if model is not None and loaded.models.get(name) is model
        ),
        None,
    )


@functools.cache
def _load_entry_points() -> frozenset[str]:
    """The models that importing the entry points registered."""
    before = set(_models)
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        bundled = _find_bundled(point.module.partition(".")[0])
        try:
            if bundled is not None:
                _import(bundled)
            point.load()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"the models of the package {point.value!r} do not load: {reason}"
            ) from error
    return frozenset(set(_models) - before)


def _entry_point_packages() -> set[str]:
    """The packages that entry points name."""
    return {
        point.module.partition(".")[0] for point in metadata.entry_points(group=ENTRY_POINT_GROUP)
    }


def _find_bundled(package: str) -> ModuleSpec | None:
    """A package that lies beside the harness: it is imported from there, as a user's folder may
    bear the same name.

    Where a user's was imported before, ours can be no more, and that is refused.
    """
    spec = PathFinder.find_spec(package, [str(PROJECT_ROOT)])
    if spec is None or spec.origin is None:
        return None
    imported = sys.modules.get(package)
    if imported is not None and not _is_same_file(imported.__file__, spec.origin):
        raise InputError(
            f"another module {package!r} ({imported.__file__ or 'a folder'}) was imported before "
            f"the "
            f"harness's own, "
            f"{spec.origin}; expected another name for it"
        )
    return spec


def _import(spec: ModuleSpec) -> None:
    """Import a module from where it was found, unless that was done."""
    if spec.name in sys.modules or spec.loader is None:
        return
    sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise


def _is_same_file(file: str | None, other: str) -> bool:
    return file is not None and Path(file).resolve() == Path(other).resolve()


def _make_card(name: str, model: type[Model]) -> ModelCard:
    story = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return ModelCard(name, story, model.iterations, model.supervisions, _read_defaults(name, model))


def _read_defaults(name: str, model: type[Model]) -> Mapping[str, Setting]:
    parameters = inspect.signature(model).parameters.values()
    settings = {p.name: p.default for p in parameters if p.name != "supervision"}
    missing = [
        setting
        for setting, default in settings.items()
        if not isinstance(default, (bool, int, float, str))
    ]
    if missing:
        raise InputError(
            f"model '{name}': setting '{missing[0]}' needs a default that is a number, a word or "
            f"a truth value"
        )
    return settings


def load_plugins(names: Sequence[str]) -> tuple[Plugin, ...]:
    """The plug-ins at these paths, loaded."""
    plugins = source_files.read_plugins(names)
    for plugin in plugins:
        load(plugin)
    return plugins
