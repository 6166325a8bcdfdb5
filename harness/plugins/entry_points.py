"""The models, data sets and metrics of installed packages, which their entry points name."""

import importlib.util
import sys
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from harness.errors import InputError

ENTRY_POINT_GROUP = "harness.models"
ENTRY_POINT_GROUPS = (ENTRY_POINT_GROUP, "harness.datasets", "harness.metrics")
# the folder of the packages harness and models
PROJECT_ROOT = Path(__file__).resolve().parents[2]


def load_all() -> None:
    """Import every entry point, which registers what it has; InputError if one does not load."""
    for point in find_entry_points():
        bundled = _find_bundled(point.module.partition(".")[0])
        try:
            if bundled is not None:
                _import(bundled)
            point.load()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"the {point.group.removeprefix('harness.')} of the package {point.value!r} do not "
                f"load: {reason}"
            ) from error


def list_packages() -> set[str]:
    """The packages of the entry points."""
    return {point.module.partition(".")[0] for point in find_entry_points()}


def find_entry_points() -> list[metadata.EntryPoint]:
    """The entry points of all groups, of every installed package."""
    return [p for group in ENTRY_POINT_GROUPS for p in metadata.entry_points(group=group)]


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
