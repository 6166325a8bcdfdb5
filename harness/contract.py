"""Deprecated path of version 0.1 to the contract of models: use `harness.plugins.model`."""

from harness.plugins.model import CLASSES as CLASSES
from harness.plugins.model import PIXELS as PIXELS
from harness.plugins.model import Batch as Batch
from harness.plugins.model import Classifier as Classifier
from harness.plugins.model import ImportanceWeighted as ImportanceWeighted
from harness.plugins.model import Model as Model
from harness.plugins.model import Noise as Noise
from harness.plugins.model import Reconstructing as Reconstructing
from harness.plugins.model import Shape as Shape
from harness.plugins.model import Terms as Terms
from harness.plugins.model import draw_noise as draw_noise

__all__ = [
    "CLASSES",
    "PIXELS",
    "Batch",
    "Classifier",
    "ImportanceWeighted",
    "Model",
    "Noise",
    "Reconstructing",
    "Shape",
    "Terms",
    "draw_noise",
]
