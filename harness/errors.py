"""Bad input: one clear line for the user, exit code 2."""

import difflib
from collections.abc import Iterable


class BadInput(Exception):
    """What the user gave cannot be used; the message says what was wrong and what was expected."""


def unknown(kind: str, name: str, known: Iterable[str]) -> BadInput:
    """The error for a name that is not in a list, with the nearest name and the whole list.

    >>> str(unknown("model", "vea", ["vae", "gmvae"]))
    "no model 'vea'; did you mean 'vae'? known: gmvae, vae"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return BadInput(f"no {kind} {name!r}; {hint}known: {', '.join(names) or 'none'}")
