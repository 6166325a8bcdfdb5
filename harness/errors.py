"""Bad input: one clear line for the user, exit code 2. Storage that fails: one clear line, exit code 1."""

import difflib
from collections.abc import Iterable


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
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return BadInput(f"no {kind} {name!r}; {hint}known: {', '.join(names) or 'none'}")
