"""Checkpoints: the training state of a cell in the store, from which its training is resumed."""

import time
from collections.abc import Container

from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.storage import tensor_file
from harness.storage.layout import checkpoint_key
from harness.storage.store import Store
from harness.training.pack.cell_state import CellState
from harness.training.trainer import PackTrainer


class CheckpointWriter:
    """Writes the checkpoints of a pack, at most once for each step."""

    def __init__(self, store: Store, pack: PackTrainer):
        self.store, self.pack = store, pack
        self.saved_step, self.saved_at = pack.step, time.monotonic()

    def save(self, ended: Container[str] = ()) -> bool:
        """Write the checkpoints of the present step; False if they are written already.

        Cells whose ids are in `ended`, and those that diverged, get none.
        """
        if self.pack.step == self.saved_step:
            return False
        save_checkpoints(self.store, self.pack, ended)
        self.saved_step = self.pack.step
        return True

    def save_if_due(self, seconds: float, ended: Container[str] = ()) -> bool:
        """Save if `seconds` have passed since the last time; whether anything was written."""
        if time.monotonic() - self.saved_at < seconds:
            return False
        saved = self.save(ended)
        self.saved_at = time.monotonic()
        return saved


def save_checkpoints(store: Store, pack: PackTrainer, ended: Container[str] = ()) -> None:
    """Write the state of every cell of a pack that is not in `ended` (ids) and did not diverge."""
    for index, cell in enumerate(pack.cells):
        if cell.id not in ended and pack.diverged_at[index] < 0:
            state = pack.extract_state(index)
            record = {"step": state.step, "seconds": state.seconds, "curve": state.curve}
            record["source"] = registry.source_hash(cell.model)
            store.write(checkpoint_key(cell), tensor_file.dump(state.tensors, record))


def load_checkpoint(store: Store, cell: Cell) -> CellState | None:
    """The saved state of a cell; None where there is none, or another version of its plug-in wrote
    it, or a later rung of its trial.
    """
    content = store.read(checkpoint_key(cell))
    if content is None:
        return None
    tensors, record = tensor_file.parse(content)
    if record.get("source") != registry.source_hash(cell.model) or record["step"] > cell.iterations:
        return None
    return CellState(tensors, record["step"], record["seconds"], record["curve"])
