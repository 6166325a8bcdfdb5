"""The command that fetches data sets."""

import subprocess
import sys


def test_the_module_refuses_an_unknown_name_with_exit_code_2() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "harness.data", "mnits"], capture_output=True, text=True
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: no dataset 'mnits'")
    assert found.stderr.count("\n") == 1
