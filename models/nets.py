"""Deprecated path of version 0.1 to networks: use `models.networks`."""

from models.networks import ELU as ELU
from models.networks import HIDDEN as HIDDEN
from models.networks import Encoder as Encoder
from models.networks import decoder as decoder
from models.networks import mlp as mlp
from models.networks import positive as checked

__all__ = ["ELU", "HIDDEN", "Encoder", "checked", "decoder", "mlp"]
