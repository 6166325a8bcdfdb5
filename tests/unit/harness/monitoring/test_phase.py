"""What takes long has a line on a terminal, and none elsewhere."""

import pytest

from harness.monitoring.phase import show_phase


@pytest.mark.parametrize(
    ("compatible", "shown", "printed"),
    [("1", True, True), ("1", False, False), ("0", True, False)],
)
def test_a_phase_is_for_terminals(
    compatible: str,
    shown: bool,
    printed: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", compatible)
    monkeypatch.setenv("TERM", "xterm")
    with show_phase("loading PyTorch", shown):
        pass
    out, err = capsys.readouterr()
    assert out == ""
    assert ("loading PyTorch" in err) == printed
