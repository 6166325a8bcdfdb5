"""A page in the browser that follows the runs of a store: progress, curves, failures, verdicts."""
