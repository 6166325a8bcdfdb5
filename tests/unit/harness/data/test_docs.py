"""docs/data-sets.md: its table is what is registered, and its plug-in works."""

import re
from pathlib import Path

import pytest
import torch

from harness.data.loading import DatasetLoader
from harness.plugins import registry
from harness.plugins.dataset import registered_datasets
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "data-sets.md").read_text(encoding="utf-8")
ROWS = [
    [part.strip().strip("`") for part in line.strip("|").split("|")]
    for line in re.findall(r"^\| `\w+` \|.*\|$", TEXT, re.MULTILINE)
    if line.count("|") == 7
]


def test_every_shipped_set_is_in_the_table() -> None:
    registry.cards()
    shipped = {
        name
        for name, dataset in registered_datasets.items()
        if type(dataset).__module__.startswith("harness.data.sets")
    }
    assert sorted(row[0] for row in ROWS) == sorted(shipped)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_table_says_what_the_sets_are(row: list[str]) -> None:
    name, shape, kind, classes, *_ = row
    spec = registry.lookup_dataset(name).spec
    assert shape == "×".join(map(str, spec.shape))
    kinds = {"binary": f"binary, {spec.binarisation}", "ordinal": f"{spec.levels} levels"}
    assert kind == kinds.get(spec.kind, spec.kind)
    assert classes == (str(spec.classes) if spec.classes else "–")


def test_the_plugin_of_the_page_is_a_data_set(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "waves.py").write_text(block, encoding="utf-8")
    registry.load_plugins([str(tmp_path / "waves.py")])
    loader = DatasetLoader()
    data = loader.load("waves")
    assert (data.train_x.shape, data.test_x.shape) == ((1000, 50), (200, 50))
    assert data.test_factors is not None
    assert data.test_factors.shape == (200, 1)
    assert len(loader.version("waves")) == 12
    assert torch.equal(data.train_x, DatasetLoader().load("waves").train_x)
