"""Output into a closed pipe gives no traceback and the usual exit code."""

import subprocess
import sys
from subprocess import PIPE

import pytest

from tests.conftest import ROOT

SAID = """
import sys
from harness import closed_pipe
closed_pipe.guard()
print("first", flush=True)
sys.stdin.readline()  # until the reader has gone
for _ in range(20000):
    print("and more", file={stream})
{stream}.flush()
print(closed_pipe.is_reader_gone(), file=open({report!r}, "w"))
sys.exit(7)
"""


@pytest.mark.parametrize("stream", ["sys.stdout", "sys.stderr"])
def test_a_process_ends_as_if_it_had_been_read(
    stream: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    report = tmp_path_factory.mktemp("pipe") / "report"
    script = SAID.format(stream=stream, report=str(report))
    with subprocess.Popen(
        [sys.executable, "-c", script], text=True, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "first\n"
        closed, other = (process.stdout, process.stderr)[:: 1 if stream == "sys.stdout" else -1]
        closed.close()
        process.stdin.write("gone\n")
        process.stdin.flush()
        assert other.read() == ""
    assert process.returncode == 7
    assert report.read_text() == f"{stream == 'sys.stdout'}\n"


@pytest.mark.parametrize(
    "command", [["harness/bench.py", "--list"], ["analysis/report.py", "nowhere"]]
)
def test_commands_write_into_a_closed_pipe(command: list[str]) -> None:
    """A shell closes the pipe before the command has started."""
    shell = f"({sys.executable} {' '.join(command)}; echo code $? >&2) | true"
    output = subprocess.run(
        ["bash", "-c", shell], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert "Traceback" not in output.stderr
    assert output.stderr.splitlines()[-1] == ("code 0" if "--list" in command else "code 2")
