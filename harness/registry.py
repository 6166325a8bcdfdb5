"""Deprecated path of version 0.1 to the registry of models: use `harness.plugins.registry`."""

from harness.plugins.entry_points import ENTRY_POINT_GROUP as GROUP
from harness.plugins.entry_points import PROJECT_ROOT as HOME
from harness.plugins.registry import build as build
from harness.plugins.registry import cards as cards
from harness.plugins.registry import describe_unused_changes as unheard
from harness.plugins.registry import find_plugin as plugin
from harness.plugins.registry import isolate_model as room
from harness.plugins.registry import load as load
from harness.plugins.registry import load_source as load_source
from harness.plugins.registry import lookup as lookup
from harness.plugins.registry import refuse_local as refuse_local
from harness.plugins.registry import register as register
from harness.plugins.registry import source_hash as source

__all__ = [
    "GROUP",
    "HOME",
    "build",
    "cards",
    "load",
    "load_source",
    "lookup",
    "plugin",
    "refuse_local",
    "register",
    "room",
    "source",
    "unheard",
]
