"""Arms against each other: pairs, tests and verdicts."""
