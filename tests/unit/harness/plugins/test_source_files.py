"""The code of plug-ins: files, folders, packages; identified by content, refused in one line."""

import hashlib
import json
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.plugins import source_files
from harness.plugins.source_files import Plugin, plugin_from_text, read_plugins


def written(folder: Path, **files: str) -> Path:
    """A folder of Python files; the keywords are names without .py."""
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_file_is_known_by_its_text_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("x = 'β'\n", encoding="utf-8")
    (plugin,) = read_plugins([str(file), str(file)])
    assert plugin == Plugin(str(file), "file", {"mine.py": "x = 'β'\n"})
    assert (
        plugin.sha256
        == hashlib.sha256(file.read_bytes()).hexdigest()
        == plugin_from_text("other.py", "x = 'β'\n").sha256
    )
    assert json.loads(plugin.to_json())["files"] == {"mine.py": "x = 'β'\n"}


def test_a_folder_plugin_has_its_modules_and_packages_only(tmp_path: Path) -> None:
    folder = written(
        tmp_path / "own",
        **{"a": "1", "nets/deep": "2", "loose/c": "3", "__main__": "4", "nets/__init__": "5"},
    )
    (folder / "data.txt").write_text("6")
    (folder / ".hidden").mkdir()
    (plugin,) = read_plugins([str(folder)])
    assert plugin.kind == "folder"
    assert plugin.files == {"a.py": "1", "nets/__init__.py": "5", "nets/deep.py": "2"}
    assert plugin.modules == {"a": "a.py", "nets": "nets/__init__.py", "nets.deep": "nets/deep.py"}


def test_a_package_is_imported_by_its_folders_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "mine", __init__="", sub="x = 1")
    monkeypatch.chdir(folder)
    for name in (str(folder), f"{folder}/", "."):
        (plugin,) = read_plugins([name])
        assert (plugin.kind, plugin.package) == ("package", "mine")
        assert set(plugin.modules) == {"mine", "mine.sub"}


def test_folders_are_told_apart_by_text_path_and_package(tmp_path: Path) -> None:
    folders = [
        written(tmp_path / "a", x="1"),
        written(tmp_path / "b", x="2"),
        written(tmp_path / "c", y="1"),
        written(tmp_path / "d", __init__=""),
        written(tmp_path / "e", __init__=""),
    ]
    assert len({plugin.sha256 for plugin in read_plugins(map(str, folders))}) == len(folders)
    assert (
        read_plugins([str(written(tmp_path / "f", x="1"))])[0].sha256
        == read_plugins([str(folders[0])])[0].sha256
    )


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.py", binary):
        with pytest.raises(
            InputError,
            match=rf"\Amodel file '{path}' cannot be read [^\n]*; expected a Python file or a",
        ):
            read_plugins([str(path)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError,
        match=r"\Amodel folder '[^\n]*empty' holds no Python file; expected one or more, 8 MiB",
    ):
        read_plugins([str(tmp_path / "empty")])
    with pytest.raises(
        InputError,
        match=r"\A'[^\n]*binary.py' cannot be read [^\n]*; expected Python files in folder",
    ):
        read_plugins([str(tmp_path)])


def test_names_that_python_cannot_import_are_refused_in_one_line(tmp_path: Path) -> None:
    for folder in (
        written(tmp_path / "own", **{"my-model": ""}),
        written(tmp_path / "my-package", __init__=""),
    ):
        with pytest.raises(
            InputError, match=r"\A'[^\n]*' makes a module 'my-\w+'; expected a name that Python can"
        ):
            read_plugins([str(folder)])


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_files, "MAX_PLUGIN_BYTES", 3)
    with pytest.raises(InputError, match="holds 0 MiB of Python files; expected one or more"):
        read_plugins([str(written(tmp_path / "own", a="1234"))])
