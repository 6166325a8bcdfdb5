"""The command line: flags, the steps of a run, `--list`, `--dry-run` and `--status`."""
