"""The status command imports neither torch nor Ray."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

from harness.monitoring import run_status
from harness.storage.store import Store
from tests.conftest import ROOT
from tests.unit.harness.cli.test_status import RUNS


def test_the_status_starts_without_torch_and_ray(store: Store) -> None:
    run_status.write(store, replace(RUNS, written=datetime.now(UTC).isoformat()))
    code = (
        "import sys; from harness import bench; code = bench.main(['--status', sys.argv[1]]); "
        "print(code, 'torch' in sys.modules, 'ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.root)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 False False"
