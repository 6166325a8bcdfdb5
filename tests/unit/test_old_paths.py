"""The names that plug-ins of version 0.1 import still exist at their old paths."""

from importlib import import_module

import pytest

PUBLIC = {
    "harness.contract": "PIXELS CLASSES Shape Noise Batch Terms Model ImportanceWeighted "
    "Reconstructing Classifier draw_noise",
    "harness.registry": "GROUP HOME register lookup cards build load load_source plugin source "
    "room unheard refuse_local",
    "harness.store": "TABLE STAMPS SETTLED Pictures Found Store place",
    "harness.schema": "Status Estimator Row Column COLUMNS NAMES VERSION SCHEMA CURVE LATER "
    "CURVE_LATER INDEX ARM TOLERANCE describe row estimator adds_up known fitted",
    "harness.grid": "Supervision Setting SHIPPED DATASETS IWAE_SAMPLES SAMPLES BOUNDS CELLS "
    "METRICS FRACTIONS ModelCard Cell Sweep Compare Grid ListedDraw check_margin names shipped "
    "read validate overlaid",
    "harness.fallback": "spot_first",
    "harness.errors": "BadInput StorageFailure",
    "models.gaussian": "MIN_VARIANCE variance draw log_normal log_standard_normal log_mixture "
    "kl_standard_normal kl_uniform bernoulli_nll",
    "models.nets": "HIDDEN ELU mlp checked Encoder decoder",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_of_version_0_1(module: str) -> None:
    names = PUBLIC[module].split()
    assert [name for name in names if not hasattr(import_module(module), name)] == []


def test_old_and_new_paths_are_the_same_objects() -> None:
    """A model that one plug-in registers through the old path is found through the new one."""
    old, new = import_module("harness.registry"), import_module("harness.plugins.registry")
    assert old.register is new.register
    assert import_module("harness.contract").Model is import_module("harness.plugins.model").Model
    errors = import_module("harness.errors")
    assert errors.BadInput is errors.InputError
