"""The files that start a grid elsewhere: they parse, and their commands have flags that exist."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli.arguments import make_parser
from tests.conftest import ROOT

FILES = {path.name: path for path in sorted((ROOT / "examples" / "clusters").iterdir())}


def read_yaml(name: str) -> Any:
    return yaml.safe_load(FILES[name].read_text(encoding="utf-8"))


COMMANDS: dict[str, Callable[[], str]] = {
    "rayjob.yaml": lambda: read_yaml("rayjob.yaml")["spec"]["entrypoint"],
    "skypilot.yaml": lambda: read_yaml("skypilot.yaml")["run"],
    "slurm.sh": lambda: FILES["slurm.sh"].read_text(encoding="utf-8"),
}


def test_there_is_a_command_for_every_file() -> None:
    assert set(COMMANDS) == set(FILES)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_has_flags_that_exist(name: str) -> None:
    (line,) = re.findall(r"^.*?python harness/bench\.py (.*?)(?: &)?$", COMMANDS[name](), re.M)
    args = make_parser().parse_args(shlex.split(line))
    assert args.address == "auto"


@pytest.mark.parametrize("script", ["slurm.sh", "skypilot.yaml"])
def test_scripts_are_shell(script: str, tmp_path: Path) -> None:
    text = COMMANDS[script]()
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_cluster_asks_for_the_token() -> None:
    assert read_yaml("rayjob.yaml")["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    task = read_yaml("skypilot.yaml")
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}  # null: whoever launches must give it
    for script in (task["run"], COMMANDS["slurm.sh"]()):
        assert "RAY_AUTH_MODE=token" in script
        assert "--dashboard-host=127.0.0.1" in script


def test_the_versions_are_those_of_the_lock_file() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (version,) = re.findall(r"^ray(?:\[[^]]*\])?==(\S+)", lock, re.M)
    assert read_yaml("rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"] == version
