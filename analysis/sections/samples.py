"""Sheets of pictures on the page: samples, reconstructions, latent traversals of each arm."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from analysis.frames.arm_names import labels
from analysis.rendering.page import Picture
from analysis.stats.estimates import counts
from harness.storage.store import Pictures

Sheets = Mapping[Pictures, Mapping[str, bytes]]  # PNGs by kind and cell
TITLES: Mapping[Pictures, str] = {
    "samples": "Samples from the prior",
    "reconstructions": "Reconstructions",
    "traversals": "Latent traversals",
}
SHOWN: Mapping[Pictures, str] = {
    "samples": "",
    "reconstructions": "each line of test images is above the line of their reconstructions",
    "traversals": "each line walks along one latent dimension from −3 to 3 standard deviations, all others at 0",
}


def albums(rows: pd.DataFrame, sheets: Sheets) -> dict[str, list[Picture]]:
    """Rows with `arm`, and PNGs by kind and cell -> pictures by the title of their kind, of kinds that have any."""
    found = {TITLES[kind]: list(pictured(rows, pngs, kind)) for kind, pngs in sheets.items()}
    return {title: pictures for title, pictures in found.items() if pictures}


def pictured(rows: pd.DataFrame, pngs: Mapping[str, bytes], kind: Pictures) -> Iterator[Picture]:
    """The pictures of one kind by their cell, an arm each in the order of the tables: the β of a model follow on."""
    for arm, cell, seed, digits in firsts(rows, pngs)[["arm", "cell", "seed", "digit_counts_200"]].to_numpy():
        told = _judged(digits) if kind == "samples" else SHOWN[kind]
        yield Picture(pngs[cell], arm, f"seed {seed}{'; ' + told if told else ''}")


def firsts(rows: pd.DataFrame, pngs: Mapping[str, bytes]) -> pd.DataFrame:
    """The rows of the cells that have a picture, the first of each arm, in the order of the tables."""
    shown = rows[rows["cell"].isin(pngs.keys())].sort_values("seed", kind="stable").drop_duplicates("arm")
    order = list(labels(counts(rows)))
    return shown.sort_values("arm", key=lambda arms: arms.map(order.index), kind="stable")


def _judged(digits: Sequence[int] | None) -> str:
    return "" if digits is None else f"the judge sees of digits 0 to 9: {' '.join(map(str, digits))}"
