"""The page's own layout of tables."""

import pandas as pd

from analysis.page import Picture, laid_out
from analysis.table import Table


def test_numbers_are_set_apart_from_what_they_are_of() -> None:
    text = pd.DataFrame({"Arm": ["a", "a"], "NELBO": ["-1.50 ± 0.10 (SE, n = 2)", "–"], "Remark": ["1 (one)", "none"]})
    first, second = laid_out(Table("t", "", "", text, text))
    assert first[1] == {"text": "-1.50 ± 0.10", "of": "(SE, n = 2)", "numeric": True, "repeats": False}
    assert second[1]["of"] is None
    assert (first[2]["numeric"], first[2]["text"]) == (False, "1 (one)")
    assert (first[0]["repeats"], second[0]["repeats"]) == (False, True)


def test_a_picture_is_its_own_address() -> None:
    assert Picture(b"png", "", "").uri == "data:image/png;base64,cG5n"
