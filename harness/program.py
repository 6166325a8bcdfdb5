"""What a user types to run a command: a path in a checkout, or the name of an installed command."""

import sys
from pathlib import Path

INSTALLED_PREFIX = "generative-bench"


def command_of(script: str) -> str:
    """What the present command is called; `script` is its path in a checkout.

    >>> command_of("harness/bench.py")
    'python harness/bench.py'
    """
    name = Path(sys.argv[0]).stem
    return name if name.startswith(INSTALLED_PREFIX) else f"python {script}"
