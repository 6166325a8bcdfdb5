"""The integration tests of the analysis use the fixtures of its unit tests."""

from tests.unit.analysis.conftest import full as full
from tests.unit.analysis.conftest import results as results
