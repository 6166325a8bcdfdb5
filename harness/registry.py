"""Deprecated name of `harness.plugins.registry`: kept for plug-ins and scripts of version 0.1."""

from harness.plugins.registry import GROUP as GROUP
from harness.plugins.registry import HOME as HOME
from harness.plugins.registry import M as M
from harness.plugins.registry import build as build
from harness.plugins.registry import cards as cards
from harness.plugins.registry import load as load
from harness.plugins.registry import load_plugins as load_plugins
from harness.plugins.registry import load_source as load_source
from harness.plugins.registry import lookup as lookup
from harness.plugins.registry import plugin as plugin
from harness.plugins.registry import refuse_local as refuse_local
from harness.plugins.registry import register as register
from harness.plugins.registry import room as room
from harness.plugins.registry import source as source
from harness.plugins.registry import unheard as unheard
