"""Data frames of a results folder: rows, arms, their names, and what is known of how they came to
be.
"""
