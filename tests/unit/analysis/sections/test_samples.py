"""The pictures of the page, with their order and captions."""

import io
from pathlib import Path

import pandas as pd
from PIL import Image

from analysis import report
from analysis.frames.arm_table import count_cells
from analysis.frames.load import read_results
from analysis.rendering.section import Picture
from analysis.report_data import SampleSheets
from analysis.reproduction import references
from analysis.sections import samples
from harness.storage.store import Store
from tests.unit.analysis.conftest import gallery, made, row


def build_galleries(rows: pd.DataFrame, sheets: SampleSheets) -> dict[str, list[Picture]]:
    """The galleries of these rows, their arms in the order of the tables."""
    return samples.build_galleries(rows, sheets, list(count_cells(rows).index))


def test_every_kind_has_an_album_with_the_betas_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cells = [
        made(model, seed, beta=beta)
        for model in ("gmvae", "vae")
        for beta in (8.0, 0.5)
        for seed in (1, 0)
    ]
    for cell in cells:
        store.write_row(row(cell))
        gallery(store, cell)
    png = store.pictures("samples", cells[0].id) or b""
    found: SampleSheets = {
        "samples": {},
        "reconstructions": {cell.id: png for cell in cells},
        "traversals": {cells[0].id: png},
    }
    shown = build_galleries(read_results(store).rows, found)
    assert list(shown) == ["Reconstructions", "Latent traversals"]
    titles = [picture.title for picture in shown["Reconstructions"]]
    assert titles == ["vae β=0.5", "vae β=8", "gmvae β=0.5", "gmvae β=8"]
    assert {p.caption.split(";")[0] for p in shown["Reconstructions"]} == {"seed 0"}
    assert "above the line of their reconstructions" in shown["Reconstructions"][0].caption
    assert [(p.title, p.caption[:6]) for p in shown["Latent traversals"]] == [
        ("gmvae β=8", "seed 1")
    ]


def test_classes_that_are_no_digits_are_called_classes(full: Store) -> None:
    rows = read_results(full).rows.assign(dataset="fashion_mnist")
    rows["digit_counts_200"] = [[10] * 26] * len(rows)
    shown = build_galleries(rows, samples.read_sheets(full, rows))["Samples from the prior"]
    assert shown[0].caption == f"seed 0; the judge sees of classes 0 to 25: {' '.join(['10'] * 26)}"


def test_samples_are_in_the_order_of_the_tables(full: Store) -> None:
    rows = read_results(full).rows
    shown = build_galleries(rows, samples.read_sheets(full, rows))["Samples from the prior"]
    assert [picture.title for picture in shown] == [
        "vae β=1",
        "vae β=4",
        "gmvae",
        "ssvae semi-supervised",
    ]
    assert shown[0].caption == f"seed 0; the judge sees of digits 0 to 9: {' '.join(['20'] * 10)}"


def test_many_sheets_are_cropped_and_the_arms_left_out_are_counted(tmp_path: Path) -> None:
    """Nothing else keeps a page of 300 arms small."""
    store = Store(tmp_path)
    cells = [made("vae", beta=float(beta)) for beta in range(1, 63)]
    for cell in cells:
        store.write_row(row(cell))
        gallery(store, cell)
    data = report.read_data(store, "r", references.load(None), False)
    content = samples.build(data)
    (pictures,) = content.pictures.values()
    assert len(pictures) == samples.MAX_ARMS
    assert content.paragraphs == ["12 more arms have pictures in the results folder."]
    with Image.open(io.BytesIO(pictures[0].png)) as picture:
        assert picture.format == "PNG"
