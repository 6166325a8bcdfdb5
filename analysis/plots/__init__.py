"""Plots, one a module."""
