"""A line on the terminal that says what takes long before a run shows its progress."""

from contextlib import AbstractContextManager, nullcontext

from rich.console import Console


def show_phase(name: str, shown: bool = True) -> AbstractContextManager[object]:
    """Show a phase while the context is open; nothing where standard error is no terminal."""
    console = Console(stderr=True)
    if shown and console.is_terminal and not console.is_dumb_terminal:
        return console.status(f"{name} …")
    return nullcontext()
