"""The sections of the report: a module for each; `SECTIONS` in analysis/report.py lists them."""
