"""The harness: knows how to run any model and names none."""
