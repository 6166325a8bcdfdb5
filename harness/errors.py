"""Bad input: one clear line for the user, exit code 2. Storage that fails: one clear line, exit
code 1.
"""

import difflib
import re
import reprlib
from collections.abc import Iterable

SHORT = 80  # characters of what was given that an error repeats
NAMED = 40  # known names that an error lists
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = SHORT


class BadInput(Exception):
    """What the user gave cannot be used; the message says what was wrong and what was expected."""


class StorageFailure(OSError):
    """Results can no longer be read or written; what was finished before is kept."""

    def __init__(self, place: str, reason: str):
        super().__init__(place, reason)
        self.place, self.reason = place, reason

    @property
    def told(self) -> str:
        """What failed, and where."""
        return f"results {self.place}: {self.reason}"

    def __str__(self) -> str:
        return f"{self.told}; finished cells are kept, and the same command goes on from here"


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that is not in a list, with the nearest name and the whole list.

    >>> str(unknown("model", "vea", ["vae", "gmvae"]))
    "no model 'vea'; did you mean 'vae'? known: gmvae, vae"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1) if len(name) <= SHORT else []
    hint = f"did you mean {near[0]!r}? " if near else ""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return BadInput(
        f"no {kind} {given(name)}; {hint}known: {', '.join(names[:NAMED]) or 'none'}{more}"
    )


def given(value: object) -> str:
    """What was given, as Python writes it and in a few words, however large it is.

    >>> given("ten"), given([1.5, None]), given("x" * 1000)[-9:]
    ("'ten'", '[1.5, None]', "xxxxxxxx'")
    """
    try:
        return shortened(_REPR.repr(value))
    except ValueError:  # an integer of thousands of digits
        return f"a huge {type(value).__name__}"


def shortened(text: str) -> str:
    """The beginning of a text, and … where there is more."""
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def plain(text: str) -> str:
    """Text in which no character commands the terminal or breaks the line.

    >>> plain("red \\x1b[31m and\\nmore")
    'red  [31m and more'
    """
    return _CONTROL.sub(" ", text)
