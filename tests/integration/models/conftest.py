"""The integration tests of the models use the fixtures of their unit tests."""

from tests.unit.models.conftest import classifier as classifier
from tests.unit.models.conftest import data as data
from tests.unit.models.conftest import pythae as pythae
from tests.unit.models.conftest import small_store as small_store
from tests.unit.models.made_up.conftest import datasets as datasets
from tests.unit.models.made_up.conftest import example as example
