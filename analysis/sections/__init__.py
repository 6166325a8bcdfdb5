"""The report, one section a module."""
