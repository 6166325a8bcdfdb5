"""A Ray that is started once for all commands of a file."""

from collections.abc import Iterator
from typing import Any

import pytest

from harness.execution.ray_session import import_ray, start_ray


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Ray with the options of the harness, which commands in this process then use."""
    address = import_ray("local")
    import ray

    start_ray(address)
    yield ray
    ray.shutdown()
