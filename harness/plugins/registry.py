"""Models by name. They are registered where they are defined; entry points add others.

`register` is a decorator. The first look-up in a process, Ray's workers included, imports every
entry point of the group `harness.models`. A model in a user's own files is a plug-in: `load` runs
its code, which travels with the trial. What it changes in other modules holds for its own models
only (`isolate_model`). What a script or a notebook registers itself can be a plug-in as well
(`plugin_from_object`): the object itself travels then.
"""

import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import torch

from harness.errors import InputError, short_repr, unknown_name_error
from harness.experiment import seeding
from harness.experiment.cell import Cell, ModelCard, Setting
from harness.plugins import isolation, source_files, source_modules, source_objects
from harness.plugins.isolation import Change
from harness.plugins.metric import Metric, registered_metrics
from harness.plugins.model import Model
from harness.plugins.source_files import Plugin
from harness.plugins.tracker import registered_trackers

ENTRY_POINT_GROUP = "harness.models"
# the folder of the packages harness and models
PROJECT_ROOT = Path(__file__).resolve().parents[2]
PluginSource = str | Path | type | FunctionType  # a path, or what this process registered
M = TypeVar("M", bound=Model)
V = TypeVar("V")
_models: dict[str, type[Model]] = {}


@dataclass(frozen=True)
class _LoadedPlugin:
    """A plug-in of this process: what it registered, and what it changed in other modules."""

    plugin: Plugin
    models: Mapping[str, type[Model]]
    metrics: Mapping[str, Metric]
    trackers: Mapping[str, type]
    changes: tuple[Change, ...]


_loaded: dict[str, _LoadedPlugin] = {}  # by the plug-in's name


def register(name: str) -> Callable[[type[M]], type[M]]:
    """Class decorator: register a model as `name`.

    InputError if another class has the name.
    """

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
    """The model registered as `name`; InputError for an unknown name."""
    _load_entry_points()
    if name not in _models:
        raise unknown_name_error("model", name, _models)
    return _models[name]


def cards() -> dict[str, ModelCard]:
    """The card of each registered model, by name."""
    _load_entry_points()
    return {name: _make_card(name, model) for name, model in sorted(_models.items())}


def build(cell: Cell) -> Model:
    """The model of a cell, with weights drawn from the cell's seed.

    The weights do not depend on β and the data set. InputError if the model refuses its settings.
    """
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
    """Run the code of a plug-in, which registers its models, metrics and trackers.

    A plug-in that is loaded already runs again only if its code has changed. InputError if it
    fails.
    """
    if plugin.kind == "object":
        _load_objects(plugin)
        return
    loaded = _loaded.get(plugin.name)
    if loaded is not None and loaded.plugin == plugin:
        _models.update(loaded.models)
        registered_metrics.update(loaded.metrics)
        registered_trackers.update(loaded.trackers)
        return
    _load_entry_points()
    if loaded is not None:
        _unload(loaded)
    _loaded[plugin.name] = _run_code(plugin)
    isolation.add_changes(_loaded[plugin.name].changes)


def _run_code(plugin: Plugin) -> _LoadedPlugin:
    """Import the modules of a plug-in; what they registered and changed."""
    before, metrics_before = dict(_models), dict(registered_metrics)
    trackers_before = dict(registered_trackers)
    packages = {model.__module__.partition(".")[0] for model in before.values()}
    try:
        changes = isolation.record_changes(
            lambda: source_modules.import_modules(plugin), plugin.files.values(), packages
        )
    except InputError:
        _restore(_models, before)
        _restore(registered_metrics, metrics_before)
        _restore(registered_trackers, trackers_before)
        raise
    return _LoadedPlugin(
        plugin,
        _find_new(_models, before),
        _find_new(registered_metrics, metrics_before),
        _find_new(registered_trackers, trackers_before),
        changes,
    )


def _load_objects(plugin: Plugin) -> None:
    """Register the objects of a plug-in, whose code has run where they were defined."""
    _load_entry_points()
    previous = _loaded.get(plugin.name)
    if previous is not None:
        _unload(previous)
    models, metrics = plugin.objects["models"], plugin.objects["metrics"]
    _models.update(models)
    registered_metrics.update(metrics)
    _loaded[plugin.name] = _LoadedPlugin(plugin, models, metrics, {}, ())


def plugin_from_object(value: Any) -> Plugin:
    """The plug-in of a class or function that this process has registered; InputError if it has not
    or if its text is not known.
    """
    if not isinstance(value, (type, FunctionType)):
        raise InputError(
            f"plug-in {short_repr(value)}: expected a path, or a class or function with "
            "@register(NAME) or @register_metric(NAME)"
        )
    objects: dict[str, dict[str, Any]] = {
        "models": {name: model for name, model in _models.items() if model is value},
        "metrics": {n: m for n, m in registered_metrics.items() if m.compute is value},
    }
    if not any(objects.values()):
        raise InputError(
            f"plug-in {value.__qualname__!r} is not registered as a model or a metric; expected "
            "@register(NAME) or @register_metric(NAME) above it"
        )
    name, module = f"{value.__module__}.{value.__qualname__}", value.__module__
    files = {f"{value.__name__}.py": source_objects.read_source(value)}
    return Plugin(name, "object", files, module, objects)


