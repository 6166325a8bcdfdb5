"""The command line: exit codes, and one line for bad input that leaves results untouched."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness import bench
from harness.data import download
from harness.experiment import provenance
from harness.experiment.cell import Cell
from harness.experiment.grid_file import list_shipped
from harness.monitoring import run_status
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.scheduling import packing
from harness.storage.layout import checkpoint_key
from harness.storage.schema import COLUMN_NAMES
from harness.storage.store import TABLE, Store
from harness.training.task import Cost
from tests.conftest import ROOT, CellMaker, lasting, tree

Run = Callable[..., int]
LINEAR = Cell("linear", seed=0, iterations=20, settings=(("z", 10),))
FIRST = ["--models", "linear", "--iterations", "20", "--samples", "200", "--seeds", "1"]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def run(own_model: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with the README's model, in this process and in an empty folder."""
    monkeypatch.chdir(results.parent)

    def command(*flags: str) -> int:
        where = [] if "--results" in flags else ["--results", str(results)]
        return bench.main([*flags, *where, "--plugin", str(own_model), "--launcher", "in-process"])

    return command


def statuses(results: Path) -> list[str]:
    return [row["status"] for row in Store(results).rows().values()]


# --- what runs ------------------------------------------------------------------------------------


def test_a_run_writes_its_table_and_says_where(
    run: Run, results: Path, mnist: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*FIRST) == 0
    assert statuses(results) == ["ok"]
    out = capsys.readouterr().out
    assert "1 of 1 cells done, 0 failed, 0 missing" in out
    assert str(results / TABLE) in out
    (record,) = Store(results).provenance()
    assert record["grid"]["sweeps"][0]["model"] == "linear"
    assert record["compare_given"] is False
    assert record["data"].keys() == {"mnist"}
    targets = Store(results).targets("mnist")
    assert targets is not None
    assert (targets == mnist.test_y.numpy()).all()


def test_the_same_command_again_does_nothing(
    run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*FIRST)
    before = tree(results)
    monkeypatch.setattr("harness.training.trainer.PackTrainer.train_step", lambda *_: 1 / 0)
    assert run(*FIRST) == 0
    assert tree(results) == before


def test_a_larger_grid_keeps_what_is_done(run: Run, results: Path) -> None:
    run(*FIRST)
    before = tree(results / "rows")
    assert run(*FIRST[:-1], "2", "--betas", "1", "2") == 0
    after = tree(results / "rows")
    assert len(after) == 4
    assert before.items() <= after.items()


