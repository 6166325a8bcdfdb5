"""The page's own layout."""

import base64
import io

import numpy as np
import pandas as pd
from PIL import Image

from analysis.rendering.page import Page, PageSection, keep_together, make_cells, render
from analysis.rendering.section import Content, Picture
from analysis.rendering.table import Table


def page(*sections: PageSection) -> Page:
    """A page of these sections, with nothing in its head but a title."""
    return Page(title="t", answer="", subtitle="", banner="", sections=sections)


def test_numbers_are_set_apart_from_what_they_are_of() -> None:
    text = pd.DataFrame(
        {
            "Arm": ["a", "a"],
            "NELBO": ["-1.50 ± 0.10 (SE, n = 2)", "–"],
            "Remark": ["1 (one)", "none"],
        }
    )
    first, second = make_cells(Table("t", "", "", text, text))
    assert first[1] == {
        "text": "-1.50 ± 0.10",
        "of": "(SE, n = 2)",
        "numeric": True,
        "size": -1.5,
        "repeats": False,
    }
    assert (second[1]["of"], second[1]["size"]) == (None, None)
    assert (first[2]["numeric"], first[2]["text"]) == (False, "1 (one)")
    assert (first[0]["repeats"], second[0]["repeats"]) == (False, True)


def test_chances_and_differences_are_sorted_by_size() -> None:
    text = pd.DataFrame(
        {
            "p": ["0.04", "1e-8", "< 1e-300"],
            "d": ["−2.30 [−2.60, −2.00]", "1,024.5 [1.0, 2.0]", "–"],
        }
    )
    cells = make_cells(Table("t", "", "", text, text))
    assert [[cell["size"] for cell in row] for row in cells] == [
        [0.04, -2.3],
        [1e-8, 1024.5],
        [1e-300, None],
    ]


def png() -> bytes:
    """A picture of two grey pixels."""
    with io.BytesIO() as file:
        Image.fromarray(np.array([[7, 200]], np.uint8)).save(file, "PNG")
        return file.getvalue()


def test_a_picture_is_its_own_address_without_loss() -> None:
    head, _, content = Picture(png(), "", "").uri.partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        assert np.asarray(picture.convert("L")).tolist() == [[7, 200]]


def test_what_cannot_be_decoded_stays_as_it_is() -> None:
    broken = png()[:40]
    address = Picture(broken, "", "").uri
    assert address == f"data:image/png;base64,{base64.b64encode(broken).decode()}"


def test_what_is_too_wide_for_webp_stays_a_png() -> None:
    with io.BytesIO() as file:
        Image.new("L", (16_384, 1)).save(file, "PNG")
        assert Picture(file.getvalue(), "", "").uri.startswith("data:image/png;base64,")


def test_numbers_stay_on_one_line_and_text_is_escaped() -> None:
    assert keep_together("plain & <b>") == "plain &amp; &lt;b&gt;"
    assert keep_together("[<b>] n = <b>") == '<span class="kept">[&lt;b&gt;]</span> n = &lt;b&gt;'
    assert keep_together("n = 9 of 10") == '<span class="kept">n = 9</span> of 10'


def test_a_section_shows_all_that_it_holds() -> None:
    text = pd.DataFrame({"Arm": ["a table"]})
    content = Content(
        paragraphs=["a paragraph"],
        sentences=["a sentence"],
        pictures={"a heading": [Picture(png(), "a picture", "")]},
        tables=[Table("t", "a title", "", text, text)],
    )
    html = render(page(PageSection("new", "New", content, [Picture(png(), "Y", "a plot")])))
    parts = ["a paragraph", "a sentence", "a plot", "a heading", "a picture", "a title", "a table"]
    places = [html.rindex(f">{part}<") for part in parts]
    assert places == sorted(places)
    assert '<a href="#new">New</a>' in html
    assert '<section id="new">' in html


def test_tables_may_come_first() -> None:
    text = pd.DataFrame({"Arm": ["a table"]})
    content = Content(tables=[Table("t", "", "", text, text)], tables_first=True)
    html = render(page(PageSection("new", "New", content, [Picture(png(), "Y", "a plot")])))
    assert html.index("a table") < html.index("a plot")


def test_a_section_of_plots_alone_is_not_empty() -> None:
    assert PageSection("new", "New", Content()).is_empty
    assert not PageSection("new", "New", Content(), [Picture(png(), "Y", "")]).is_empty
