"""Errors of a command become one line and an exit code."""

import pytest

from harness.errors import InputError, StalledError, StorageError
from harness.exit_codes import exit_codes

HINT = "run it again"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (None, 0, ""),
        (InputError("no grid\nof that name"), 2, "error: no grid of that name\n"),
        (StorageError("s3://b", "gone"), 1, "error: results s3://b: gone; run it again\n"),
        (StalledError("nothing moved"), 1, "error: nothing moved; run it again\n"),
        (KeyboardInterrupt(), 130, "interrupted: run it again\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: BaseException | None, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @exit_codes(HINT)
    def command() -> int:
        if error is not None:
            raise error
        return 0

    assert command() == code
    assert capsys.readouterr().err == line
