"""What the harness itself costs a cell, a trial and a report on this machine: the parameters of `cluster.py`.

    python -m benchmarks.cluster_costs

Cells of a model that does nothing, one a trial and sixty-four, through Ray and to the end of the command. Writes
`cluster_costs.json`: for each run its cells, its trials, seconds in all, and CPU seconds of the driver alone.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

HERE = Path(__file__).parent
RUNS = ((100, 1), (400, 1), (1_000, 64), (10_000, 64))  # cells, of a pack
REPORTS = 2_000
DRIVER = """
import sys, time
from harness import bench, launch
launch.REPORT_SECONDS = eval(sys.argv[1])
code = bench.main(sys.argv[2:])
print(time.process_time())
sys.exit(code)
"""


def main() -> None:
    """Measure and write."""
    runs = [measured(cells, pack) for cells, pack in RUNS]
    runs.append(measured(1, 1, iterations=REPORTS, reports=True))
    (HERE / "cluster_costs.json").write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    for run in runs:
        print(run)


def measured(cells: int, pack: int, iterations: int = 1, reports: bool = False) -> dict[str, Any]:
    """One command; with `reports`, one a step."""
    with tempfile.TemporaryDirectory() as scratch:
        flags = ["--models", "noop", "--plugin", str(HERE / "speed/noop.py"), "--labels", "10", "--seeds", str(cells)]
        flags += ["--iterations", str(iterations), "--pack", str(pack), "--compile", "never", "--results", scratch]
        pause = "(0.0, 0.0)" if reports else "(1.0, 10.0)"
        started = perf_counter()
        command = [sys.executable, "-c", DRIVER, pause, *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = perf_counter() - started
    trials = -(-cells // pack)
    driver = float(done.stdout.splitlines()[-1])
    told = iterations if reports else 0
    return {"cells": cells, "trials": trials, "reports": told, "seconds": round(seconds, 2), "driver": round(driver, 2)}


if __name__ == "__main__":
    main()