def load_source(name: str, text: str) -> None:
    """Run the code of one file like `load`."""
    load(source_files.plugin_from_text(name, text))


def _unload(loaded: _LoadedPlugin) -> None:
    """Undo everything that loading a plug-in did."""
    del _loaded[loaded.plugin.name]
    isolation.drop_changes(loaded.changes)
    source_modules.unload(loaded.plugin)
    _remove(_models, loaded.models)
    _remove(registered_metrics, loaded.metrics)
    _remove(registered_trackers, loaded.trackers)


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
    """The plug-in that registered a model; None for a model of an installed package."""
    loaded = _find_loaded(name)
    return None if loaded is None else loaded.plugin


def source_hash(name: str) -> str | None:
    """SHA-256 of the plug-in that registered a model; None for an installed package."""
    registered_by = find_plugin(name)
    return None if registered_by is None else registered_by.sha256


@contextmanager
def isolate_model(name: str | None = None) -> Iterator[None]:
    """Apply the changes of a model's plug-in inside this block, and those of no other.

    Without a name no plug-in's changes apply. Outside such blocks all apply.
    """
    loaded = None if name is None else _find_loaded(name)
    with isolation.only_changes(() if loaded is None else loaded.changes):
        yield


def describe_unused_changes(plugins: Iterable[Plugin]) -> list[str]:
    """A sentence for each plug-in that changes other modules but registers no model."""
    return [
        f"plug-in {loaded.plugin.name!r} changes "
        f"{', '.join(change.name for change in loaded.changes)}: no cell is "
        "trained so, as that holds for a plug-in's own models, and it registers none"
        for loaded in (_loaded[plugin.name] for plugin in plugins)
        if loaded.changes and not loaded.models
    ]


def refuse_local(names: Iterable[str], plugins: Collection[Plugin] | None = None) -> None:
    """Refuse models that Ray's workers cannot load: neither `plugins`, which are sent to them (by
    default all that are loaded), nor an installed package defines them.
    """
    sent = [loaded.plugin for loaded in _loaded.values()] if plugins is None else plugins
    for name in names:
        model = lookup(name)
        installed = (
            name in _load_entry_points()
            or model.__module__.partition(".")[0] in _entry_point_packages()
        )
        if find_plugin(name) not in sent and not installed:
            raise InputError(
                f"model '{name}' is defined in this process alone; Ray's workers cannot load it: "
                "put it into a file (--plugin FILE), hand it over in Python "
                f"(plugins=[{model.__name__}]) or use --launcher in-process"
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
    """Import the entry points; the names of the models that they registered."""
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
    """The packages of the entry points."""
    return {
        point.module.partition(".")[0] for point in metadata.entry_points(group=ENTRY_POINT_GROUP)
    }


def _find_bundled(package: str) -> ModuleSpec | None:
    """The package beside the harness, if there is one of this name.

    It is imported from there, because a user's folder may have the same name. InputError if another
    module of the name was imported before.
    """
    spec = PathFinder.find_spec(package, [str(PROJECT_ROOT)])
    if spec is None or spec.origin is None:
        return None
    imported = sys.modules.get(package)
    if imported is not None and not _is_same_file(imported.__file__, spec.origin):
        raise InputError(
            f"another module {package!r} ({imported.__file__ or 'a folder'}) was imported before "
            f"the harness's own, {spec.origin}; expected another name for it"
        )
    return spec


def _import(spec: ModuleSpec) -> None:
    """Import a module from its spec, unless it is imported already."""
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


def load_plugins(sources: Sequence[PluginSource]) -> tuple[Plugin, ...]:
    """Read and load plug-ins: those at paths, then classes and functions of this process."""
    paths = [str(source) for source in sources if isinstance(source, (str, Path))]
    values = [source for source in sources if not isinstance(source, (str, Path))]
    plugins = (*source_files.read_plugins(paths), *map(plugin_from_object, values))
    for plugin in plugins:
        load(plugin)
    return plugins


@contextmanager
def unload_afterwards() -> Iterator[None]:
    """Unload the files and folders that this block loads: the next run of a process may not use
    them. Classes and functions that the process defines itself stay registered.
    """
    before = set(_loaded)
    try:
        yield
    finally:
        for loaded in [_loaded[name] for name in _loaded if name not in before]:
            if loaded.plugin.kind != "object":
                _unload(loaded)
