"""A Ray that is started once for all commands of a file."""

from collections.abc import Iterator
from typing import Any

import pytest

from harness.execution.ray_session import import_ray, init_options


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Ray with the options of the harness, which commands in this process then use."""
    address = import_ray("local")
    import ray

    ray.init(address, **init_options(address))
    yield ray
    ray.shutdown()
