"""`python -m harness.data NAME`."""

import pytest

from harness.data.__main__ import check_datasets


def test_names_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_datasets(["sprites"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "sprites: 16,384 training and 2,048 test images, verified"
    ]


@pytest.mark.parametrize("entry", ["mnits", "mine.npz"])
def test_what_cannot_be_loaded_is_one_line(entry: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_datasets([entry]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
