"""Deprecated name of `models.networks`: kept for plug-ins and scripts of version 0.1."""

from models.networks import ELU as ELU
from models.networks import HIDDEN as HIDDEN
from models.networks import Encoder as Encoder
from models.networks import checked as checked
from models.networks import decoder as decoder
from models.networks import mlp as mlp
