"""Where the files of one cell lie in a results folder."""

from harness.experiment.cell import Cell


def checkpoint_key(cell: Cell) -> str:
    """Where a cell's training state lies in the store."""
    return f"checkpoints/{cell.id}.safetensors"


def log_key(cell: str) -> str:
    """Where what a failed cell (its id) said last lies in the store."""
    return f"logs/{cell}.txt"


def weights_key(cell: Cell) -> str:
    """Where a cell's final weights lie in the store."""
    return f"weights/{cell.id}.safetensors"


def scores_key(cell: str) -> str:
    """Where the scores of a cell (its id) lie until its row is written."""
    return f"scores/{cell}.safetensors"
