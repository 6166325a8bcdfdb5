"""Plug-in models of the field, one file each; `docs/plug-ins.md` has a table of them."""
