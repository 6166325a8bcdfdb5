"""The unit tests of the store, repeated in a bucket."""

import pytest

from tests.conftest import bucket
from tests.unit.harness.storage.test_store import *  # noqa: F403


@pytest.fixture
def address(s3: str) -> str:
    """An empty folder in a bucket."""
    return bucket(s3)
