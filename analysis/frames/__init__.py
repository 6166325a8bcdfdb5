"""Data frames of a results folder: rows, arms and their names, declared comparisons."""
