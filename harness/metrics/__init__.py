"""Optional metrics, computed only where a grid or a command asks for them by name."""

from harness.metrics import active_units as active_units
from harness.metrics import bounds as bounds
from harness.metrics import class_accuracy as class_accuracy
from harness.metrics import disentanglement as disentanglement
from harness.metrics import features as features
from harness.metrics import knn_accuracy as knn_accuracy
from harness.metrics import linear_probe as linear_probe
from harness.metrics import memorisation as memorisation
