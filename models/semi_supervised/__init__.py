"""Models that learn from few labels."""
