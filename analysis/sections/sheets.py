"""The sheets of pictures that lie beside a results table: samples, reconstructions, latent traversals."""

from typing import get_args

import pandas as pd

from analysis.sections.samples import Sheets
from harness.errors import BadInput
from harness.storage.store import Pictures, Store

PNG = (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82")  # how one begins and ends


def read(store: Store, rows: pd.DataFrame) -> Sheets:
    """Of each kind the PNGs of each arm's first finished seed by their cell, where there are any."""
    finished = rows[rows["status"] == "ok"].sort_values("seed", kind="stable")
    firsts = finished.drop_duplicates("arm")["cell"]
    return {
        kind: {cell: png for cell in firsts if (png := _whole(store, kind, cell)) is not None}
        for kind in get_args(Pictures)
    }


def _whole(store: Store, kind: Pictures, cell: str) -> bytes | None:
    png = store.pictures(kind, cell)
    if png is not None and not (png.startswith(PNG[0]) and png.endswith(PNG[1])):
        raise BadInput(f"{store.shown(f'{kind}/{cell}.png')} is not a whole PNG; expected one, or no file")
    return png
