"""Plots: each module draws one kind of figure."""
