"""The source code of a plug-in: a file, a folder of modules, a package, or an object of a script.

It is read once, sent to the workers, and stored beside the results. Rows name it by its SHA-256.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from harness.errors import InputError

PluginKind = Literal["file", "folder", "package", "object"]
MAX_PLUGIN_BYTES = 8 * 2**20  # of one plug-in, which is copied to every worker


@dataclass(frozen=True)
class Plugin:
    """The source code of a plug-in.

    name: its path as the user gave it, or the full name of an object
    files: the code by path inside the plug-in
    package: the name of the package, or of the module of an object; empty for other kinds
    objects: of an object, what it is registered as, by name, in each of the registries; it travels
        by value
    """

    name: str
    kind: PluginKind
    files: Mapping[str, str]
    package: str = ""
    objects: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the code of a file or an object, or of a folder's files as canonical JSON."""
        if self.kind in ("file", "object"):
            (content,) = self.files.values()
        else:
            content = json.dumps([self.package, dict(self.files)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @cached_property
    def modules(self) -> Mapping[str, str]:
        """The path of each module, by the name that it is imported by.

        The module of a single file gets a name that hides no other module. An object has none.
        """
        if self.kind == "object":
            return {}
        if self.kind == "file":
            return dict.fromkeys([re.sub(r"\W", "_", f"plugin {self.name}")], *self.files)
        return {_module_name(self.package, path): path for path in self.files}

    def display_path(self, path: str) -> str:
        """The path of a file as it is shown to people and in tracebacks."""
        return self.name if self.kind == "file" else f"{self.name.rstrip('/')}/{path}"

    def to_json(self) -> bytes:
        """The content of the stored file: kind, package and code."""
        record = {"kind": self.kind, "package": self.package, "files": dict(self.files)}
        return json.dumps(record, indent=1, ensure_ascii=False).encode()


def plugin_from_text(name: str, text: str) -> Plugin:
    """A plug-in of one file."""
    return Plugin(name, "file", {Path(name).name: text})


def read_plugins(names: Iterable[str]) -> tuple[Plugin, ...]:
    """The plug-ins at these paths, each once; InputError if one cannot be read."""
    return tuple(
        _read_folder(name) if Path(name).is_dir() else _read_file(name)
        for name in dict.fromkeys(names)
    )


def _read_file(name: str) -> Plugin:
    return plugin_from_text(
        name,
        _read_text(
            Path(name), f"model file {name!r} cannot be read", "expected a Python file or a folder"
        ),
    )


def _read_folder(name: str) -> Plugin:
    root = Path(name)
    try:
        paths = list(_python_files(root))
    except OSError as error:
        raise InputError(
            f"model folder {name!r} cannot be read ({error}); expected a folder of Python files"
        ) from None
    size = sum(path.stat().st_size for path in paths)
    if not paths or size > MAX_PLUGIN_BYTES:
        contents = f"{size / 2**20:.0f} MiB of Python files" if paths else "no Python file"
        raise InputError(
            f"model folder {name!r} holds {contents}; expected one or more, "
            f"{MAX_PLUGIN_BYTES / 2**20:.0f} MiB at most"
        )
    expected = f"expected Python files in folder {name!r}"
    files = {
        str(path.relative_to(root)): _read_text(path, f"{str(path)!r} cannot be read", expected)
        for path in paths
    }
    is_package = "__init__.py" in files
    plugin = Plugin(
        name,
        "package" if is_package else "folder",
        files,
        root.resolve().name if is_package else "",
    )
    _check_names(plugin)
    return plugin


def _python_files(folder: Path) -> Iterator[Path]:
    """The Python files of a folder and of the packages in it, sorted.

    Files that Python cannot import by name are left out.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py" and path.is_file() and path.name != "__main__.py":
            yield path
        elif path.is_dir() and not path.is_symlink() and (path / "__init__.py").is_file():
            yield from _python_files(path)


def _read_text(path: Path, problem: str, expected: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{problem} ({error}); {expected}") from None


def _check_names(plugin: Plugin) -> None:
    """Refuse files whose names cannot be imported."""
    for module, path in plugin.modules.items():
        if not all(part.isidentifier() for part in module.split(".")):
            raise InputError(
                f"{plugin.display_path(path)!r} makes a module {module!r}; expected a name that "
                "Python can import: letters, digits and _"
            )


def _module_name(package: str, path: str) -> str:
    """The module name of a path.

    >>> _module_name("mine", "nets/__init__.py"), _module_name("", "helper.py")
    ('mine.nets', 'helper')
    """
    parts = [package, *Path(path).with_suffix("").parts]
    return ".".join(part for part in parts if part and part != "__init__")
