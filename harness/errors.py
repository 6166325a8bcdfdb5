"""The errors that end a command with one line.

Exception
├── InputError      bad input: exit code 2
├── StalledError    a run without progress: exit code 1
└── OSError
    └── StorageError    results that cannot be read or written: exit code 1
"""

import difflib
import re
import reprlib
from collections.abc import Iterable

MAX_QUOTED_LENGTH = 80  # characters of what was given that an error repeats
MAX_NAMES = 40  # known names that an error lists
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = MAX_QUOTED_LENGTH


class InputError(Exception):
    """What the user gave cannot be used; the message says what was wrong and what was expected."""


class StorageError(OSError):
    """Results can no longer be read or written; what was finished before is kept."""

    def __init__(self, location: str, reason: str):
        super().__init__(location, reason)
        self.location, self.reason = location, reason

    @property
    def description(self) -> str:
        """What failed, and where."""
        return f"results {self.location}: {self.reason}"

    def __str__(self) -> str:
        return (
            f"{self.description}; finished cells are kept, and the same command goes on from here"
        )


class StalledError(Exception):
    """A run was ended: it made no progress, or its results could not be stored."""


BadInput, StorageFailure = InputError, StorageError  # their names in version 0.1


def unknown_name_error(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a list, with the nearest name and the whole list.

    >>> str(unknown_name_error("model", "vea", ["vae", "gmvae"]))
    "no model 'vea'; did you mean 'vae'? known: gmvae, vae"
    """
    names = sorted(known)
    closest = difflib.get_close_matches(name, names, n=1) if len(name) <= MAX_QUOTED_LENGTH else []
    hint = f"did you mean {closest[0]!r}? " if closest else ""
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return InputError(
        f"no {kind} {short_repr(name)}; {hint}known: {', '.join(names[:MAX_NAMES]) or 'none'}{more}"
    )


def short_repr(value: object) -> str:
    """What was given, as Python writes it and in a few words, however large it is.

    >>> short_repr("ten"), short_repr([1.5, None]), short_repr("x" * 1000)[-9:]
    ("'ten'", '[1.5, None]', "xxxxxxxx'")
    """
    try:
        return truncate(_REPR.repr(value))
    except ValueError:  # an integer of thousands of digits
        return f"a huge {type(value).__name__}"


def truncate(text: str) -> str:
    """The beginning of a text, and … where there is more."""
    return text if len(text) <= MAX_QUOTED_LENGTH else f"{text[: MAX_QUOTED_LENGTH - 1]}…"


def strip_control_chars(text: str) -> str:
    """Text in which no character commands the terminal or breaks the line.

    >>> strip_control_chars("red \\x1b[31m and\\nmore")
    'red  [31m and more'
    """
    return _CONTROL.sub(" ", text)
