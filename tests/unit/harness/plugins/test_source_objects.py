"""The text of a class or function that a script or notebook defines, and what it uses."""

import hashlib
import linecache
from typing import Any

import pytest

from harness.errors import InputError
from harness.plugins import registry
from harness.plugins.source_objects import read_source
from tests.conftest import readme_model

CLASS = "class Shape:\n    def area(self):\n        return 2\n"
USING = '''\
import math

SIDE = 3
table = [1, 2]


def unused():
    return table


def square(x):
    return x * SIDE


class Plain:
    def f(self):
        return 1


@str.format
class Marked(Plain):
    pass


class Shape(Plain):
    """A square."""

    def area(self, SCALE=1):
        return square(math.pi) + table[0] + SCALE
'''


def run_cell(text: str, name: str = "cell 1", **space: Any) -> dict[str, Any]:
    """Run text as a cell of a notebook: it is in no file, and Python can show its lines."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    values = {"__name__": "no_such_module", **space}
    exec(compile(text, name, "exec"), values)
    return values


def test_a_class_that_uses_nothing_is_its_own_text() -> None:
    assert read_source(run_cell(f"\n\n{CLASS}\nx = 1")["Shape"]) == CLASS


def test_the_functions_classes_and_constants_that_it_uses_come_first() -> None:
    text = USING.replace("@str.format\nclass Marked(Plain):\n    pass\n", "")
    assert read_source(run_cell(text)["Shape"]) == (
        "class Plain:\n    def f(self):\n        return 1\n\n\n"
        "SIDE = 3\n\n\n"
        "def square(x):\n    return x * SIDE\n\n\n"
        'class Shape(Plain):\n    """A square."""\n\n    def area(self, SCALE=1):\n'
        "        return square(math.pi) + table[0] + SCALE\n"
    )


def test_decorators_are_part_of_the_text() -> None:
    text = f"def keep(value):\n    return value\n\n@keep\n{CLASS}"
    assert read_source(run_cell(text)["Shape"]).endswith(f"@keep\n{CLASS}")


def test_a_recursive_function_is_read_once() -> None:
    text = "def f(n):\n    return g(n)\n\ndef g(n):\n    return f(n - 1)\n"
    assert read_source(run_cell(text)["f"]).count("def f") == 1


def test_a_class_inside_a_function_is_dedented() -> None:
    inner = "".join(f"    {line}\n" for line in CLASS.splitlines())
    text = f"def make():\n{inner}    return Shape\n"
    assert read_source(run_cell(text)["make"]()) == CLASS


def test_a_text_that_is_not_known_is_refused_in_one_line() -> None:
    space: dict[str, Any] = {"__name__": "no_such_module"}
    exec(CLASS, space)
    with pytest.raises(InputError, match=r"^the source code of 'Shape' is not known; expected a"):
        read_source(space["Shape"])


# --- as a plug-in ---------------------------------------------------------------------------------


def test_a_registered_class_is_a_plugin_known_by_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.cards()
    monkeypatch.setattr(registry, "_models", dict(registry._models))
    text = readme_model()
    for name in ("cell 1", "cell 2"):  # a cell that is run again
        linear = run_cell(text, name)["Linear"]
        (plugin,) = registry.load_plugins([linear])
        assert (plugin.name, plugin.kind) == ("no_such_module.Linear", "object")
        assert plugin.files["Linear.py"].endswith(text[text.index("@register") :])
        source = hashlib.sha256(plugin.files["Linear.py"].encode()).hexdigest()
        assert registry.source_hash("linear") == plugin.sha256 == source
        assert registry.lookup("linear") is linear
        registry.refuse_local(["linear"], [plugin])
        with pytest.raises(InputError, match=r"hand it over in Python \(plugins=\[Linear\]\)"):
            registry.refuse_local(["linear"], [])  # as in a later run without it


def test_another_process_registers_it_from_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.cards()
    before = dict(registry._models)
    monkeypatch.setattr(registry, "_models", dict(before))
    linear = run_cell(readme_model())["Linear"]
    plugin = registry.plugin_from_object(linear)
    monkeypatch.setattr(registry, "_models", dict(before))
    registry.load(plugin)
    assert registry.lookup("linear") is linear
    assert registry.find_plugin("linear") is plugin


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "plug-in 3: expected a path, or a class or function with @register"),
        (Exception, "plug-in 'Exception' is not registered; expected"),
    ],
)
def test_what_is_no_plugin_is_refused_in_one_line(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        registry.load_plugins([value])
