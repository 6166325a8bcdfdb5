"""A Ray that is started once for all commands of a file, and figures that cost nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from matplotlib.figure import Figure
from PIL import Image

from harness.execution.ray_session import import_ray, start_ray


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Ray with the options of the harness, which commands in this process then use."""
    address = import_ray("local")
    import ray

    start_ray(address)
    yield ray
    ray.shutdown()


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save figures as one pixel: to paint them takes most of the time of a report."""

    def save(figure: Figure, place: Path | BinaryIO, **_: Any) -> None:
        Image.new("L", (1, 1)).save(place, "PNG")

    monkeypatch.setattr(Figure, "savefig", save)
