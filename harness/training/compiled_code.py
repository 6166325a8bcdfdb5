"""Which objectives this machine has compiled: a later run finds their code and only loads it."""

import getpass
import hashlib
import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from harness.experiment.cell import Cell
from harness.plugins import registry


def note_compiled(kind: Cell, cells: int, threads: int) -> None:
    """Keep a note that the objective of one kind and size of pack is compiled.

    Only estimates read it, so a folder that cannot be written to is no error.
    """
    note = _find_note(kind, cells, threads)
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()


def is_compiled(kind: Cell, cells: int, threads: int) -> bool:
    """Whether `note_compiled` was called on this machine, and its note was not deleted since."""
    try:
        return _find_note(kind, cells, threads).exists()
    except OSError:
        return False


def _find_note(kind: Cell, cells: int, threads: int) -> Path:
    """The file of a note. It lies beside the code, so that who deletes one deletes the other."""
    code = os.environ.get("TORCHINDUCTOR_CACHE_DIR") or (
        Path(tempfile.gettempdir(), f"torchinductor_{_find_user()}")
    )
    # the code does not depend on the number of steps
    facts = (replace(kind, iterations=0), registry.source_hash(kind.model), cells, threads)
    name = hashlib.sha256(repr((*facts, torch.__version__)).encode()).hexdigest()
    return Path(code, "objectives", name)


def _find_user() -> str:
    """The name of the user, as in Inductor, or the number of one without a name (containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
