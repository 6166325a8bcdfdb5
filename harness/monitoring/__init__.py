"""The progress and the status of a run."""
