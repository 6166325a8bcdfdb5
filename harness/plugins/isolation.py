"""What a plug-in changes in the modules of others while its text runs, and for whom that holds.

A plug-in may set attributes of modules and classes (`harness.training.adam.Adam.apply_gradients =
...`) and torch's settings. That is recorded, so that it can be taken away while the cells of other
models are worked on. It is no sandbox: only attributes that the plug-in's own text names are looked
at, in modules that were loaded before; the contents of dictionaries and lists, and what a plug-in's
functions do later, are not.
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
    """One thing that a plug-in changed: its name, how to put a value there, and the values before
    and after.
    """

    name: str
    set_value: Callable[[Any], object]
    before: Any
    after: Any


@dataclass(frozen=True)
class _Setting:
    """One of torch's or NumPy's settings, which are no attributes."""

    name: str
    get_value: Callable[[], Any]
    set_value: Callable[[Any], object]


def _set_default_device(device: torch.device) -> None:
    # "cpu" itself would slow every call down
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
    """Let changes stand beside those that do."""
    _activate([*_active, *changes])


def drop_changes(changes: Collection[Change]) -> None:
    """Take changes away for good."""
    _activate([change for change in _active if change not in changes])


@contextmanager
def only_changes(changes: Sequence[Change]) -> Iterator[None]:
    """These changes stand and no others; afterwards all is as it was, settings that were changed
    meanwhile too.
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
    """What `work`, which runs these texts, changes in the packages; it meets no other's changes,
    and its own go.

    The number of threads is the command's to say (`--cpus-per-trial`), and put back at once.
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
    """Names that texts may set on something: of attributes that are assigned, of keywords, and
    within strings.

    Other names change for other reasons: torch replaces functions of its own when parts of it are
    imported.

    >>> sorted(assigned_names(["adam.Adam.apply_gradients = f; self.x = 1; setattr(engine, 'binarise_cells', g)"]))
    ['apply_gradients', 'binarise_cells']
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
    except (SyntaxError, ValueError):  # it will not run either
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
    """Put what stands back as it was before, last first, then these in place."""
    for change in reversed(_active):
        change.set_value(change.before)
    _active[:] = changes
    for change in changes:
        change.set_value(change.after)


def _take_snapshot(names: Collection[str], packages: Collection[str]) -> Snapshot:
    """The values of these names in every loaded module of the packages and in their classes."""
    return {
        id(holder): (holder, {name: vars(holder)[name] for name in names if name in vars(holder)})
        for holder in _holders(packages)
    }


def _holders(packages: Collection[str]) -> Iterator[Holder]:
    """The loaded modules of the packages, and the classes that can be reached in them."""
    for name, module in list(sys.modules.items()):
        if isinstance(module, ModuleType) and _top_package(name) in packages:
            yield module
            # asks no value
            classes = [value for value in vars(module).values() if issubclass(type(value), type)]
            yield from (
                held_class
                for held_class in classes
                if _top_package(str(vars(held_class).get("__module__"))) in packages
            )


def _top_package(module: str) -> str:
    return module.partition(".")[0]


def _find_changes(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    """The differences, without what was loaded meanwhile."""
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
