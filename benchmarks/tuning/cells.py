"""Train the pool of real cells: the points of a random search, each with several seeds.

    python -m benchmarks.tuning.cells FOLDER

64 points of a random search of `vae` on MNIST, 400 steps, eight seeds each: some 25 minutes of one
core. What the resampling needs of the rows goes to tuning/cells.csv. Given again, the command
trains only what is missing.
"""

import sys
from pathlib import Path
from typing import Any

import harness
from harness.experiment.search.space import Space

HERE = Path(__file__).parent
POINTS, SEEDS, STEPS, VALIDATION = 64, 8, 400, 10_000
SPACE = Space.model_validate(
    {"learning_rate": {"log": [1e-4, 1e-2]}, "settings": {"z": [5, 10, 20, 40]}}
)
COLUMNS = ["learning_rate", "settings", "seed", "validation_nelbo", "nelbo"]


def make_grid() -> dict[str, Any]:
    """The keys of the grid: a sweep for each point of study 0."""
    points = [SPACE.draw(0, trial) for trial in range(POINTS)]
    return {
        "name": "tuning-pool",
        "seeds": SEEDS,
        "samples": 200,
        "sweeps": [
            {
                "model": "vae",
                "iterations": STEPS,
                "validation": VALIDATION,
                "learning_rate": point["learning_rate"],
                "settings": {"z": point["settings.z"]},
            }
            for point in points
        ],
    }


def main(folder: str) -> None:
    """Train the cells into a results folder, and write cells.csv."""
    results = harness.run(make_grid(), results=folder, launcher="in-process")
    rows = results.rows.sort_values(["learning_rate", "settings", "seed"])
    rows[COLUMNS].to_csv(HERE / "cells.csv", index=False)


if __name__ == "__main__":
    main(sys.argv[1])
