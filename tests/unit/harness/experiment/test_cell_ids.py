"""The ids of today's cells, by which results of earlier versions are found."""

import hashlib

import pytest

from harness.experiment import grid_file
from harness.experiment.cell import Cell
from harness.plugins import registry

GRIDS = {  # the first 16 digits of the SHA-256 of the sorted ids
    "beta": "e34bcbe0a4a3b68a",
    "labels": "ab93a95e59b67067",
    "report": "e049262751958997",
}
Z, KZ, CZ = (("z", 10),), (("k", 500), ("z", 10)), (("class_weight", 100.0), ("z", 64))
CELLS = [
    (Cell("vae", 0, 20_000, settings=Z), "c7fac21c45ff790c"),
    (Cell("vae", 9, 20_000, settings=Z, beta=4.0), "0f7e8463fbd787f5"),
    (Cell("vae", 0, 20_000, settings=Z, dataset="fashion_mnist"), "2cce333953ecb69f"),
    (Cell("gmvae", 1, 20_000, settings=KZ), "a10aceca028a0d55"),
    (Cell("gmvae", 1, 20_000, settings=KZ, learning_rate=1e-4), "7b12b0611bb402f1"),
    (
        Cell("ssvae", 2, 30_000, CZ, 1.0, "mnist", "semi-supervised", 100, "seed"),
        "0594d0a1bcb78238",
    ),
    (
        Cell("ssvae", 2, 30_000, CZ, 1.0, "mnist", "supervised", 1000, "draw-7", 128),
        "9af4f3dd24970997",
    ),
    (Cell("linear", 3, 5000), "bcdb54855d7a9b7c"),
]


@pytest.mark.parametrize("name", GRIDS)
def test_ids_of_shipped_grids(name: str) -> None:
    grid = grid_file.validate(grid_file.read(name))
    ids = sorted(cell.id for cell in grid.cells(registry.cards()))
    assert hashlib.sha256(",".join(ids).encode()).hexdigest()[:16] == GRIDS[name]


@pytest.mark.parametrize(("cell", "expected"), CELLS, ids=[expected for _, expected in CELLS])
def test_ids_of_cells(cell: Cell, expected: str) -> None:
    assert cell.id == expected
