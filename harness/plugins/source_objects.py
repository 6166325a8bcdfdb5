"""The source code of a class or function that a script or a notebook defines itself.

It is the text of the object, after that of the functions, classes and plain constants of its own
module that it uses. Values of other kinds travel with the object and are in no text.
"""

import ast
import inspect
import linecache
import symtable
import textwrap
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

from harness.errors import InputError


def read_source(value: Any) -> str:
    """The text of a class or function; InputError where Python does not know it."""
    return "\n\n".join(_collect_texts(value, set()))


def _collect_texts(value: Any, seen: set[str]) -> Iterator[str]:
    """The texts of what a class or function uses, each once, and then its own."""
    text, space = _read_text(value), _namespace(value)
    seen.add(value.__qualname__)
    for name in sorted({*_global_names(text)}):
        used = space.get(name)
        if name in seen or name not in space:
            continue
        if isinstance(used, (bool, int, float, str)):
            seen.add(name)
            yield f"{name} = {used!r}\n"
        elif _is_of_same_module(used, value):
            yield from _collect_texts(used, seen)
    yield text


def _is_of_same_module(used: Any, value: Any) -> bool:
    """Whether a class or function is of the same module as another one."""
    is_code = isinstance(used, (type, FunctionType))
    return is_code and used.__module__ == value.__module__


def _global_names(text: str) -> Iterator[str]:
    """The names that code looks up in its module.

    >>> list(_global_names("def f(x: T) -> int:\\n    y = g(x)\\n    return y"))
    ['T', 'int', 'g']
    """
    yield from _names_of_table(symtable.symtable(text, "", "exec"))


def _names_of_table(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        is_free = symbol.is_global() or table.get_type() == "module"
        if symbol.is_referenced() and is_free and not symbol.is_assigned():
            yield symbol.get_name()
    for child in table.get_children():
        yield from _names_of_table(child)


def _namespace(value: Any) -> Mapping[str, Any]:
    """The module's names that a class or function looks up."""
    methods = [value] if isinstance(value, FunctionType) else _own_methods(value)
    return methods[0].__globals__ if methods else {}


def _own_methods(value: type) -> list[FunctionType]:
    """The functions that the body of a class defines."""
    return [
        method
        for method in vars(value).values()
        if isinstance(method, FunctionType)
        and method.__qualname__.startswith(f"{value.__qualname__}.")
    ]


def _read_text(value: Any) -> str:
    """The text of one class or function, without indentation."""
    try:
        text = _read_class(value) if isinstance(value, type) else inspect.getsource(value)
    except (OSError, TypeError, SyntaxError):
        raise InputError(
            f"the source code of {value.__qualname__!r} is not known; expected a class or function "
            "that a file or a notebook cell defines"
        ) from None
    return textwrap.dedent(text)


def _read_class(value: type) -> str:
    """The text of a class, found by the lines of one of its methods.

    `inspect.getsource` finds no class of a notebook before Python 3.13.
    """
    for method in _own_methods(value):
        lines = linecache.getlines(method.__code__.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == value.__name__:
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                last = node.end_lineno or first
                if first <= method.__code__.co_firstlineno <= last:
                    return "".join(lines[first - 1 : last])
    return inspect.getsource(value)
