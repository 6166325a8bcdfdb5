"""Storage: a bucket behaves like a folder, transient errors are retried, no secret is shown."""

import math
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from analysis import compare, report
from harness import bench
from harness.errors import InputError, StorageError
from harness.storage.object_store import Bucket
from harness.storage.retry import POLICY, RetryPolicy
from harness.storage.store import TABLE, Store, make_backend
from tests.conftest import ROOT, SECRET, bucket, tree
from tests.failing_proxy import FailingProxy


class Clock:
    """The clock of the retry rule, in seconds; it only advances in pauses, which take no time."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("harness.storage.retry.time", made)
    return made


@pytest.fixture
def proxy(s3: str, clock: Clock) -> Iterator[FailingProxy]:
    """A proxy for the S3 server; pauses take no time."""
    made = FailingProxy(s3)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def behind(proxy: FailingProxy) -> Bucket:
    made = make_backend(bucket(f"127.0.0.1:{proxy.server_port}"))
    assert isinstance(made, Bucket)
    return made


# --- what a bucket does ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 25_000_000])
def test_what_is_put_is_read_back(size: int, s3: str) -> None:
    """The largest is uploaded in several parts."""
    there, content = make_backend(bucket(s3)), os.urandom(size)
    there.write("weights/a", content)
    assert there.read("weights/a") == content
    assert there.read_start("weights/a", 10) == content[:10]
    assert there.read_start("weights/b", 10) is None


def test_keys_with_odd_letters_are_their_own(s3: str) -> None:
    there = make_backend(bucket(s3))
    keys = ["rows/a b.json", "rows/a%20b.json", "rows/a+b.json", "rows/β.json"]
    for key in keys:
        there.write(key, key.encode())
    assert list(there.versions("rows", ".json")) == sorted(keys)
    assert there.read_all(keys) == {key: key.encode() for key in keys}


def test_a_small_put_is_one_request(proxy: FailingProxy) -> None:
    there = behind(proxy)
    there.write("rows/a.json", b"{}")
    assert [line.split("/")[0] for line in proxy.seen] == ["PUT "]


def test_a_place_exists_once_something_was_written(address: str) -> None:
    there = make_backend(address)
    assert not there.exists()
    there.write("rows/a", b"")
    assert there.exists()


def test_a_list_is_longer_than_a_page(s3: str) -> None:
    """A page of S3 has a thousand keys."""
    there = make_backend(bucket(s3))
    keys = [f"rows/{number:04}" for number in range(1100)]
    with ThreadPoolExecutor(8) as writers:
        list(writers.map(lambda key: there.write(key, b"x"), keys))
    assert list(there.versions("rows", "")) == keys


# --- what passes, and what does not ---------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_bucket_that_fails_for_a_while_is_retried(
    status: int, proxy: FailingProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    there = behind(proxy)
    proxy.status = status
    for work in (
        lambda: there.write("k", b"v"),
        lambda: there.read("k"),
        lambda: there.versions(".x", ""),
        lambda: there.remove("k"),
    ):
        proxy.refusals = 3
        work()
    assert there.read("k") is None
    assert "retrying in" in capsys.readouterr().err


def test_a_put_that_fails_leaves_the_old_object(proxy: FailingProxy) -> None:
    there = behind(proxy)
    there.write("k", b"old")
    proxy.refusals = 10**6
    with pytest.raises(StorageError, match="finished cells are kept"):
        there.write("k", b"new")
    proxy.refusals = 0
    assert there.read("k") == b"old"


def test_permanent_errors_are_raised_at_once(proxy: FailingProxy) -> None:
    there = behind(proxy)
    proxy.refusals, proxy.status = 10**6, 403
    with pytest.raises(StorageError, match="ACCESS_DENIED"):
        there.read("k")
    assert len(proxy.seen) == 1


def test_a_missing_server_is_an_error_after_two_minutes(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StorageError, match=r"results s3://bench/x: .*NETWORK_CONNECTION"):
        make_backend(bucket("127.0.0.1:1", "x")).read("k")
    assert POLICY.seconds < clock.now <= POLICY.seconds + POLICY.pauses[1]


def test_after_two_minutes_requests_fail_at_once(proxy: FailingProxy) -> None:
    """The end of a run does not wait two minutes for each request.

    This holds for every object with the same address.
    """
    there = behind(proxy)
    again = Store(there.address)
    proxy.refusals = 10**6
    with pytest.raises(StorageError):
        there.read("k")
    proxy.seen.clear()
    with pytest.raises(StorageError):
        again.read("k")
    assert len(proxy.seen) == 1
    proxy.refusals = 0
    assert again.read("k") is None
    proxy.refusals = 3
    assert there.read("k") is None


def commands(address: str) -> list[Callable[[], int]]:
    """All commands that take the address of results."""
    arms = ["--a", "model=vae", "--b", "model=gmvae"]
    return [
        lambda: bench.main(["--models", "vae", "--results", address, "--launcher", "in-process"]),
        lambda: bench.main(["--models", "vae", "--results", address, "--dry-run"]),
        lambda: bench.main(["--status", address]),
        lambda: bench.main(["--results", address, "--log", "0"]),
        lambda: report.main([address]),
        lambda: compare.main([address, *arms]),
    ]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("nobody", "NETWORK_CONNECTION"),
        ("no bucket", "NO_SUCH_BUCKET"),
        ("forbidden", "ACCESS_DENIED"),
    ],
)
def test_a_wrong_address_is_refused_within_seconds(
    wrong: str, message: str, proxy: FailingProxy, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """By every command; only a bucket that answered before is retried for two minutes."""
    proxy.refusals, proxy.status = (10**6, 403) if wrong == "forbidden" else (0, 500)
    server = "127.0.0.1:1" if wrong == "nobody" else f"127.0.0.1:{proxy.server_port}"
    address = (
        bucket(server).replace("//bench/", "//nowhere/") if wrong == "no bucket" else bucket(server)
    )
    for command in commands(address):
        begun = clock.now
        assert command() == 2
        assert re.fullmatch(
            rf"error: results [^\n]*{message}[^\n]*expected [^\n]*\n", capsys.readouterr().err
        )
        assert clock.now - begun < 10


def test_a_server_that_fails_at_the_start_is_retried(
    proxy: FailingProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    there = behind(proxy)
    proxy.refusals = 3
    there.check_reachable()
    assert capsys.readouterr().err.count("retrying in") == 3


@pytest.mark.slow
@pytest.mark.parametrize("command", ["report", "compare"])
@pytest.mark.usefixtures("unpainted")
def test_failing_storage_of_the_analysis_is_one_line(
    command: str,
    proxy: FailingProxy,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first, the second, a middle or the last request fails.

    The exit code is 1 and there is no traceback.
    """
    there, answered = behind(proxy), [math.inf]
    results = ROOT / "results" / "beta"
    for path in (
        results / "results.parquet",
        *results.glob("curves/*"),
        *results.glob("provenance/*"),
    ):
        there.write(path.relative_to(results).as_posix(), path.read_bytes())
    # the first failure is the last
    monkeypatch.setattr("harness.storage.retry.POLICY", RetryPolicy(seconds=-1.0))
    monkeypatch.setattr(proxy, "refuses", lambda: len(proxy.seen) > answered[-1])

    def asked() -> int:
        proxy.seen.clear()
        if command == "report":
            return report.main([there.address, "--out", str(tmp_path / "report")])
        return compare.main([there.address, "--a", "beta=1", "--b", "beta=2"])

    assert asked() == 0
    requests = len(proxy.seen)
    for count in (0, 1, requests // 2, requests - 1):
        answered.append(count)
        capsys.readouterr()
        assert asked() == 1
        assert re.fullmatch(
            r"error: results s3:[^\n]*HTTP status 500[^\n]*\n", capsys.readouterr().err
        )


def test_a_missing_bucket_is_refused_before_any_write(s3: str) -> None:
    store = Store(f"s3://no-such-bucket/x?endpoint_override={s3}&scheme=http")
    with pytest.raises(
        InputError,
        match=r"\A[^\n]*NO_SUCH_BUCKET[^\n]*expected a bucket that is there and writable\Z",
    ):
        store.prepare()


def test_a_server_named_in_the_environment_is_asked(
    s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = bucket(s3)
    make_backend(named).write("k", b"v")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{s3}")
    assert make_backend(named.partition("?")[0]).read("k") == b"v"


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (f"s3://key:{SECRET}@bench/x", "credentials in the address"),
        (
            f"s3://bench/x?secret_key={SECRET}",
            "no option secret_key; expected endpoint_override, scheme, region",
        ),
        ("s3://bench/x?allow_bucket_creation=true", "no option allow_bucket_creation"),
        ("s3://", "expected s3://BUCKET/PATH"),
        ("s3://bench/a/../../b", "expected s3://BUCKET/PATH"),
        ("s3://bench/a#b", "expected s3://BUCKET/PATH"),
        ("http://bench/x", "expected a folder, s3://BUCKET/PATH or gs://BUCKET/PATH"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_in_one_line(address: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        Store(address)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_the_name_of_an_address_has_no_query() -> None:
    address = bucket("127.0.0.1:1", "x")
    store = Store(address)
    assert (store.name, store.address, store.display_path(TABLE)) == (
        "s3://bench/x",
        address,
        f"s3://bench/x/{TABLE}",
    )
    assert store.report_folder == Path("results/bench/x")


def test_google_storage_uses_the_same_backend() -> None:
    """It is only opened, since there is no test server."""
    there = make_backend("gs://bench/x?anonymous=true")
    assert isinstance(there, Bucket)
    assert there.filesystem.type_name == "gcs"


def test_what_needs_files_refuses_a_bucket() -> None:
    with pytest.raises(InputError, match="lie in a bucket; expected a folder"):
        Store("s3://bench/x").path("tensorboard")


@pytest.mark.parametrize("key", ["../out", "rows/../../out", "/etc/hostname", "rows//a"])
def test_a_key_does_not_leave_its_part_of_a_bucket(key: str) -> None:
    with pytest.raises(ValueError, match="leaves the results folder"):
        make_backend("s3://bench/x").write(key, b"")


# --- the whole way --------------------------------------------------------------------------------


@pytest.mark.slow
def test_storage_lost_in_mid_run_ends_it_after_two_minutes(
    own_model: Path,
    proxy: FailingProxy,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The trial waits; checkpoint, table and status fail at once."""
    gone: list[float] = []

    def refuses() -> bool:
        if not gone and any("curves/" in line for line in proxy.seen):
            gone.append(clock.now)
        return bool(gone)

    monkeypatch.setattr(proxy, "refuses", refuses)
    flags = ["--models", "linear", "--seeds", "2", "--iterations", "10", "--plugin", str(own_model)]
    assert bench.main([*flags, "--launcher", "in-process", "--results", behind(proxy).address]) == 1
    assert clock.now - gone[0] < 1.5 * POLICY.seconds
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: results s3://bench/")


@pytest.mark.slow
@pytest.mark.usefixtures("unpainted")
def test_a_grid_of_ray_trials_ends_in_a_bucket(
    own_model: Path, tmp_path: Path, s3: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run of the command does nothing, and a report reads the bucket.

    The secret is in no object, no output and no page.
    """
    address = bucket(s3)
    store = Store(address)
    flags = ["--models", "linear", "--seeds", "2", "--iterations", "10", "--plugin", str(own_model)]
    flags += ["--samples", "200", "--pack", "2"]
    command = [sys.executable, str(ROOT / "harness" / "bench.py"), *flags, "--results", address]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"2 of 2 cells done, 0 failed, 0 missing; results: {store.name}/{TABLE}" in first.stdout
    rows = store.rows()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert store.rows() == rows
    assert not (tmp_path / "results").exists()
    assert report.main([address, "--out", str(tmp_path / "report")]) == 0
    output = capsys.readouterr()
    assert f"results: {store.name}/{TABLE}" in output.out
    written = {**contents(store), **tree(tmp_path / "report")}
    assert {"results.parquet", "report.html"} <= written.keys()
    outputs = "".join(
        [first.stdout, first.stderr, again.stdout, again.stderr, output.out, output.err]
    ).encode()
    assert [
        name for name, content in {**written, "said": outputs}.items() if SECRET.encode() in content
    ] == []


def contents(store: Store) -> dict[str, bytes]:
    """Everything in a store's bucket, by key."""
    from pyarrow import fs

    assert isinstance(store.backend, Bucket)
    found = store.backend.filesystem.get_file_info(
        fs.FileSelector(store.backend.root, recursive=True)
    )
    keys = [info.path.removeprefix(store.backend.root + "/") for info in found if info.is_file]
    return store.backend.read_all(keys)