def test_a_failed_cell_is_exit_code_1_and_only_resume_failed_tries_it_again(
    run: Run, results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr("harness.evaluation.elbo.elbo", broken)
        assert run(*FIRST) == 1
    out = capsys.readouterr().out
    assert "failed: linear seed=0: bound: RuntimeError: a fault" in out
    assert "--resume failed" in out
    assert run(*FIRST) == 1
    assert statuses(results) == ["failed"]
    # the second seed is missing, and not asked for
    assert run(*FIRST[:-1], "2", "--resume", "failed") == 1
    assert statuses(results) == ["ok"]
    assert run(*FIRST[:-1], "2") == 0


def test_another_run_at_work_in_the_same_place_is_told(
    run: Run, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*FIRST)
    (earlier,) = run_status.read(Store(results))
    assert earlier.complete
    assert "at work here" not in capsys.readouterr().err
    run_status.write(Store(results), replace(earlier, end="", written=provenance.utc_now()))
    assert run(*FIRST[:-1], "2") == 0
    assert f"run {earlier.run} on {earlier.host} was at work here" in capsys.readouterr().err


def test_resume_never_trains_anew(run: Run, results: Path) -> None:
    run(*FIRST)
    (before,) = Store(results).rows().values()
    assert run(*FIRST, "--resume", "never") == 0
    (after,) = Store(results).rows().values()
    assert lasting(after) == lasting(before)
    assert after["run"] != before["run"]


def test_a_dry_run_tells_the_plan_and_writes_nothing(
    run: Run, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*FIRST)
    before = tree(results)
    capsys.readouterr()
    assert run(*FIRST[:-1], "3", "--pack", "2", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "3 cells: 1 done or left out, 2 to do in 1 packs" in out
    assert "linear seed=2" in out
    assert run(*FIRST[:-1], "3", "--pack", "2", "--dry-run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(c["name"], c["pack"], c["status"]) for c in found["cells"]] == [
        ("linear seed=0", None, "ok"),
        ("linear seed=1", 1, None),
        ("linear seed=2", 1, None),
    ]
    (pack,) = found["packs"]
    assert pack["cells"] == 2
    assert 0 < pack["seconds"] == found["seconds"]
    assert tree(results) == before
    assert run(*FIRST, "--dry-run", "--results", "elsewhere") == 0
    assert not (results.parent / "elsewhere").exists()


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say what a step costs, so that nothing is measured: `cost(fixed, each)` seconds, whatever is
    trained.

    A third number is what the scoring of a cell takes, a fourth what compiling takes.
    """

    def say(fixed: float, each: float, score: float = 0.0, compiling: float = 0.0) -> None:
        monkeypatch.setattr(
            "harness.scheduling.step_timing.measure_step_costs",
            lambda cells, *_: {
                kind: Cost(fixed, each, compile=compiling)
                for kind in packing.group_by_pack_key(cells)
            },
        )
        monkeypatch.setattr(
            "harness.scheduling.score_timing.measure_score_costs",
            lambda cells, *_: dict.fromkeys(packing.group_by_pack_key(cells), score),
        )

    return say


def planned(out: str) -> list[list[str]]:
    """The columns of each cell's line after name and id: steps, pack, of, time."""
    return [line.split()[3:] for line in out.splitlines() if line.startswith("linear seed=")]


def test_a_dry_run_shows_each_cells_pack_and_time(
    run: Run, cost: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Packs of two and of one: 0.5 s of start, 20 steps of 1 s and 2 s a cell."""
    cost(1.0, 2.0)
    assert run(*FIRST[:-1], "3", "--pack", "2", "--dry-run") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["cell", "id", "steps", "pack", "of", "time"]
    assert planned(out) == [
        ["20", "1", "2", "50", "s"],
        ["20", "1", "2", "50", "s"],
        ["20", "2", "1", "1", "min", "00", "s"],
    ]
    assert (
        "about 2 min 41 s of training, scoring not counted, 2 min 41 s with 1 trials side by side"
        in out
    )


def test_scoring_counts_in_the_time_of_a_dry_run(
    run: Run, cost: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """A pack of three: 0.5 s of start, 20 steps of 0.3 s, and 10 s of scoring a cell."""
    cost(0.0, 0.1, 10.0)
    assert run(*FIRST[:-1], "3", "--pack", "3", "--dry-run") == 0
    assert "about 36 s of work, of which 30 s are scoring" in capsys.readouterr().out


def test_a_dry_run_says_what_must_be_compiled(
    run: Run, cost: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Three packs, one after another: the first compiles for 20 s, and each trains 2.5 s."""
    cost(0.0, 0.1, compiling=20.0)
    assert run(*FIRST[:-1], "3", "--pack", "1", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "counted, and 20 s of compiling for the first time, 28 s with 1 trials" in out


@pytest.mark.parametrize(
    ("fixed", "each", "packs"), [(1.0, 0.1, 1), (0.0, 0.1, 3)], ids=["shared", "not shared"]
)
@pytest.mark.parametrize("flags", [[], ["--pack", "auto"]], ids=["by default", "asked for"])
def test_packs_follow_what_cells_share(
    fixed: float,
    each: float,
    packs: int,
    flags: list[str],
    run: Run,
    cost: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cost(fixed, each)
    assert run(*FIRST[:-1], "3", *flags, "--dry-run") == 0
    assert f"3 to do in {packs} packs" in capsys.readouterr().out


def test_a_run_trains_the_packs_that_a_dry_run_shows(
    run: Run, results: Path, cost: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cost(1.0, 0.1)
    assert run(*FIRST[:-1], "3") == 0
    assert [row["pack"] for row in Store(results).rows().values()] == [3, 3, 3]


def test_a_plan_for_shares_of_a_gpu_needs_none(
    own_model: Path,
    results: Path,
    cost: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Five packs of 0.5 + 20 · 3 s, four at a time."""
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    cost(1.0, 2.0)
    flags = [*FIRST[:-1], "5", "--pack", "1", "--gpus-per-trial", "0.25", "--dry-run"]
    assert bench.main([*flags, "--plugin", str(own_model), "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert (
        "about 5 min 02 s of training, scoring not counted, 2 min 01 s with 4 trials side by side"
        in out
    )
    assert not results.exists()


def test_the_list_names_grids_models_and_data_sets(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--list"]) == 0
    out = capsys.readouterr().out
    for name in (*list_shipped(), "vae", "gmvae", "ssvae", "fashion_mnist"):
        assert f"{name}" in out


def test_the_help_page_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        bench.main(["--help"])
    out = capsys.readouterr().out
    for word in ("examples:", "Exit code 0", "--resume", "--gpus-per-trial", "--subset", "quick"):
        assert word in out


# --- what is refused ------------------------------------------------------------------------------

BAD_FLAGS = {
    "unknown model": (["--models", "vea"], "no model 'vea'; did you mean 'vae'?"),
    "unknown data set": (
        ["--models", "vae", "--dataset", "mnits"],
        "no dataset 'mnits'; did you mean 'mnist'?",
    ),
    "unknown shipped grid": (["quik"], "no grid 'quik'; did you mean 'quick'?"),
    "no such grid file": (["nowhere/grid.yaml"], "no grid file 'nowhere/grid.yaml'"),
    "unknown flag": (["quick", "--sedes", "3"], "--sedes"),
    "no seeds": (["quick", "--seeds", "0"], "at least 1"),
    "negative seeds": (["quick", "--seeds", "-3"], "at least 1"),
    "β below zero": (["quick", "--betas=-1"], "greater than or equal to 0"),
    "β that is no number": (["quick", "--betas", "abc"], "abc"),
    "β that is not finite": (["quick", "--betas", "inf"], "finite"),
    "no steps": (["quick", "--iterations", "0"], "greater than 0"),
    "half a step": (["quick", "--iterations", "1.5"], "1.5"),
    "no labels": (["labels", "--labels", "0"], "greater than 0"),
    "labels that the classes do not share": (["labels", "--labels", "55"], "55"),
    "unknown label draw": (["quick", "--label-draw", "mine"], "mine"),
    "a label draw without its file": (["quick", "--label-draw", "subset"], "--subset"),
    "unknown resume": (["quick", "--resume", "sometimes"], "missing"),
    "no patience": (
        ["quick", "--patience", "0"],
        "--patience: 0: expected a number of minutes above 0",
    ),
    "an empty pack": (["quick", "--pack", "0"], "--pack: 0: expected auto or at least 1 cell"),
    "a pack of a word": (["quick", "--pack", "x"], "--pack: x: expected auto or at least 1 cell"),
    "half a cell in a pack": (
        ["quick", "--pack", "1.5"],
        "--pack: 1.5: expected auto or at least 1 cell",
    ),
    "unknown way to compile": (["quick", "--compile", "sometimes"], "auto"),
    "no CPUs": (["quick", "--cpus-per-trial", "0"], "at least 1"),
    "negative GPUs": (["quick", "--gpus-per-trial", "-1"], "fraction"),
    "one and a half GPUs": (["quick", "--gpus-per-trial", "1.5"], "fraction"),
    "a bound of no draws": (["quick", "--iwae", "0"], "greater than 0"),
    "an unknown metric": (["quick", "--metrics", "fda"], "no optional metric 'fda'"),
    "an unknown recipe": (["quick", "--recipe", "optimiser=sgd"], "did you mean 'optimizer'"),
    "no such data file": (["quick", "--dataset", "nowhere.npz"], "no such file"),
    "no such subset": (["quick", "--subset", "nowhere.json"], "nowhere.json"),
    "no such plug-in": (["quick", "--plugin", "nowhere.py"], "nowhere.py"),
    "no such data folder": (["quick", "--data", "nowhere"], "nowhere"),
}


@pytest.mark.parametrize(("flags", "message"), BAD_FLAGS.values(), ids=BAD_FLAGS.keys())
def test_bad_flags_are_one_line_and_exit_2(
    flags: list[str], message: str, run: Run, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*flags) == 2
    refused(capsys, message)
    assert not results.exists()


BAD_FILES = {
    "an unknown key": ("seeds: 1\nsweps: []\n", "no grid key 'sweps'; did you mean 'sweeps'?"),
    "an unknown sweep key": (
        "seeds: 1\nsweeps: [{model: vae, betas: 1}]\n",
        "did you mean 'beta'?",
    ),
    "an empty grid": ("seeds: 1\nsweeps: []\n", "sweeps"),
    "negative seeds": ("seeds: [-1]\nsweeps: [{model: vae}]\n", "greater than or equal to 0"),
    "a list": ("- vae\n", "expected a mapping"),
    "no YAML": ("seeds: [1\n", "not YAML"),
    "an unknown setting": (
        "seeds: 1\nsweeps: [{model: vae, settings: {zz: 3}}]\n",
        "did you mean 'z'?",
    ),
    "a setting that the model refuses": (
        "seeds: 1\nsweeps: [{model: vae, settings: {z: 0}}]\n",
        "z",
    ),
    "a supervision that the model lacks": (
        "seeds: 1\nsweeps: [{model: vae, supervision: supervised}]\n",
        "vae",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_grid_files_are_one_line_and_exit_2(
    text: str, message: str, run: Run, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results.parent / "mine.yaml").write_text(text)
    assert run("mine.yaml") == 2
    refused(capsys, message)
    assert not results.exists()


def refused(capsys: pytest.CaptureFixture[str], message: str) -> None:
    """Check for one line with this text on stderr, and nothing on stdout."""
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert message in output.err


def parquet_of_another_schema(results: Path) -> None:
    import pandas as pd

    pd.DataFrame({"nelbo": [1.0]}).to_parquet(results / TABLE)


def half_a_checkpoint(results: Path) -> None:
    (results / "checkpoints").mkdir()
    (results / checkpoint_key(LINEAR)).write_bytes(b"\x40\x00\x00\x00\x00\x00\x00\x00{")


def no_parquet(results: Path) -> None:
    (results / TABLE).write_bytes(b"PAR1 and then nothing")


@pytest.mark.parametrize("damage", [parquet_of_another_schema, no_parquet, half_a_checkpoint])
def test_a_damaged_store_is_refused_and_untouched(
    damage: Callable[[Path], None], run: Run, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.mkdir()
    damage(results)
    before = tree(results)
    assert run(*FIRST) == 2
    refused(capsys, "expected" if "checkpoint" not in damage.__name__ else "delete it")
    assert tree(results) == before


def test_a_torn_row_is_named_and_set_aside_and_its_cell_computed_again(
    run: Run, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = results / f"rows/{LINEAR.id}.json"
    row.parent.mkdir(parents=True)
    row.write_text('{"cell": ')
    assert run(*FIRST) == 0
    assert f"damaged: {row} is not a whole row" in capsys.readouterr().err
    assert Store(results).rows()[LINEAR.id]["status"] == "ok"
    (aside,) = (results / "damaged").iterdir()
    assert aside.read_text() == '{"cell": '


def test_results_that_are_a_file_are_refused(
    run: Run, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results.write_text("precious")
    assert run(*FIRST) == 2
    refused(capsys, "is a file; expected a folder")
    assert results.read_text() == "precious"


def test_results_that_cannot_be_written_are_refused(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*FIRST, "--results", "/proc/results") == 2
    refused(capsys, "cannot be written")


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), None]
)
def test_data_that_are_not_the_original_are_refused(
    damage: Callable[[bytes], bytes] | None,
    run: Run,
    results: Path,
    mnist: Data,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A truncated, a changed and a missing file are each named."""
    name = "t10k-labels-idx1-ubyte"
    raw = download.cache_folder() / "MNIST" / "raw"
    folder = results.parent / "data" / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for path in raw.glob("*-ubyte"):
        content = path.read_bytes()
        if path.name != name:
            (folder / path.name).write_bytes(content)
        elif damage:
            (folder / path.name).write_bytes(damage(content))
    assert run(*FIRST, "--data", "data") == 2
    refused(capsys, name)
    assert not results.exists()


# --- the command, in a process of its own ---------------------------------------------------------


def command(own_model: Path, results: Path, *flags: str) -> list[str]:
    return [
        sys.executable,
        "harness/bench.py",
        *flags,
        "--plugin",
        str(own_model),
        "--results",
        str(results),
    ]


@pytest.mark.slow
def test_two_drivers_on_one_store_lose_nothing(own_model: Path, results: Path, mnist: Data) -> None:
    """Both run the same six cells, and both succeed."""
    flags = ["--models", "linear", "--seeds", "3", "--betas", "1", "2", "--iterations", "50"]
    flags += ["--samples", "200"]
    both = [
        subprocess.Popen(
            [*command(own_model, results, *flags), "--launcher", "in-process"], cwd=ROOT
        )
        for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]
    assert statuses(results) == ["ok"] * 6
    import pandas as pd

    table = pd.read_parquet(results / TABLE)
    assert list(table.columns) == list(COLUMN_NAMES)
    assert (len(table), table.cell.nunique()) == (6, 6)


@pytest.mark.slow
def test_a_killed_driver_and_its_workers_cost_at_most_a_checkpoint(
    own_model: Path, tmp_path: Path, cell: CellMaker, running_ray: object
) -> None:
    """After SIGKILL of the driver, the same command gives the rows of an undisturbed run."""
    killed, calm = Store(tmp_path / "killed"), Store(tmp_path / "calm")
    flags = [
        "--models",
        "vae",
        "linear",
        "--seeds",
        "1",
        "--iterations",
        "250",
        "--checkpoint-seconds",
        "0.2",
        "--samples",
        "200",
    ]
    process = subprocess.Popen(
        command(own_model, killed.root, *flags), cwd=ROOT, stdout=subprocess.DEVNULL
    )
    one = cell("vae", iterations=250)
    while killed.read(checkpoint_key(one)) is None and process.poll() is None:
        time.sleep(0.05)
    kill_with_children(process)
    assert killed.read(checkpoint_key(one)) is not None
    assert killed.row(one.id) is None
    for store, launcher in ((killed, "ray"), (calm, "in-process")):
        assert (
            bench.main([*command(own_model, store.root, *flags)[2:], "--launcher", launcher]) == 0
        )
    rows, expected = killed.rows(), calm.rows()
    assert {name: lasting(row) for name, row in rows.items()} == {
        name: lasting(row) for name, row in expected.items()
    }


def kill_with_children(process: subprocess.Popen[bytes]) -> None:
    """Kill the driver first, then the processes that it started."""
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for child in children:
        if child.is_running():
            child.kill()
    psutil.wait_procs(children, timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--gpus-per-trial", "64"], "a trial needs 1 CPUs and 64 GPUs"),
        (["--cpus-per-trial", "1000"], "a trial needs 1000 CPUs"),
    ],
)
def test_machines_that_are_not_there_are_refused(
    flags: list[str],
    message: str,
    own_model: Path,
    results: Path,
    mnist: Data,
    running_ray: object,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench.main([*command(own_model, results, *FIRST, *flags)[2:]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert not results.exists()


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_refused(
    own_model: Path, results: Path, mnist: Data
) -> None:
    done = subprocess.run(
        command(own_model, results, *FIRST, "--address", "ray://127.0.0.1:1"),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no Ray cluster at 'ray://127.0.0.1:1' (")
    assert done.stderr.count("\n") == 1
    assert not results.exists()


@pytest.fixture
def edited(
    own_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], list[str]]:
    """Flags for the README's model with another log_weight, given as Python."""
    monkeypatch.setattr(
        registry, "_models", {name: m for name, m in registry._models.items() if name != "linear"}
    )
    monkeypatch.setattr(registry, "_loaded", {})

    def flags(weight: str) -> list[str]:
        file = tmp_path / "edited.py"
        method = f"    def log_weight(self, x, noise):\n        return {weight}\n"
        file.write_text(own_model.read_text(encoding="utf-8") + "\n" + method, encoding="utf-8")
        return [
            "--plugin",
            str(file),
            "--launcher",
            "in-process",
            "--results",
            str(tmp_path / "scored"),
        ]

    return flags


SOUND = "noise['z'].sum(-1) - x.sum(-1)"


def test_a_score_that_fails_is_exit_code_1_and_the_row_stays(
    edited: Callable[[str], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """After log_weight is repaired, the cell is scored without training."""
    assert bench.main([*FIRST, *edited(SOUND)]) == 0
    before = tree(tmp_path / "scored" / "rows")
    with monkeypatch.context() as patch:
        patch.setattr("harness.training.conformance.contract.find_violation", lambda *_: None)
        assert bench.main([*FIRST, *edited("1 / 0"), "--iwae", "10"]) == 1
    out = capsys.readouterr().out
    assert "not scored: linear seed=0: ZeroDivisionError: division by zero; its row is kept" in out
    assert "1 of 1 cells done, 1 of them without a requested score, 0 failed, 0 missing" in out
    assert tree(tmp_path / "scored" / "rows") == before
    assert bench.main(["--status", str(tmp_path / "scored")]) == 1
    assert "unscored: linear seed=0: ZeroDivisionError: division by zero" in capsys.readouterr().out
    assert bench.main([*FIRST, *edited(SOUND), "--iwae", "10"]) == 0
    (after,) = Store(tmp_path / "scored").rows().values()
    assert after["iwae_10"] is not None
    assert f'"train_seconds": {after["train_seconds"]}' in next(iter(before.values())).decode()


def test_a_misfit_of_a_score_leaves_a_finished_row_as_it_is(
    edited: Callable[[str], list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([*FIRST, *edited(SOUND)]) == 0
    before = tree(tmp_path / "scored" / "rows")
    assert bench.main([*FIRST, *edited("1 / 0"), "--iwae", "10"]) == 1
    assert "model 'linear' fails in log_weight: ZeroDivisionError" in capsys.readouterr().out
    assert tree(tmp_path / "scored" / "rows") == before


def test_a_score_that_a_model_cannot_have_is_told_and_no_failure(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*FIRST, "--iwae", "10") == 0
    assert (
        "model 'linear' has no log_weight: its importance-weighted bounds stay empty"
        in capsys.readouterr().err
    )
