"""The command writes a page, figures, tables and a summary; bad input writes nothing."""

import base64
import contextlib
import hashlib
import html
import io
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from analysis import report
from harness.storage.store import Store
from tests.conftest import tree
from tests.unit.analysis.conftest import (
    HOSTILE,
    made,
    noisy,
    row,
    write_full_results,
    write_significant_results,
)

SCRIPT = Path(report.__file__)


def files(folder: Path) -> set[str]:
    """All files under a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Reported:
    """A folder with everything: its files before the report, and the printed summary."""

    root: Path
    before: dict[str, bytes]
    printed: str


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """A report of a folder with everything."""
    root = write_full_results(tmp_path_factory.mktemp("reported") / "results").root
    before = {name: (root / name).read_bytes() for name in files(root)}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert report.main([str(root)]) == 0
    return Reported(root, before, printed.getvalue())


@pytest.fixture
def page(reported: Reported) -> str:
    """The page of a folder with everything."""
    return (reported.root / "report" / "report.html").read_text(encoding="utf-8")


def test_all_files_are_there_and_the_results_unchanged(reported: Reported) -> None:
    written = files(reported.root / "report")
    assert "report.html" in written
    for figure in ("losses", "accuracy", "curves-nelbo", "curves-accuracy", "digit-counts"):
        assert {f"figures/{figure}.png", f"figures/{figure}.pdf"} <= written
    for table in (
        "comparisons-nelbo",
        "effects-accuracy",
        "summary-test",
        "summary-report-subset",
        "estimates",
        "table-1-report-subset",
        "table-3-test",
    ):
        assert {f"tables/{table}.{suffix}" for suffix in ("csv", "md", "tex")} <= written
    assert {
        name: (reported.root / name).read_bytes() for name in reported.before
    } == reported.before
    assert files(reported.root) == {*reported.before, *(f"report/{name}" for name in written)}


def test_the_page_stands_alone(page: str, reported: Reported) -> None:
    assert not re.findall(r"<(link|iframe|object)\b", page)
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!data:image/webp;base64,|#)""", page)
    assert "url(" not in page
    assert "@import" not in page
    figures = [
        name for name in files(reported.root / "report" / "figures") if name.endswith(".png")
    ]
    assert len(re.findall(r"<img ", page)) == len(figures) + 4


