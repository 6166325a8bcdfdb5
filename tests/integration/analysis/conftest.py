"""The fixtures of the analysis's unit tests, for its tests with processes too."""

from tests.unit.analysis.conftest import full as full
from tests.unit.analysis.conftest import results as results
