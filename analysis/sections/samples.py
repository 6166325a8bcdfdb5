"""Sheets of pictures on the page: samples, reconstructions, latent traversals of each arm."""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import pandas as pd

from analysis.frames.class_words import PLURALS, choose_class_word
from analysis.rendering.section import Content, Picture
from analysis.rendering.sheet import excerpt_sheet
from analysis.report_data import ReportData, SampleSheets, Section
from harness.errors import InputError
from harness.storage.store import PictureKind, Store

SHEET_TITLES: Mapping[PictureKind, str] = {
    "samples": "Samples from the prior",
    "reconstructions": "Reconstructions",
    "traversals": "Latent traversals",
}
SHEET_CAPTIONS: Mapping[PictureKind, str] = {
    "samples": "",
    "reconstructions": "each line of test images is above the line of their reconstructions",
    "traversals": "each line walks along one latent dimension from −3 to 3 standard deviations, "
    "all others at 0",
}


MAX_WHOLE_SHEETS = 60  # on a page; where there are more, each is cropped
CROPPED = (8, 4)  # columns and rows of a cropped sheet
MAX_ARMS = 50  # with pictures


def build(data: ReportData) -> Content:
    """The pictures of each arm's first finished seed, or a sentence where there are none."""
    galleries = build_galleries(data.rows, data.sheets, data.arm_names)
    if not galleries:
        return Content(paragraphs=["No samples lie beside these results."])
    left_out = max(len(pngs) for pngs in data.sheets.values()) - MAX_ARMS
    notes = [f"{left_out:,} more arms have pictures in the results folder."] if left_out > 0 else []
    return Content(paragraphs=notes, pictures=galleries)


SECTION = Section("galleries", "Galleries", build)


def build_galleries(
    rows: pd.DataFrame, sheets: SampleSheets, arms: Sequence[str]
) -> dict[str, list[Picture]]:
    """Rows with `arm`, PNGs by kind and cell, the arms in order -> pictures by the title of their
    kind; a kind without any is left out.
    """
    crop = sum(map(len, sheets.values())) > MAX_WHOLE_SHEETS
    by_title = {
        SHEET_TITLES[kind]: list(make_pictures(rows, pngs, kind, arms, crop))
        for kind, pngs in sheets.items()
    }
    return {title: pictures for title, pictures in by_title.items() if pictures}


def make_pictures(
    rows: pd.DataFrame,
    pngs: Mapping[str, bytes],
    kind: PictureKind,
    arms: Sequence[str],
    crop: bool = False,
) -> Iterator[Picture]:
    """The pictures of one kind, one an arm, in the order of `arms`; `pngs` are by cell.

    There are `MAX_ARMS` at most. crop: whether each shows a part of its sheet alone.
    """
    classes = PLURALS[choose_class_word(rows)]
    for arm, cell, seed, counts in select_first_seeds(rows, pngs, arms)[
        ["arm", "cell", "seed", "digit_counts_200"]
    ].to_numpy()[:MAX_ARMS]:
        description = (
            _describe_counts(counts, classes) if kind == "samples" else SHEET_CAPTIONS[kind]
        )
        png = excerpt_sheet(pngs[cell], kind, *CROPPED) if crop else pngs[cell]
        yield Picture(png, arm, f"seed {seed}{'; ' + description if description else ''}")


def select_first_seeds(
    rows: pd.DataFrame, pngs: Mapping[str, bytes], arms: Sequence[str]
) -> pd.DataFrame:
    """The row of the first seed of each arm that has a picture, in the order of `arms`."""
    shown = (
        rows[rows["cell"].isin(pngs.keys())]
        .sort_values("seed", kind="stable")
        .drop_duplicates("arm")
    )
    return shown.sort_values("arm", key=lambda names: names.map(arms.index), kind="stable")


def _describe_counts(counts: Sequence[int] | None, classes: str) -> str:
    if counts is None:
        return ""
    numbers = " ".join(map(str, counts))
    return f"the judge sees of {classes} 0 to {len(counts) - 1}: {numbers}"


PNG_MARKERS = (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82")  # how one begins and ends


def read_sheets(store: Store, rows: pd.DataFrame) -> SampleSheets:
    """The PNGs of each arm's first finished seed, by kind and cell.

    InputError: a file is not a complete PNG.
    """
    finished = rows.loc[rows["status"] == "ok", ["arm", "cell", "seed"]]
    finished = finished.sort_values("seed", kind="stable")
    first_cells = finished.drop_duplicates("arm")["cell"]
    return {
        kind: {
            cell: png for cell in first_cells if (png := _read_png(store, kind, cell)) is not None
        }
        for kind in get_args(PictureKind)
    }


def _read_png(store: Store, kind: PictureKind, cell: str) -> bytes | None:
    png = store.pictures(kind, cell)
    if png is not None and not (png.startswith(PNG_MARKERS[0]) and png.endswith(PNG_MARKERS[1])):
        raise InputError(
            f"{store.display_path(f'{kind}/{cell}.png')} is not a whole PNG; "
            f"expected one, or no file"
        )
    return png