def test_its_policy_lets_no_script_run_but_its_own(page: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    images = "img-src data: 'self' file:"  # the samples beside the page
    policy = f"default-src 'none'; {images}; style-src 'unsafe-inline'; script-src 'sha256-{own}'"
    assert policy in page


def test_everything_from_the_table_is_escaped(page: str) -> None:
    assert "<script>alert" not in page
    assert str(html.escape(HOSTILE)).replace("&#x27;", "&#39;") in page


def test_verdicts_come_first_and_few_seeds_are_description_only(page: str) -> None:
    section = page.split('<section id="verdicts">')[1].split("</section>")[0]
    assert page.index("<section") == page.index('<section id="verdicts">')
    assert (
        section.count('class="described too-few-seeds"') == section.count('<span class="word">') > 0
    )
    assert "vae β=4 against vae β=1: too few seeds (n = 3" in re.sub(r"<[^>]+>", "", section)
    assert "fewer than 5 finished seeds in 5 of 5 arms: description only, no verdict" in section
    assert (
        "Default: every pair of arms, Holm; not known whether stated before the results were seen."
        in section
    )
    assert section.count("whether seeds were added later is not known for 5 of 5 arms") == 1
    assert section.count("arms are scored on the test images, there is no validation split") == 1


def test_failed_and_diverged_cells_are_listed_with_their_reason(page: str) -> None:
    section = page.split('<section id="missing">')[1].split("</section>")[0]
    lines = [
        re.sub(r"<[^>]+>", " ", line).split()
        for line in section.splitlines()
        if 'scope="row"' in line
    ]
    assert [line[:4] for line in lines] == [
        ["vae", "β=1", "7", "failed"],
        ["vae", "β=4", "8", "diverged"],
    ]
    assert "the loss was not finite at step 5" in section


def test_the_page_names_short_runs_and_broken_sums(page: str) -> None:
    assert "SHORTENED: 1,000 of 20,000 steps (gmvae)" in page
    assert "3 ok; shortened: 1,000 of 20,000 steps" in page
    assert 'class="flagged"' in page
    assert "17.18 + 81.25 = 98.43, not 99.06" in page


@pytest.mark.usefixtures("unpainted")
def test_models_of_ones_own_have_no_source_report_beside_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    for seed in range(5):
        store.write_row(row(made("mine", seed), nelbo=100.0 + seed, rec=81.0 + seed))
    assert report.main([str(store.root)]) == 0
    page = (store.root / "report/report.html").read_text(encoding="utf-8")
    assert "source report" not in (page + capsys.readouterr().out).lower()
    own = tmp_path / "own.yaml"
    own.write_text(OWN)
    assert report.main([str(store.root), "--references", str(own)]) == 0
    assert "my paper" in (store.root / "report/report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("unpainted")
def test_a_seed_under_two_cells_is_named_and_counts_in_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """β = 1 and β = 1.0 have two ids and one arm."""
    store = Store(tmp_path / "results")
    for cell in [made(model, seed) for model in ("vae", "gmvae") for seed in range(6)] + [
        made("vae", 3, beta=1)
    ]:
        store.write_row(row(cell, **noisy(cell)))
    assert report.main([str(store.root)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"vae +NELBO .+n = 5\)", out)
    assert "gmvae against vae: " in out
    assert re.search(
        r"\nvae: seed 3 has several cells, [0-9a-f]{16} and [0-9a-f]{16}, "
        "and none can count; keep one",
        out,
    )


@pytest.mark.usefixtures("unpainted")
def test_the_first_screen_tells_the_main_answer(tmp_path: Path) -> None:
    store = write_significant_results(tmp_path / "results")
    assert report.main([str(store.root)]) == 0
    page = (store.root / "report/report.html").read_text(encoding="utf-8")
    header = re.sub(r"<[^>]+>", "", page.split("<header>")[1].split("</header>")[0])
    assert re.search(
        r"NELBO on the test images: .+ against .+: (better|worse) by [\d.]+ nats \[", header
    )
    assert "Stated by the grid made-up before its results were seen" in page


def test_hostile_text_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(tmp_path / "results")
    bad = f"{HOSTILE}\x1b[31m"
    for model in (bad, "vae"):
        cell = made(model, settings=((bad, bad),), dataset=bad)
        store.write_row(row(cell, grid=bad, device=bad, host=bad, git_commit=bad, seeded=bad))
    store.write_row(row(made(bad), "failed", error=bad))
    assert report.main([str(store.root)]) == 0
    assert "<script>alert" not in (store.root / "report/report.html").read_text(encoding="utf-8")
    assert "\x1b" not in capsys.readouterr().out


def test_the_terminal_names_kinds_n_and_places(reported: Reported) -> None:
    out, root = reported.printed, reported.root
    assert re.search(
        r"vae β=1 +NELBO \(nats\) +test +100\.40 ± 0\.23 \(SE, n = 3\) +0\.40 +\[99\.41, 101\.39\]",
        out,
    )
    assert "Mean ± SE" in out
    assert "95 % t-interval" in out
    assert "NELBO on the test images, 6 comparisons: 6 too few seeds\n" in out
    assert re.search(r"\n  vae β=4 against vae β=1: too few seeds \(n = 3.+\): difference", out)
    assert re.search(r"gmvae +NELBO.+3 ok; shortened: 1,000 of 20,000 steps", out)
    assert "vae β=1: 1 of 4 cells failed, counted in no mean" in out
    assert out.endswith(
        f"results: {root / 'results.parquet'}\nreport: {root / 'report' / 'report.html'}\n"
    )


def test_another_place_for_the_report(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    store.write_row(row(made("vae"), "failed"))
    before = files(store.root)
    assert report.main([str(store.root), "--out", str(tmp_path / "deep" / "out")]) == 0
    assert (tmp_path / "deep" / "out" / "report.html").is_file()
    assert files(store.root) == before


def test_nothing_finished_is_still_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "results")
    store.write_row(row(made("vae"), "failed"))
    assert report.main([str(store.root)]) == 0
    assert "vae: 1 of 1 cells failed" in capsys.readouterr().out
    assert "RuntimeError: no reason" in (store.root / "report/report.html").read_text(
        encoding="utf-8"
    )


def test_bad_input_is_one_line_and_nothing_is_written(
    full: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no folder")
    (full.root / "curves" / f"{made('vae').id}.parquet").write_bytes(b"PAR1")
    before = files(tmp_path)
    for folder in ("nowhere", "empty", "file", "results"):
        assert report.main([str(tmp_path / folder)]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert re.fullmatch(r"error: .+expected.+\n", output.err)
    assert files(tmp_path) == before


@pytest.mark.usefixtures("unpainted")
def test_a_grid_without_its_baseline_has_no_verdicts(full: Store) -> None:
    baseline = {"name": "g", "compare": {"baseline": {"model": "vae", "beta": 16}}}
    full.write(
        "provenance/run.json",
        json.dumps({"run": "r", "started": "2026", "grid": baseline}).encode(),
    )
    assert report.main([str(full.root)]) == 0
    assert "Nothing is compared: no beta" in (full.root / "report/report.html").read_text(
        encoding="utf-8"
    )


OWN = """references:
  - {name: my paper, source: somewhere, origin: published, table: table-1, evaluation: test,
     model: vae, n: 5, figures: {nelbo: {mean: "98.7", sd: "0.4"}}}
"""


@pytest.mark.usefixtures("unpainted")
def test_figures_of_ones_own_paper_are_laid_beside_ours(
    full: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(OWN)
    assert report.main([str(full.root), "--references", str(own)]) == 0
    assert "my paper" in (full.root / "report/report.html").read_text(encoding="utf-8")
    own.write_text(OWN.replace("98.7", "abc"))
    before = tree(full.root)
    capsys.readouterr()
    assert report.main([str(full.root), "--references", str(own)]) == 2
    assert re.fullmatch(r"error: .+abc.+\n", capsys.readouterr().err)
    assert tree(full.root) == before


@pytest.mark.usefixtures("unpainted")
def test_a_place_that_cannot_be_written(
    full: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert report.main([str(full.root), "--out", str(tmp_path / "file" / "out")]) == 2
    assert re.fullmatch(r"error: report .+ cannot be written: .+\n", capsys.readouterr().err)


def test_the_script_loads_neither_torch_nor_ray(full: Store, tmp_path: Path) -> None:
    """The report runs in a new process from another folder; matplotlib is imported only to draw."""
    code = (
        "import sys, runpy; sys.argv = ['report.py', *sys.argv[1:]]\n"
        f"try: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
        "finally: print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}), "
        "file=sys.stderr)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def loaded(folder: Path) -> tuple[int, set[str]]:
        command = [sys.executable, "-W", "error", "-c", code, str(folder)]
        started = time.monotonic()
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        print(f"{time.monotonic() - started:.1f} s")
        return done.returncode, set(done.stderr.split("LOADED")[1].split())

    status, modules = loaded(full.root)
    assert (status, modules & {"torch", "torchvision", "ray"}) == (0, set())
    status, modules = loaded(tmp_path / "nowhere")
    assert (status, modules & {"torch", "torchvision", "ray", "matplotlib", "seaborn"}) == (
        2,
        set(),
    )


def test_the_command_as_a_user_types_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "nowhere"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
