"""Studies whose trials a user's own searcher or scheduler of Ray Tune runs."""
