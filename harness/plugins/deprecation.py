"""Finds models that are written for version 0.1, by the import paths that only it had."""

import ast
import inspect
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from harness.plugins import registry

NEW_PATHS = {
    "harness.contract": "harness.plugins.model",
    "harness.registry": "harness.plugins.registry",
    "harness.store": "harness.storage.store",
    "harness.schema": "harness.storage.schema",
    "harness.grid": "harness.experiment",
    "harness.fallback": "harness.execution.autoscaler",
    "models.gaussian": "models.distributions",
    "models.nets": "models.networks",
}


def describe_old_imports(models: Iterable[str]) -> list[str]:
    """A sentence for each model whose code imports a deprecated path: what to change it to."""
    changes = {name: sorted(set(_list_changes(name))) for name in sorted(set(models))}
    return [
        f"model '{name}' is written for version 0.1 and runs unchanged, but these import paths "
        f"will go: change {', '.join(found)}"
        for name, found in changes.items()
        if found
    ]


def _list_changes(model: str) -> Iterator[str]:
    for text in _read_code(model):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield from _describe_from(node.module, [alias.name for alias in node.names])
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    yield from _describe_path(alias.name)


def _read_code(model: str) -> Iterable[str]:
    """The files of a model's plug-in, or else the file that defines the model, if there is one."""
    plugin = registry.find_plugin(model)
    if plugin is not None and plugin.kind != "object":
        return plugin.files.values()
    try:
        return [inspect.getsource(sys.modules[registry.lookup(model).__module__])]
    except (OSError, TypeError, KeyError):  # a notebook has none
        return []


def _describe_from(module: str, names: Iterable[str]) -> Iterator[str]:
    """What to change in `from module import names`."""
    if module not in NEW_PATHS:
        for name in names:
            yield from _describe_path(f"{module}.{name}")
        return
    yield from _describe_path(module)
    for name in names:
        value: Any = getattr(import_module(module), name, None)
        is_own = getattr(value, "__module__", "").partition(".")[0] in ("harness", "models")
        if is_own and value.__name__ != name:
            yield f"{module}.{name} to {value.__name__}"


def _describe_path(module: str) -> Iterator[str]:
    if module in NEW_PATHS:
        yield f"{module} to {NEW_PATHS[module]}"
