"""Commands for results folders: `python -m analysis.folders COMMAND`, a module each."""
