"""Learning curves: read from the store, averaged over the seeds of an arm."""

import pandas as pd

from analysis.estimate import estimates
from analysis.naming import named
from harness.errors import BadInput
from harness.schema import CURVE
from harness.store import Store


def read(store: Store, rows: pd.DataFrame) -> pd.DataFrame:
    """The curves of all finished cells, one row a point: arm, seed, and the columns of `harness.schema.CURVE`."""
    points = [pd.DataFrame({"arm": [], "seed": [], **{name: [] for name in CURVE.names}})]
    finished = rows.assign(arm=named(rows))[rows["status"] == "ok"]
    for cell, arm, seed in finished[["cell", "arm", "seed"]].itertuples(index=False):
        try:
            curve = store.curve(cell)
        except (OSError, ValueError) as error:
            raise BadInput(f"the curve of cell {cell} cannot be read ({str(error).splitlines()[0]})") from None
        if curve is not None:
            points.append(curve.assign(arm=arm, seed=seed))
    return pd.concat(points[1:] or points, ignore_index=True)


def averaged(points: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Points of curves -> arm, step, n, mean, sd, se, low, high over the seeds; steps without a value are left out."""
    known = points.dropna(subset=[metric])
    return estimates(known, ["arm", "step"], metric).sort_values("step", kind="stable", ignore_index=True)
