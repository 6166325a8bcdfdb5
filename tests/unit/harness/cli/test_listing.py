"""What --list prints."""

from pathlib import Path

import pytest

from harness.cli import listing
from harness.experiment import grid_file
from harness.plugins.dataset import registered_datasets

PLUGIN = """
import numpy as np
from harness.plugins.dataset import Dataset, DataSpec, Splits, register_dataset

@register_dataset("waves")
class Waves(Dataset):
    spec = DataSpec((7,), "continuous")
    origin = "mine [own]; nothing :x: is drawn"

    def load(self, folder):
        return Splits(np.ones((3, 7)), None, np.ones((2, 7)), None)
"""


def list_everything(capsys: pytest.CaptureFixture[str], *plugins: str) -> list[str]:
    assert listing.show_list(plugins) == 0
    return capsys.readouterr().out.splitlines()


def test_every_grid_and_data_set_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = list_everything(capsys)
    for name in (*grid_file.list_shipped(), *registered_datasets):
        assert sum(line.startswith(f"  {name}") and name in line.split()[0] for line in lines), name
    assert "  sprites: 1×32×32, binary (static), 3 classes. drawn here; no file is read" in lines
    start = "  digits: 1×8×8, 17 levels, 10 classes. UCI"
    assert any(line.startswith(start) for line in lines)


def test_a_data_set_of_a_plugin_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "waves.py").write_text(PLUGIN)
    lines = list_everything(capsys, str(tmp_path / "waves.py"))
    assert "  waves: 7, continuous, no classes. mine [own]; nothing :x: is drawn" in lines
