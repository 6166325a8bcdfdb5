"""A killed run resumes from its checkpoint."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.plugins.dataset import Data
from harness.storage.layout import checkpoint_key
from harness.storage.store import Store
from tests.conftest import CellMaker, lasting
from tests.unit.harness.execution.test_trial import saved_step


@pytest.mark.slow
def test_a_killed_run_resumed_ends_with_the_same_row(
    tmp_path: Path, mnist: Data, cell: CellMaker
) -> None:
    """After SIGKILL, the same command resumes from the checkpoint, to the same bits."""
    flags = "--models vae --seeds 1 --iterations 150 --samples 200 --launcher in-process"
    often = ["--checkpoint-seconds", "0.01"]
    command = [sys.executable, "harness/bench.py", *flags.split(), *often, "--results"]
    one = cell("vae", iterations=150)
    store, calm = Store(tmp_path / "killed"), Store(tmp_path / "calm")
    process = subprocess.Popen([*command, str(store.root)], stdout=subprocess.DEVNULL)
    while saved_step(store, one) < 40 and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert store.rows() == {}
    assert store.read(checkpoint_key(one)) is not None
    for folder in (store, calm):
        subprocess.run([*command, str(folder.root)], check=True, capture_output=True)
    assert lasting(store.row(one.id)) == lasting(calm.row(one.id))
    left = [path.name for path in store.root.rglob("*") if path.name.startswith(".")]
    assert len(left) <= 1  # at most the one file that was being written
