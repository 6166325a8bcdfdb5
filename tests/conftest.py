"""Fixtures of all tests: MNIST, cells of every model, a store; long files run first."""

import gc
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from matplotlib.figure import Figure
from PIL import Image
from pyarrow import fs

from harness.data import idx_sets
from harness.evaluation import digit_classifier
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.storage.schema import Row
from harness.storage.store import Store

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
torch.set_num_threads(1)
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")
# Hypothesis also draws the constants of our sources; to look for them costs each process 14 s
providers.is_local_module_file = lambda path: False  # type: ignore[attr-defined, assignment]
ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGING = {"train_seconds", "score_seconds", "run", "finished", "host", "pack"}
SECRET = "a-secret-that-nobody-writes-down"
CellMaker = Callable[..., Cell]


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files with most slow tests first, so that two workers end together; in a file, and
    where no test is slow, fast ones first.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))

    def rank(item: pytest.Item) -> tuple[int, str, bool]:
        return -slow[item.path], str(item.path), item.get_closest_marker("slow") is not None

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def no_plugins_left() -> Iterator[None]:
    """Unload the plug-ins of a test afterwards."""
    before = set(registry._loaded)
    yield
    for name in set(registry._loaded) - before:
        registry._unload(registry._loaded[name])


@pytest.fixture(scope="session")
def full_mnist() -> Data:
    """All of MNIST, verified."""
    return idx_sets.load("mnist")


@pytest.fixture(scope="session")
def mnist(full_mnist: Data) -> Data:
    """All of MNIST; unit tests replace it by its first images."""
    return full_mnist


@pytest.fixture(scope="session")
def cell() -> CellMaker:
    """A cell of a model with its defaults filled in: `cell("vae", seed=1, beta=4.0)`."""

    def make(model: str, seed: int = 0, iterations: int = 10, **values: Any) -> Cell:
        card = registry.cards()[model]
        supervision = values.pop("supervision", card.supervisions[0])
        settings = tuple(sorted((card.default_settings | values.pop("settings", {})).items()))
        drawn: dict[str, Any] = (
            {} if supervision == "none" else {"labels": 100, "label_draw": "seed"}
        )
        return Cell(
            model, seed, iterations, settings=settings, supervision=supervision, **(drawn | values)
        )

    return make


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """HOST:PORT of an S3 server with the bucket `bench`, and the credentials for it in the
    environment.
    """
    command = shutil.which(
        "moto_server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if command is None:
        pytest.skip("no moto_server; pip install --no-deps -r tests/moto.lock")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [command, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "the-test-key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        try:
            wait_for(port)
            fs.S3FileSystem(
                endpoint_override=f"127.0.0.1:{port}", scheme="http", allow_bucket_creation=True
            ).create_dir("bench")
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def wait_for(port: int) -> None:
    """Wait up to a minute until a local port listens."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")


def bucket(server: str, path: str = "") -> str:
    """The address of a folder in the test server's bucket, by default a new one."""
    return f"s3://bench/{path or uuid.uuid4().hex}?endpoint_override={server}&scheme=http"


@pytest.fixture(params=["folder", "bucket"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place: a folder, then a bucket."""
    return (
        str(tmp_path / "results")
        if request.param == "folder"
        else bucket(request.getfixturevalue("s3"))
    )


@pytest.fixture
def store(tmp_path: Path, mnist: Data) -> Store:
    """An empty results folder with the digit classifier of MNIST."""
    made = Store(tmp_path / "results")
    digit_classifier.provide(made, mnist)
    return made


@pytest.fixture
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save figures as one pixel: to paint them takes most of the time of a report."""

    def save(figure: Figure, place: Path | BinaryIO, **_: Any) -> None:
        Image.new("L", (1, 1)).save(place, "PNG")

    monkeypatch.setattr(Figure, "savefig", save)


@pytest.fixture(scope="session")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the small model of the README."""
    path = tmp_path_factory.mktemp("own") / "mine.py"
    path.write_text(readme_model(), encoding="utf-8")
    return path


def readme_model(*watchers: str) -> str:
    """The README's model as Python source, followed by the given files of tests/cluster."""
    blocks: list[str] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    model = next(block for block in blocks if "@register" in block)
    texts = [
        (ROOT / "tests" / "cluster" / f"{name}.py").read_text(encoding="utf-8") for name in watchers
    ]
    return "\n\n".join([model, *texts])


def given(part: torch.Tensor | None) -> torch.Tensor:
    """A term that a model must return."""
    assert part is not None
    return part


def lasting(row: Row | None) -> Row:
    """The columns of a row that do not change from run to run."""
    assert row is not None
    return {name: value for name, value in row.items() if name not in CHANGING}


def tree(folder: Path) -> Mapping[str, bytes]:
    """All files of a folder with their content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
