"""Random streams in another process."""

import os
import subprocess
import sys

from tests.unit.harness.experiment.test_seeding import GOLDEN


def test_streams_are_the_same_in_another_process() -> None:
    code = (
        f"from harness.experiment.seeding import derive; print([derive(*a) for a in "
        f"{list(GOLDEN)}])"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == str(list(GOLDEN.values()))
