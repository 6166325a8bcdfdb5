"""The cache of compiled objectives, in separate processes."""

import subprocess
import sys

import pytest
import torch


@pytest.mark.slow
@pytest.mark.parametrize(
    "before", ["", "codecache.torch_key(); "], ids=["first", "after somebody else"]
)
def test_inductors_cache_is_keyed_by_versions(
    before: str,
) -> None:
    """Tested in a new process; keys that are set already are kept."""
    version = f"{torch.__version__} {torch.version.git_version}".encode()
    check = (
        f"from torch._inductor import codecache; {before}from harness.evaluation import inductor; "
        "inductor.set_inductor_keys(); print(codecache.torch_key().hex())"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert (done.stdout.strip() == version.hex()) is (before == "")
