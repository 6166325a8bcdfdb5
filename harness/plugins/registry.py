"""Models, and what else plug-ins register, by name. Entry points add to them.

`register` is a decorator. The first look-up in a process, Ray's workers included, imports every
entry point (`entry_points`). A model in a user's own files is a plug-in: `load` runs its code,
which travels with the trial. What it changes in other modules holds for its own models only
(`isolate_model`). What a script or a notebook registers itself can be a plug-in as well
(`plugin_from_object`): the object itself travels then.
"""

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import torch

from harness.errors import InputError, short_repr, unknown_name_error
from harness.experiment import seeding
from harness.experiment.cell import Cell, ModelCard, Setting
from harness.plugins import entry_points, isolation, source_files, source_modules, source_objects
from harness.plugins.dataset import MNIST_SPEC, Dataset, DataSpec, registered_datasets
from harness.plugins.isolation import Change
from harness.plugins.metric import registered_metrics
from harness.plugins.model import Model
from harness.plugins.source_files import Plugin
from harness.plugins.tracker import registered_trackers

PluginSource = str | Path | type | FunctionType  # a path, or what this process registered
M = TypeVar("M", bound=Model)
V = TypeVar("V")
_models: dict[str, type[Model]] = {}
_replaceable: dict[str, type[Model]] = {}  # shipped models whose names plug-ins may take
_specs: dict[str, DataSpec] = {}  # of the data sets that this process has loaded, by name


@dataclass(frozen=True)
class _LoadedPlugin:
    """A plug-in of this process: what it registered, and what it changed in other modules.

    registered: new names and values in each of `_registries()`
    """

    plugin: Plugin
    registered: tuple[Mapping[str, Any], ...]
    changes: tuple[Change, ...]

    @property
    def models(self) -> Mapping[str, type[Model]]:
        """The models that it registered, by name."""
        return self.registered[0]


_loaded: dict[str, _LoadedPlugin] = {}  # by the plug-in's name


