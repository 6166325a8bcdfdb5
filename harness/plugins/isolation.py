"""Records what a plug-in changes in other modules, and limits the changes to its own models.

A plug-in may set attributes of modules and classes, such as `harness.evaluation.elbo.elbo`, and
settings of torch. The changes are recorded, and undone while cells of other models are trained or
scored. This is not a sandbox: it sees only attributes that are named in the plug-in's code, in
modules that were loaded before. It does not see the contents of dictionaries and lists, or what
the functions of a plug-in do later.
"""

import ast
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch

WATCHED_PACKAGES = frozenset({"harness", "models", "torch", "torchvision", "numpy"})
_MISSING = object()
Holder = ModuleType | type
Snapshot = dict[int, tuple[Holder, dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class Change:
    """One change by a plug-in: what it is, how to set it, and the values before and after."""

    name: str
    set_value: Callable[[Any], object]
    before: Any
    after: Any


@dataclass(frozen=True)
class _Setting:
    """A setting of torch or NumPy that is not an attribute."""

    name: str
    get_value: Callable[[], Any]
    set_value: Callable[[Any], object]


def _set_default_device(device: torch.device) -> None:
    # a default device, even "cpu", slows down every call
    torch.set_default_device(None if device.type == "cpu" else device)


SETTINGS = (
    _Setting("torch.set_default_dtype", torch.get_default_dtype, torch.set_default_dtype),
    _Setting("torch.set_default_device", torch.get_default_device, _set_default_device),
    _Setting("torch.set_grad_enabled", torch.is_grad_enabled, torch.set_grad_enabled),
    _Setting(
        "torch.set_float32_matmul_precision",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    _Setting(
        "torch.use_deterministic_algorithms",
        torch.get_deterministic_debug_mode,
        torch.set_deterministic_debug_mode,
    ),
    _Setting("numpy.seterr", np.geterr, lambda errors: np.seterr(**errors)),
)
_active: list[Change] = []


def add_changes(changes: Iterable[Change]) -> None:
    """Make changes, besides those that are active."""
    _activate([*_active, *changes])


def drop_changes(changes: Collection[Change]) -> None:
    """Undo changes and forget them."""
    _activate([change for change in _active if change not in changes])


@contextmanager
def only_changes(changes: Sequence[Change]) -> Iterator[None]:
    """Have these changes active inside this block, and no others.

    Afterwards everything is as before, including settings that were changed inside.
    """
    previous, settings = list(_active), _read_settings()
    _activate(changes)
    try:
        yield
    finally:
        _activate(previous)
        for change in _find_setting_changes(settings):
            change.set_value(change.before)


def record_changes(
    work: Callable[[], None], texts: Iterable[str], packages: Collection[str] = ()
) -> tuple[Change, ...]:
    """The changes that `work` makes; they are undone afterwards.

    texts: the code that `work` runs
    packages: packages to watch besides `WATCHED_PACKAGES`

    Changes of other plug-ins are not active during `work`. The number of threads is always
    restored, because `--cpus-per-trial` decides it.
    """
    names, watched_packages, threads = (
        assigned_names(texts),
        WATCHED_PACKAGES | set(packages),
        torch.get_num_threads(),
    )
    with only_changes(()):
        before, settings = _take_snapshot(names, watched_packages), _read_settings()
        changes: list[Change] = []
        try:
            work()
        finally:
            changes += [
                *_find_changes(before, _take_snapshot(names, watched_packages)),
                *_find_setting_changes(settings),
            ]
            for change in changes:
                change.set_value(change.before)
            torch.set_num_threads(threads)
    return tuple(changes)


def assigned_names(texts: Iterable[str]) -> set[str]:
    """The names that code may assign on another object.

    They are names of assigned attributes, of keyword arguments, and parts of strings. Other
    attributes may change for other reasons: torch, for example, replaces functions when parts of it
    are imported.

    >>> text = "adam.Adam.step = f; self.x = 1; setattr(engine, 'binarise_cells', g)"
    >>> sorted(assigned_names([text]))
    ['binarise_cells', 'step']
    """
    return {
        name
        for text in texts
        for node in ast.walk(_parse(text))
        for name in _node_names(node)
        if name.isidentifier()
    }


def _parse(text: str) -> ast.AST:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):  # code that will not run either
        return ast.Module([], [])


def _node_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return [] if isinstance(node.value, ast.Name) and node.value.id == "self" else [node.attr]
    if isinstance(node, ast.keyword):
        return [node.arg or ""]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.split(".")
    return []


def _activate(changes: Sequence[Change]) -> None:
    """Undo the active changes, the last one first, and make these."""
    for change in reversed(_active):
        change.set_value(change.before)
    _active[:] = changes
    for change in changes:
        change.set_value(change.after)


def _take_snapshot(names: Collection[str], packages: Collection[str]) -> Snapshot:
    """The values of these names in all loaded modules of the packages and in their classes."""
    found: Snapshot = {}
    for holder in _holders(packages):
        if id(holder) not in found:  # a class is in every module that imports it
            attributes = vars(holder)
            found[id(holder)] = (
                holder,
                {name: attributes[name] for name in names if name in attributes},
            )
    return found


def _holders(packages: Collection[str]) -> Iterator[Holder]:
    """The loaded modules of the packages, and the classes in them."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and _top_package(name) in packages:
            yield module
            for value in list(vars(module).values()):
                # type() instead of isinstance(), which may run code of the value
                if issubclass(type(value), type):
                    package = _top_package(str(vars(value).get("__module__")))
                    if package in packages:
                        yield value


def _top_package(module: str) -> str:
    return module.partition(".")[0]


def _find_changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """The differences, without modules that were loaded in between."""
    for key, (holder, old) in before.items():
        new = after[key][1] if key in after else old
        for name in old.keys() | new.keys():
            old_value, new_value = old.get(name, _MISSING), new.get(name, _MISSING)
            if old_value is not new_value and not (
                old_value is _MISSING and isinstance(new_value, ModuleType)
            ):
                yield Change(
                    f"{_qualified_name(holder)}.{name}",
                    partial(_set_attribute, holder, name),
                    old_value,
                    new_value,
                )


def _set_attribute(holder: Holder, name: str, value: Any) -> None:
    if value is not _MISSING:
        setattr(holder, name, value)
    elif name in vars(holder):
        delattr(holder, name)


def _qualified_name(holder: Holder) -> str:
    return (
        holder.__name__
        if isinstance(holder, ModuleType)
        else f"{holder.__module__}.{holder.__qualname__}"
    )


def _read_settings() -> list[tuple[_Setting, Any]]:
    return [(setting, setting.get_value()) for setting in SETTINGS]


def _find_setting_changes(before: Iterable[tuple[_Setting, Any]]) -> list[Change]:
    values = [(setting, old_value, setting.get_value()) for setting, old_value in before]
    return [
        Change(setting.name, setting.set_value, old_value, new_value)
        for setting, old_value, new_value in values
        if old_value != new_value
    ]
