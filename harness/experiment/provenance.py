"""The provenance of a result: commit, library versions, machine, command."""

import functools
import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

from harness.program import command_of

PACKAGE = "generative-bench"
LIBRARIES = ("torch", "ray", "numpy", "pandas", "pyarrow", "scipy", PACKAGE)


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the microsecond."""
    return datetime.now(UTC).isoformat()


def git_commit(folder: Path = Path(__file__).parent) -> str:
    """The commit of a folder, followed by + if tracked files differ.

    Published results, which are tracked as well, do not count. Where git does not track the folder,
    as in an installed package, it is `v` and the version of the package.
    """
    try:
        if not _git(folder, "ls-files", "."):
            return package_version()  # the environment lies in a checkout of something else
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "diff", "--name-only", "HEAD", "--", ":/", ":(top,exclude)results")
    except (OSError, subprocess.SubprocessError):
        return package_version()
    return head + "+" * bool(changed)


def package_version() -> str:
    """The version of the installed package, as `v0.1.0`."""
    return f"v{metadata.version(PACKAGE)}"


def _git(folder: Path, *words: str) -> str:
    completed = subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=30
    )
    return completed.stdout.strip()


@functools.cache
def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on."""
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in LIBRARIES},
    }


def describe_device(torch_device: torch.device) -> str:
    """A device in words: `cpu: AMD EPYC`, `cuda: NVIDIA H100`."""
    name = (
        torch.cuda.get_device_name(torch_device)
        if torch_device.type == "cuda"
        else _processor_name()
    )
    return f"{torch_device.type}: {name}"


def describe_machine() -> dict[str, object]:
    """The properties of this machine that may affect a result."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "processor": _processor_name(),
        "cpus": os.cpu_count(),
        "gpus": gpus,
    }


def command_line() -> str:
    """The running command as a user would type it."""
    return " ".join([command_of("harness/bench.py"), *sys.argv[1:]])


@functools.cache
def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
