"""Imports plug-ins from their source code, without looking for it on this machine's disk.

Modules of a folder import each other by their plain names, those of a package relatively or by the
package's name. Tracebacks show the code that was loaded, even if the file has changed since.
"""

import importlib
import importlib.util
import linecache
import sys
from collections.abc import Sequence
from importlib.abc import ExecutionLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from harness.errors import InputError
from harness.plugins.source_files import Plugin


class _PluginFinder(ExecutionLoader, MetaPathFinder):
    """Finds and loads the modules of one plug-in."""

    def __init__(self, plugin: Plugin):
        self.plugin = plugin

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.plugin.modules:
            return None
        spec = ModuleSpec(
            fullname, self, origin=self.get_filename(fullname), is_package=self.is_package(fullname)
        )
        spec.has_location = True
        return spec

    def is_package(self, fullname: str) -> bool:
        return Path(self.plugin.modules[fullname]).name == "__init__.py"

    def get_filename(self, fullname: str) -> str:
        return self.plugin.display_path(self.plugin.modules[fullname])

    def get_source(self, fullname: str) -> str:
        return self.plugin.files[self.plugin.modules[fullname]]


HARNESS = Path(__file__).resolve().parents[1]  # the folder of this package
_finders: dict[str, _PluginFinder] = {}  # by the plug-in's name


def import_modules(plugin: Plugin) -> None:
    """Import every module of a plug-in.

    If one fails to load, InputError says so in one line and nothing stays imported.
    """
    label = f"model {'file' if plugin.kind == 'file' else 'folder'} {plugin.name!r}"
    _check_names_are_free(plugin, label)
    for module in plugin.modules:
        sys.modules.pop(module, None)
    _finders[plugin.name] = _PluginFinder(plugin)
    sys.meta_path.insert(0, _finders[plugin.name])
    for path, text in plugin.files.items():
        linecache.cache[plugin.display_path(path)] = (
            len(text),
            None,
            text.splitlines(keepends=True),
            plugin.display_path(path),
        )
    for module, path in plugin.modules.items():
        try:
            importlib.import_module(module)
        except InputError:
            unload(plugin)
            raise
        except (Exception, SystemExit) as error:
            unload(plugin)
            location = "" if plugin.kind == "file" else f": {path}"
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"{label}{location} does not load: {reason}{_hint(plugin, error)}"
            ) from error


def unload(plugin: Plugin) -> None:
    """Remove the modules of a plug-in."""
    finder = _finders.pop(plugin.name, None)
    if finder in sys.meta_path:
        sys.meta_path.remove(finder)
    for module in plugin.modules:
        sys.modules.pop(module, None)


def _check_names_are_free(plugin: Plugin, label: str) -> None:
    """Refuse names of other modules, loaded or installed.

    The plug-in's own file may be found on the path and does not count.
    """
    for module, path in plugin.modules.items():
        if "." in module:
            continue
        origin = _find_other_module(module)
        if origin is not None and not _has_text(origin, plugin.files[path]):
            problem = f"{label}: {path} makes a module {module!r}, a name that is taken by {origin}"
            raise InputError(f"{problem}; expected another name")


def _find_other_module(module: str) -> str | None:
    """Where another module of this name comes from, None if there is none.

    `python harness/bench.py` puts the harness's folder on the path; its files do not count, as
    nobody imports them by their plain names.
    """
    if module in sys.stdlib_module_names:
        return "Python's own"
    if module in sys.modules:
        return str(getattr(sys.modules[module], "__file__", None) or "a module of this process")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.loader is None or spec.origin is None:
        return None
    return None if HARNESS in Path(spec.origin).parents else spec.origin


def _has_text(path: str, text: str) -> bool:
    try:
        return Path(path).read_text(encoding="utf-8-sig") == text
    except (OSError, UnicodeDecodeError):
        return False


def _hint(plugin: Plugin, error: BaseException) -> str:
    """Advice for a single file that imports another one beside it, else an empty text."""
    if plugin.kind != "file" or not isinstance(error, ImportError):
        return ""
    sibling = (error.name or "").partition(".")[0]
    folder = Path(plugin.name).parent
    sibling_files = [folder / f"{sibling}.py", folder / sibling / "__init__.py"] if sibling else []
    if "relative import" in str(error) or (
        sibling not in sys.modules and any(path.is_file() for path in sibling_files)
    ):
        return "; one file brings none that lies beside it: give the folder (--plugin FOLDER)"
    return ""
