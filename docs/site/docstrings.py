"""Docstrings as Markdown: lists of arguments become lists, and examples become code."""

import re
from typing import Any

from griffe import Extension, Object

ARGUMENT = re.compile(r"(?P<names>[a-z_*][\w*, ]*): (?P<text>.*)")


class PlainDocstrings(Extension):
    """Rewrites the docstring of every object that is shown."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(text: str) -> str:
    r"""The paragraphs of a docstring in Markdown.

    >>> to_markdown("Add.\n\na, b: numbers\nc: a name\n    of the sum\n\n>>> 1 + 1\n2")
    'Add.\n\n- `a, b`: numbers\n- `c`: a name\n    of the sum\n\n```python\n>>> 1 + 1\n2\n```'
    """
    return "\n\n".join(map(_convert_paragraph, text.split("\n\n")))


def _convert_paragraph(paragraph: str) -> str:
    if paragraph.startswith(">>>"):
        return f"```python\n{paragraph}\n```"
    lines = paragraph.splitlines()
    if not ARGUMENT.fullmatch(lines[0]):
        return paragraph
    return "\n".join(_convert_line(line) for line in lines)


def _convert_line(line: str) -> str:
    match = ARGUMENT.fullmatch(line)
    return f"- `{match['names']}`: {match['text']}" if match else line
