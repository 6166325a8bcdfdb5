"""The live page: what it shows of the runs, who may read it, and when the report is written."""

import itertools
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness import bench
from harness.monitoring import run_status
from harness.monitoring.live import server
from harness.monitoring.live.report_writer import ReportWriter
from harness.monitoring.live.server import LivePage, LiveServer
from harness.monitoring.live.state import MAX_POINTS, draw_curve, extend
from harness.monitoring.run_status import Failure, PackProgress, RunStatus
from harness.storage.store import Store
from tests.unit.analysis.conftest import HOSTILE, made, row

PACK = PackProgress("vae seed=0", 50, 100, 25.0, 150.5)
RUN = RunStatus(
    run="2026-01-02T000000-aaaaaa",
    grid="quick",
    host="here",
    asked=10,
    before=2,
    cells=8,
    ended={"ok": 3, "failed": 1},
    running=1,
    packs=(PACK,),
    failures=(Failure("c1", HOSTILE, "failed"),),
    elapsed=60.0,
    left=120.0,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def page(store: Store, tmp_path: Path) -> LivePage:
    return LivePage(store, str(store.root), tmp_path)


@pytest.fixture
def url(page: LivePage) -> Iterator[str]:
    """The address of the page, served in a thread."""
    with LiveServer(page) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made.url
        made.shutdown()
        thread.join()


def write(store: Store, status: RunStatus) -> None:
    run_status.write(store, replace(status, written=datetime.now(UTC).isoformat()))


def get(url: str) -> tuple[int, str]:
    """The status and the body of an answer."""
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, ""


def rendered(page: LivePage, part: str = "state") -> str:
    content = page.render(part)
    assert content is not None
    return content.decode()


def test_progress_and_failures_are_shown_and_hostile_text_is_text(
    page: LivePage, store: Store
) -> None:
    write(store, RUN)
    page.state.refresh()
    html = rendered(page)
    for part in ("5 of 10 cells done", "1 failed", "about 2 min 00 s left", "50/100", "150.50"):
        assert part in html
    assert "&lt;script&gt;alert" in html
    assert "<script>alert" not in rendered(page, "")


def test_all_runs_that_go_on_are_shown_else_the_last(page: LivePage, store: Store) -> None:
    write(store, replace(RUN, run="2026-01-01T000000-cccccc", grid="ended", end="done"))
    page.state.refresh()
    assert "ended" in rendered(page)
    write(store, RUN)
    write(store, replace(RUN, run="2026-01-02T000001-bbbbbb", grid="beta"))
    page.state.refresh()
    assert [run["grid"] for run in page.state.describe()] == ["quick", "beta"]


def test_a_store_without_a_run_is_waited_for(page: LivePage) -> None:
    page.refresh()
    assert "No run has written its progress here yet" in rendered(page, "")


def test_a_curve_has_the_points_seen_and_ends_with_its_pack(page: LivePage, store: Store) -> None:
    for step in (10, 20, 20, 30):
        write(store, replace(RUN, packs=(replace(PACK, step=step, nelbo=200.0 - step),)))
        page.state.refresh()
    (points,) = page.state.curves.values()
    assert points == [(10, 190.0), (20, 180.0), (30, 170.0)]
    assert "<polyline points=" in rendered(page)
    write(store, replace(RUN, packs=()))
    page.state.refresh()
    assert page.state.curves == {}


def test_a_curve_is_thinned_and_a_retry_goes_back() -> None:
    points: list[tuple[int, float]] = []
    for step in range(1000):
        points = extend(points, replace(PACK, step=step, nelbo=float(step)))
    assert len(points) <= MAX_POINTS
    assert points[0][0] == 0
    assert points[-1] == (999, 999.0)
    back = extend(points, replace(PACK, step=500, nelbo=1.0))
    assert back[-1] == (500, 1.0)
    assert all(one < other for (one, _), (other, _) in itertools.pairwise(back))
    assert draw_curve([(1, 1.0)]) == ""


def test_a_store_that_cannot_be_read_is_told_and_tried_again(
    page: LivePage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, RUN)
    with monkeypatch.context() as patch:
        patch.setattr(server, "REFRESH_SECONDS", 0.01)
        patch.setattr(run_status, "read", lambda _: 1 / 0)
        with page.refreshing():
            while not page.state.message:
                time.sleep(0.01)
        assert "ZeroDivisionError" in rendered(page)
    page.refresh()
    assert "5 of 10 cells done" in rendered(page)
    assert "ZeroDivisionError" not in rendered(page)


def test_who_lacks_the_token_reads_nothing(url: str, page: LivePage) -> None:
    root = url.split("/", 3)[0] + "//" + url.split("/", 3)[2]
    assert get(url)[0] == 200
    assert get(f"{url}state")[0] == 200
    wrong = url.rstrip("/").rsplit("/", 1)[0] + "/" + "x" * 32 + "/"
    for other in (root, f"{root}/state", wrong, f"{wrong}state", url.rstrip("/")):
        assert get(other)[0] == 404
    assert get(f"{url}report")[0] == 404  # there is none yet
    assert get(f"{url}../state")[0] == 404


def test_it_listens_on_loopback_with_a_new_token_each_time(page: LivePage) -> None:
    with LiveServer(page) as one, LiveServer(page) as other:
        assert one.server_address[0] == "127.0.0.1"
        assert one.token != other.token


def test_a_port_in_use_is_refused(
    page: LivePage, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.root.mkdir()
    with LiveServer(page) as taken:
        port = str(taken.server_address[1])
        assert bench.main(["--serve", str(store.root), "--port", port]) == 2
    assert capsys.readouterr().err.startswith(f"error: port {port} of 127.0.0.1: Address already")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--serve", "x", "--port", "0"], "--port: 0: expected a port from 1 to 65535"),
        (["quick", "--port", "80"], "--port is for --serve"),
    ],
)
def test_a_port_that_cannot_be_is_refused(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(flags) == 2
    assert message in capsys.readouterr().err


def test_ctrl_c_ends_the_command_well(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(self: LiveServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveServer, "serve_forever", interrupt)
    assert server.serve(str(store.root)) == 0
    assert "http://127.0.0.1:" in capsys.readouterr().out


def poll_until(writer: ReportWriter, version: int) -> None:
    """Poll until there have been so many reports, or one failed."""
    end = time.monotonic() + 300
    while writer.version < version and not writer.message and time.monotonic() < end:
        writer.poll()
        time.sleep(0.05)


@pytest.mark.usefixtures("unpainted")
def test_the_report_is_written_again_when_rows_change_and_not_else(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    store.write_row(row(made("vae")))
    writer = ReportWriter(store, str(store.root), tmp_path)
    poll_until(writer, 1)
    assert (writer.version, writer.message) == (1, "")
    assert b"made-up" in writer.html
    assert not (store.root / "report").exists()
    writer._next = 0.0
    writer.poll()
    assert writer._process is None
    store.write_row(row(made("vae")) | {"score_seconds": 77.0})
    writer.poll()
    assert writer._process is not None
    writer.close()
    assert writer._process is None


@pytest.mark.usefixtures("unpainted")
def test_a_report_that_fails_is_told_and_the_last_one_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    store.write("rows/a.json", b"{}")
    writer = ReportWriter(store, str(store.root), tmp_path, html=b"before")
    poll_until(writer, 1)
    assert writer.message.startswith("error: ")
    assert writer.html == b"before"
