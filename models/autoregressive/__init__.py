"""Models that draw one pixel after the other, with an exact likelihood."""
