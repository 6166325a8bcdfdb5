"""Trackers through the command: the one of the docs, and TensorBoard with Ray."""

import json
import re
from pathlib import Path

import pytest

from harness import bench
from harness.plugins.dataset import Data
from harness.storage.store import Store
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "plug-ins.md").read_text(encoding="utf-8")
EXAMPLE = next(
    block
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    if "@register_tr" in block
)
SHORT = ["--models", "vae", "--iterations", "20", "--samples", "200", "--compile", "never"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tracker_of_the_docs(folder: Path, mnist: Data) -> None:
    Path("lines.py").write_text(EXAMPLE)
    flags = ["--seeds", "2", "--plugin", "lines.py", "--tracker", "lines", "--results", "r"]
    assert bench.main([*SHORT, *flags, "--launcher", "in-process"]) == 0
    store = Store("r")
    (record,) = store.provenance()
    lines = [json.loads(line) for line in Path(f"{record['run']}.jsonl").read_text().splitlines()]
    assert lines[-1] == {"end": "done"}
    for seed in (0, 1):
        own = [line for line in lines if line.get("name") == f"vae seed={seed}"]
        assert [line["step"] for line in own[:-1]] == [*range(1, 21)]
        assert all(line["nelbo"] > 100 for line in own[:-1])
        assert own[-1] == {"name": f"vae seed={seed}", "status": "ok"}
    assert [*record["plugins"]] == ["lines.py"]
    assert {row["source"] for row in store.rows().values()} == {None}


def test_a_tracker_that_fails_costs_no_row(
    folder: Path, mnist: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("lines.py").write_text(EXAMPLE.replace("self.names[cell], **point", "self.names[3]"))
    flags = ["--seeds", "1", "--plugin", "lines.py", "--tracker", "lines", "--results", "r"]
    assert bench.main([*SHORT, *flags, "--launcher", "in-process"]) == 0
    error = capsys.readouterr().err
    assert error.startswith(
        "tracker 'lines' failed in on_update and is left out from here on: KeyE"
    )
    assert error.count("\n") == 1


def test_an_unknown_tracker_is_one_line_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([*SHORT, "--tracker", "wandb"]) == 2
    assert capsys.readouterr().err == "error: no tracker 'wandb'; known: tensorboard\n"
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_tensorboard_with_ray_writes_every_point(folder: Path, mnist: Data) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert bench.main([*SHORT, "--seeds", "2", "--tensorboard", "--results", "r"]) == 0
    store = Store("r")
    for cell in store.rows():
        (file,) = store.path(f"tensorboard/{cell}").glob("events.*")
        logged = EventAccumulator(str(file)).Reload()
        curve = store.curve(cell)
        assert curve is not None
        assert [each.step for each in logged.Scalars("nelbo")] == curve["step"].tolist()
        assert [each.value for each in logged.Scalars("nelbo")] == pytest.approx(
            curve["nelbo"].tolist()
        )
