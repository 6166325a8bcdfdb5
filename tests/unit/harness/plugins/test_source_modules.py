"""Importing plug-ins: siblings, packages, names that are taken, tracebacks, unloading."""

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.plugins import source_modules
from harness.plugins.source_files import Plugin, plugin_from_text, read_plugins
from tests.unit.harness.plugins.test_source_files import written


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """No modules of plug-ins are left after a test."""
    before = set(source_modules._finders)
    yield
    for name in set(source_modules._finders) - before:
        source_modules.unload(source_modules._finders[name].plugin)


def loaded(folder: Path, **files: str) -> Plugin:
    (plugin,) = read_plugins([str(written(folder, **files))])
    source_modules.import_modules(plugin)
    return plugin


def test_modules_of_a_folder_import_each_other_by_plain_name(tmp_path: Path) -> None:
    loaded(
        tmp_path / "own",
        a_model="from a_helper import net\nfrom a_nets.deep import y",
        a_helper="net = 3",
        **{"a_nets/__init__": "", "a_nets/deep": "y = 4"},
    )
    assert sys.modules["a_model"].net == 3
    assert sys.modules["a_model"].y == 4


def test_a_package_imports_relatively_and_by_name(tmp_path: Path) -> None:
    files = {
        "__init__": "from .one import x\nimport a_package.two",
        "one": "x = 1",
        "two": "from . import one",
    }
    loaded(tmp_path / "a_package", **files)
    assert sys.modules["a_package"].x == 1
    assert sys.modules["a_package.two"].one is sys.modules["a_package.one"]


def test_the_files_themselves_are_not_needed_any_more(tmp_path: Path) -> None:
    """A worker has only the code, not the files."""
    folder = written(
        tmp_path / "own",
        b_model="def late():\n    from b_helper import net\n    return net",
        b_helper="net = 3",
    )
    (plugin,) = read_plugins([str(folder)])
    for path in folder.iterdir():
        path.unlink()
    source_modules.import_modules(plugin)
    assert sys.modules["b_model"].late() == 3


def test_tracebacks_show_the_text_that_was_loaded(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def fails():\n    return 1 / 0  # here\n")
    (plugin,) = read_plugins([str(file)])
    source_modules.import_modules(plugin)
    file.write_text("edited since\n" * 5)
    (module,) = plugin.modules
    with pytest.raises(ZeroDivisionError) as caught:
        sys.modules[module].fails()
    shown = "".join(traceback.format_exception(caught.value))
    assert f'File "{file}", line 2, in fails\n    return 1 / 0  # here' in shown


@pytest.mark.parametrize("name", ["json", "yaml", "harness", "models", "test_source_modules"])
def test_a_name_that_is_taken_is_refused_in_one_line(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Standard, installed, imported and merely importable modules."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    before = sys.modules.get(name)
    with pytest.raises(
        InputError,
        match=rf"\Amodel folder '[^\n]*own': {name}.py makes a module '{name}', a name that is",
    ):
        loaded(tmp_path / "own", **{name: "x = 1"})
    assert sys.modules.get(name) is before


def test_the_harnesss_own_files_take_no_plain_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python harness/bench.py` puts their folder on the path."""
    monkeypatch.syspath_prepend(str(Path(source_modules.__file__).parents[1]))
    loaded(tmp_path / "own", errors="x = 1", data="x = 2", g_model="import data, errors")
    assert (sys.modules["g_model"].errors.x, sys.modules["g_model"].data.x) == (1, 2)


def test_a_helpers_name_may_be_taken_by_another_plugin(tmp_path: Path) -> None:
    first = loaded(tmp_path / "a", c_helper="x = 1")
    with pytest.raises(
        InputError,
        match=r"\Amodel folder '[^\n]*/b': [^\n]* taken by [^\n]*/a/c_helper\.py; expected",
    ):
        loaded(tmp_path / "b", c_helper="x = 2")
    source_modules.unload(first)
    loaded(tmp_path / "b", c_helper="x = 2")
    assert sys.modules["c_helper"].x == 2


def test_ones_own_file_on_the_path_is_not_another_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command may run in the folder of the plug-in.

    `python -m` and notebooks put that folder on the path.
    """
    monkeypatch.syspath_prepend(str(written(tmp_path / "own", d_helper="x = 1")))
    import d_helper  # type: ignore[import-not-found]

    loaded(tmp_path / "own", d_helper="x = 1")
    assert sys.modules["d_helper"] is not d_helper


def test_a_file_without_its_sibling_gets_a_hint(tmp_path: Path) -> None:
    written(tmp_path, e_helper="net = 3", **{"e_nets/__init__": ""})
    for line in ("from e_helper import net", "import e_nets.x", "from .e_helper import net"):
        with pytest.raises(
            InputError,
            match=r"\Amodel file '[^\n]*' does not load: [^\n]*: give the folder \(--plugin F",
        ):
            source_modules.import_modules(plugin_from_text(str(tmp_path / "mine.py"), line))
    with pytest.raises(InputError, match=r"No module named 'e_nothing'\Z"):
        source_modules.import_modules(
            plugin_from_text(str(tmp_path / "mine.py"), "import e_nothing")
        )


@pytest.mark.parametrize("fault", ["1 / 0", "raise SystemExit(3)", "def f(:", "import e_nothing"])
def test_a_folder_that_fails_names_its_module(tmp_path: Path, fault: str) -> None:
    path, modules = list(sys.meta_path), set(sys.modules)
    with pytest.raises(
        InputError, match=r"\Amodel folder '[^\n]*own': f_two\.py does not load: \w+: [^\n]+\Z"
    ):
        loaded(tmp_path / "own", f_one="x = 1", f_two=fault)
    assert sys.meta_path == path
    assert not {name for name in set(sys.modules) - modules if name.startswith("f_")}
