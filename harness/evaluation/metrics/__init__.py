"""Optional metrics, computed only where a grid or a command asks for them by name."""

from harness.evaluation.metrics import active_units as active_units
from harness.evaluation.metrics import bounds as bounds
from harness.evaluation.metrics import frechet as frechet
from harness.evaluation.metrics import kernel_distance as kernel_distance
from harness.evaluation.metrics import knn_accuracy as knn_accuracy
from harness.evaluation.metrics import linear_probe as linear_probe
from harness.evaluation.metrics import manifolds as manifolds
from harness.evaluation.metrics import memorisation as memorisation
