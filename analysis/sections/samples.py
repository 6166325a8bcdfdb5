"""Sheets of pictures on the page: samples, reconstructions, latent traversals of each arm."""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import pandas as pd

from analysis.frames.arm_names import labels
from analysis.frames.arm_table import counts
from analysis.rendering.section import Picture
from harness.errors import BadInput
from harness.storage.store import Pictures, Store

Sheets = Mapping[Pictures, Mapping[str, bytes]]  # PNGs by kind and cell
TITLES: Mapping[Pictures, str] = {
    "samples": "Samples from the prior",
    "reconstructions": "Reconstructions",
    "traversals": "Latent traversals",
}
SHOWN: Mapping[Pictures, str] = {
    "samples": "",
    "reconstructions": "each line of test images is above the line of their reconstructions",
    "traversals": "each line walks along one latent dimension from −3 to 3 standard deviations, "
    "all others at 0",
}


def albums(rows: pd.DataFrame, sheets: Sheets) -> dict[str, list[Picture]]:
    """Rows with `arm`, and PNGs by kind and cell -> pictures by the title of their kind, of kinds
    that have any.
    """
    found = {TITLES[kind]: list(pictured(rows, pngs, kind)) for kind, pngs in sheets.items()}
    return {title: pictures for title, pictures in found.items() if pictures}


def pictured(rows: pd.DataFrame, pngs: Mapping[str, bytes], kind: Pictures) -> Iterator[Picture]:
    """The pictures of one kind by their cell, an arm each in the order of the tables: the β of a
    model follow on.
    """
    for arm, cell, seed, digits in firsts(rows, pngs)[
        ["arm", "cell", "seed", "digit_counts_200"]
    ].to_numpy():
        told = _judged(digits) if kind == "samples" else SHOWN[kind]
        yield Picture(pngs[cell], arm, f"seed {seed}{'; ' + told if told else ''}")


def firsts(rows: pd.DataFrame, pngs: Mapping[str, bytes]) -> pd.DataFrame:
    """The rows of the cells that have a picture, the first of each arm, in the order of the tables."""
    shown = (
        rows[rows["cell"].isin(pngs.keys())]
        .sort_values("seed", kind="stable")
        .drop_duplicates("arm")
    )
    order = list(labels(counts(rows)))
    return shown.sort_values("arm", key=lambda arms: arms.map(order.index), kind="stable")


def _judged(digits: Sequence[int] | None) -> str:
    return (
        "" if digits is None else f"the judge sees of digits 0 to 9: {' '.join(map(str, digits))}"
    )


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
        raise BadInput(
            f"{store.shown(f'{kind}/{cell}.png')} is not a whole PNG; expected one, or no file"
        )
    return png
