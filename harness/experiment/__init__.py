"""The experiment as frozen values: cells, grids, scores and seeds."""
