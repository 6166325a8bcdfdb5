"""The command line: flags, the plan of a run, and what `--list`, `--dry-run` and `--status` print."""