def register(name: str, *, replaceable: bool = False) -> Callable[[type[M]], type[M]]:
    """Class decorator: register a model as `name`.

    replaceable: whether another model may take the name. Models that were shipped after version 0.1
        let it, as plug-ins may have their names already.

    InputError if another class has the name.
    """

    def add(model: type[M]) -> type[M]:
        if replaceable:
            _replaceable[name] = model
            _models.setdefault(name, model)
            return model
        taken = _models.get(name)
        if taken not in (None, _replaceable.get(name)) and (
            (taken.__module__, taken.__qualname__) != (model.__module__, model.__qualname__)
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


def lookup_dataset(name: str) -> Dataset:
    """The data set registered as `name`; InputError for an unknown name."""
    _load_entry_points()
    if name not in registered_datasets:
        raise unknown_name_error("dataset", name, registered_datasets)
    return registered_datasets[name]


def remember_spec(name: str, spec: DataSpec) -> None:
    """Let `data_spec` answer for a data set that was loaded, here or in another process."""
    _specs[name] = spec


def data_spec(name: str) -> DataSpec:
    """The description of a data set; InputError for an unknown name."""
    return _specs[name] if name in _specs else lookup_dataset(name).spec


def cards() -> dict[str, ModelCard]:
    """The card of each registered model, by name."""
    _load_entry_points()
    return {name: _make_card(name, model) for name, model in sorted(_models.items())}


def build(cell: Cell) -> Model:
    """The model of a cell, with weights drawn from the cell's seed.

    The weights do not depend on β and the images. InputError if the model refuses its settings or
    the kind of data.
    """
    model, spec = lookup(cell.model), data_spec(cell.dataset)
    keywords: dict[str, Any] = {}
    if model.supervisions != ("none",):
        keywords["supervision"] = cell.supervision
    if takes_data(model):
        keywords["data"] = spec
    elif (spec.dimensions, spec.kind) != (MNIST_SPEC.dimensions, MNIST_SPEC.kind):
        raise InputError(
            f"model '{cell.model}' takes images of {MNIST_SPEC.dimensions} binary values; data set "
            f"'{cell.dataset}' has {spec.dimensions} {spec.kind} ones: let its constructor take "
            "`data`, the description of the data set"
        )
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
    """Run the code of a plug-in, which registers models, data sets, metrics and trackers.

    A plug-in that is loaded already runs again only if its code has changed. InputError if it
    fails.
    """
    if plugin.kind == "object":
        _load_objects(plugin)
        return
    loaded = _loaded.get(plugin.name)
    if loaded is not None and loaded.plugin == plugin:
        for registry, values in zip(_registries(), loaded.registered, strict=True):
            registry.update(values)
        return
    _load_entry_points()
    if loaded is not None:
        _unload(loaded)
    _loaded[plugin.name] = _run_code(plugin)
    isolation.add_changes(_loaded[plugin.name].changes)


def _run_code(plugin: Plugin) -> _LoadedPlugin:
    """Import the modules of a plug-in; what they registered and changed."""
    before = [dict(registry) for registry in _registries()]
    packages = {model.__module__.partition(".")[0] for model in _models.values()}
    try:
        changes = isolation.record_changes(
            lambda: source_modules.import_modules(plugin), plugin.files.values(), packages
        )
    except InputError:
        for registry, values in zip(_registries(), before, strict=True):
            _restore(registry, values)
        raise
    return _LoadedPlugin(plugin, tuple(map(_find_new, _registries(), before)), changes)


def _load_objects(plugin: Plugin) -> None:
    """Register the objects of a plug-in, whose code has run where they were defined."""
    _load_entry_points()
    previous = _loaded.get(plugin.name)
    if previous is not None:
        _unload(previous)
    for registry, values in zip(_registries(), plugin.objects, strict=True):
        registry.update(values)
    _loaded[plugin.name] = _LoadedPlugin(plugin, plugin.objects, ())


def plugin_from_object(value: Any) -> Plugin:
    """The plug-in of a class or function that this process has registered; InputError if it has not
    or if its text is not known.
    """
    if not isinstance(value, (type, FunctionType)):
        raise InputError(
            f"plug-in {short_repr(value)}: expected a path, or a class or function with "
            "@register(NAME), @register_dataset(NAME) or @register_metric(NAME)"
        )
    objects = tuple(
        {name: each for name, each in registry.items() if _is_made_from(each, value)}
        for registry in _registries()
    )
    if not any(objects):
        raise InputError(
            f"plug-in {value.__qualname__!r} is not registered; expected @register(NAME), "
            "@register_dataset(NAME) or @register_metric(NAME) above it"
        )
    name, module = f"{value.__module__}.{value.__qualname__}", value.__module__
    files = {f"{value.__name__}.py": source_objects.read_source(value)}
    return Plugin(name, "object", files, module, objects)


def _is_made_from(registered: Any, value: Any) -> bool:
    """Whether a class or function is what was registered, or what it was made from."""
    return (
        registered is value
        or type(registered) is value
        or (getattr(registered, "compute", None) is value)
    )


def load_source(name: str, text: str) -> None:
    """Run the code of one file like `load`."""
    load(source_files.plugin_from_text(name, text))


def _registries() -> tuple[dict[str, Any], ...]:
    """Everything that a plug-in can register, by name."""
    return _models, registered_metrics, registered_datasets, registered_trackers


def _unload(loaded: _LoadedPlugin) -> None:
    """Undo everything that loading a plug-in did."""
    del _loaded[loaded.plugin.name]
    isolation.drop_changes(loaded.changes)
    source_modules.unload(loaded.plugin)
    for registry, values in zip(_registries(), loaded.registered, strict=True):
        _remove(registry, values)
    for name, model in _replaceable.items():
        _models.setdefault(name, model)


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


def source_hash_of(value: object) -> str | None:
    """SHA-256 of the plug-in that registered a metric or a data set; None for an installed one."""
    for loaded in _loaded.values():
        if any(value is each for values in loaded.registered for each in values.values()):
            return loaded.plugin.sha256
    return None


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


def describe_replaced_models(plugins: Iterable[Plugin]) -> list[str]:
    """A sentence for each shipped model whose name a plug-in has taken."""
    return [
        f"model '{name}' is that of plug-in {plugin.name!r}, not the shipped one"
        for plugin in plugins
        for name in sorted(_replaceable.keys() & _loaded[plugin.name].models)
    ]


def refuse_local(names: Iterable[str], plugins: Collection[Plugin] | None = None) -> None:
    """Refuse models that Ray's workers cannot load: neither `plugins`, which are sent to them (by
    default all that are loaded), nor an installed package defines them.
    """
    sent = [loaded.plugin for loaded in _loaded.values()] if plugins is None else plugins
    for name in names:
        model = lookup(name)
        installed = (name, model) in _load_entry_points() or model.__module__.partition(".")[
            0
        ] in entry_points.list_packages()
        if find_plugin(name) not in sent and not installed:
            raise InputError(
                f"model '{name}' is defined in this process alone; Ray's workers cannot load it: "
                "put it into a file (--plugin FILE), hand it over in Python "
                f"(plugins=[{model.__name__}]) or use --launcher in-process"
            )


def refuse_local_metrics(names: Iterable[str]) -> None:
    """Refuse metrics that Ray's workers cannot load, as only this process defines them."""
    packages = {"harness", *entry_points.list_packages()}
    for name in names:
        metric = registered_metrics[name]
        in_plugin = any(
            values.get(name) is metric for each in _loaded.values() for values in each.registered
        )
        if not in_plugin and metric.compute.__module__.partition(".")[0] not in packages:
            raise InputError(
                f"metric '{name}' is defined in this process alone; Ray's workers cannot load it: "
                "put it into a file (--plugin FILE) or use --launcher in-process"
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
def _load_entry_points() -> frozenset[tuple[str, type[Model]]]:
    """Import the entry points; the models that they registered, with their names."""
    before = set(_models.items())
    entry_points.load_all()
    return frozenset(_models.items() - before)


def takes_data(model: type[Model]) -> bool:
    """Whether the constructor of a model takes the description of the data set."""
    return "data" in inspect.signature(model).parameters


def _make_card(name: str, model: type[Model]) -> ModelCard:
    story = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return ModelCard(
        name,
        story,
        model.iterations,
        model.supervisions,
        _read_defaults(name, model),
        model.added_settings,
    )


def _read_defaults(name: str, model: type[Model]) -> Mapping[str, Setting]:
    parameters = inspect.signature(model).parameters.values()
    settings = {p.name: p.default for p in parameters if p.name not in ("supervision", "data")}
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
