"""Plain Ray Tune over the plain script: one trial per cell, each in a new process with one CPU.

python -m benchmarks.speed.plain_tune ITERATIONS
"""

import logging
import os
import sys
import tempfile
from typing import Any

from benchmarks.speed.plain import quick, run


def trainable(config: dict[str, Any]) -> dict[str, float]:
    """One cell, by its place in the grid."""
    return {"score": run(quick(config["steps"])[config["cell"]])}


def main(steps: int) -> None:
    """All cells of `quick`."""
    import ray
    from ray import tune

    ray.init(
        "local",
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    with tempfile.TemporaryDirectory() as scratch:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"steps": steps, "cell": tune.grid_search(list(range(len(quick(steps)))))},
            run_config=tune.RunConfig(storage_path=scratch, verbose=0),
        )
        found = tuner.fit()
        for result in (found[index] for index in range(len(found))):
            print((result.config or {})["cell"], (result.metrics or {})["score"], flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
