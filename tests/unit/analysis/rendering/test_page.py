"""The page's own layout."""

import pandas as pd

from analysis.rendering.page import (
    PLACED_SECTIONS,
    SECTION_TITLES,
    Page,
    keep_together,
    make_cells,
    render,
)
from analysis.rendering.section import Picture
from analysis.rendering.table import Table

BARE = Page(
    title="t",
    subtitle="",
    banner="",
    facts={},
    caveats=[],
    declared="Nothing stated.",
    families=[],
    tables={},
    sentences={},
    pictures={},
    galleries={},
    unfinished=pd.DataFrame(columns=["arm", "seed", "status", "error"]),
    unstarted="",
    commands=["c"],
    provenance=[],
)


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


def test_a_picture_is_its_own_address() -> None:
    assert Picture(b"png", "", "").uri == "data:image/png;base64,cG5n"


def test_no_line_breaks_within_a_number_and_nothing_escapes_escaping() -> None:
    assert keep_together("plain & <b>") == "plain &amp; &lt;b&gt;"
    assert keep_together("[<b>] n = <b>") == '<span class="kept">[&lt;b&gt;]</span> n = &lt;b&gt;'
    assert keep_together("n = 9 of 10") == '<span class="kept">n = 9</span> of 10'


def test_a_page_of_nothing_still_says_what_it_lacks() -> None:
    html = render(BARE)
    for said in (
        "There is nothing to compare",
        "No samples lie beside",
        "Every cell in the table has a result",
    ):
        assert said in html
    assert list(BARE.contents) == [
        "verdicts",
        "results",
        "galleries",
        "estimates",
        "missing",
        "reproduce",
    ]
    assert all(f'<section id="{name}"' in html for name in BARE.contents)


def test_a_figure_of_a_section_that_the_page_does_not_know_is_shown_all_the_same() -> None:
    new = Picture(b"new", "New", "A new figure.")
    page = Page(
        **{**vars(BARE), "pictures": {"novel": [new], "curves": [Picture(b"old", "Old", "")]}}
    )
    assert page.unplaced == [new]
    html = render(page)
    assert html.count("<img ") == 2
    assert 'href="#figures"' in html
    assert "A new figure." in html


def test_every_place_for_figures_is_shown() -> None:
    for name in PLACED_SECTIONS:
        html = render(
            Page(**{**vars(BARE), "pictures": {name: [Picture(b"x", "X", "Caption of it.")]}})
        )
        assert html.count("<img ") == 1, name
    assert set(PLACED_SECTIONS) & set(SECTION_TITLES) == {"beta", "accuracy", "curves"}
