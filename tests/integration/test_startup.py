"""The cost of starting, and file names that would break a start."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.plugins.dataset import Data
from tests.conftest import ROOT

LIGHT = ["harness.storage.store", "harness.storage.schema", "harness.experiment.grid"] + [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "analysis").rglob("*.py"))
    if path.stem != "__init__"
]


# Imports each module of `sys.argv` as the first of ours, and prints those that ask for a heavy
# package. Packages of others stay loaded, which is what makes one process enough.
IMPORT_EACH_ALONE = """
import importlib, sys

class Heavy:
    asked = []
    def find_spec(self, name, path=None, target=None):
        if name in {"torch", "ray", "torchvision"}:
            self.asked.append(name)
            raise ImportError(f"{name} is not for this module")

sys.meta_path.insert(0, Heavy())
found = {}
for module in sys.argv[1:]:
    ours = [name for name in sys.modules if name.split(".")[0] in {"harness", "analysis", "models"}]
    for name in ours:
        del sys.modules[name]
    Heavy.asked.clear()
    try:
        importlib.import_module(module)
    except Exception as error:
        found[module] = repr(error)
    if Heavy.asked:
        found[module] = sorted(set(Heavy.asked))
print(found)
"""


def import_each_alone(*modules: str) -> str:
    """What asks for torch, torchvision or Ray, or does not start, and why; in a new process."""
    command = [sys.executable, "-c", IMPORT_EACH_ALONE, *modules]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_store_and_the_analysis_start_without_torch_or_ray() -> None:
    assert import_each_alone(*LIGHT) == "{}"


def test_a_module_that_starts_with_torch_is_found() -> None:
    found = import_each_alone("harness.errors", "models.vae", "harness.storage.layout")
    assert found == "{'models.vae': ['torch']}"


COUNT = """
import sys, torch
from harness.scheduling.compile_cost import _OperationCounter
with _OperationCounter() as counter:
    torch.randperm(3) + 1
print(counter.count, "torch._dynamo" in sys.modules)
"""


def test_counting_operations_does_not_import_the_compiler() -> None:
    """Its import takes a second, before every run whose trainings are compiled."""
    found = subprocess.run(
        [sys.executable, "-c", COUNT], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["2", "False"]


@pytest.mark.parametrize("folder", ["harness", "analysis", "models"])
def test_no_file_bears_a_name_of_the_standard_library(folder: str) -> None:
    """`python harness/bench.py` puts harness/ first on the path, which would hide the module."""
    names = {
        path.stem for path in (ROOT / folder).iterdir() if path.is_dir() or path.suffix == ".py"
    } - {"__init__"}
    assert names
    assert not names & sys.stdlib_module_names


@pytest.mark.slow
def test_a_run_of_every_model_stays_within_6_gib(tmp_path: Path, mnist: Data) -> None:
    """Shared memory of driver and workers is counted once (PSS)."""
    command = [sys.executable, "harness/bench.py", "quick", "--seeds", "1", "--iterations", "20"]
    process = subprocess.Popen(
        [*command, "--results", str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_memory(process.pid))
        time.sleep(1)
    print(f"peak {peak / 2**30:.2f} GiB")
    assert process.returncode == 0
    assert 2**28 < peak < 6 * 2**30


def tree_memory(pid: int) -> int:
    """The memory of a process and its descendants, bytes."""
    try:
        root = psutil.Process(pid)
        return sum(map(memory, [root, *root.children(recursive=True)]))
    except psutil.NoSuchProcess:
        return 0


def memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0
