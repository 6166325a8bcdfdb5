"""The parts of a trainer: the tensors of a pack, its learning curves, and its saved state."""
