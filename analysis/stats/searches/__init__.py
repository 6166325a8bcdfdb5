"""Statistics of random searches."""
