"""Trains packs of cells: the loop, its objective and its optimiser."""
