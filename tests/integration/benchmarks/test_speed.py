"""The speed benchmark times equal work for all contenders."""

from benchmarks.speed import grids, plain
from harness.experiment import grid_file
from harness.plugins import registry


def test_all_contenders_train_the_published_grid() -> None:
    """15 cells of three seeds: `vae` and `gmvae` of 1,000 steps, `ssvae` of 800."""
    found = grid_file.validate(grid_file.read(grids.QUICK)).cells(registry.cards())
    ours = {
        (c.supervision if c.supervision == "supervised" else c.model, c.beta, c.seed, c.iterations)
        for c in found
    }
    assert ours == set(map(tuple, plain.quick(grids.STEPS)))
    assert len(found) == 15
