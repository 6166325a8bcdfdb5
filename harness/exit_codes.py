"""Exit codes of the commands: 0 done, 1 failed, 2 bad input, 130 interrupted.

An error is printed as one line on stderr.
"""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

from harness.errors import InputError, StalledError, StorageError, strip_control_chars

P = ParamSpec("P")


def exit_codes(hint: str = "") -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Decorate a command: the errors that it raises become exit codes.

    `hint` says what to do after a failure other than bad input.
    """
    advice = f"; {hint}" if hint else ""

    def decorate(command: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> int:
            try:
                return command(*args, **kwargs)
            except InputError as error:
                return fail(f"error: {error}", 2)
            except StorageError as error:
                return fail(f"error: {error.description}{advice}", 1)
            except StalledError as error:
                return fail(f"error: {error}{advice}", 1)
            except KeyboardInterrupt:
                return fail(f"interrupted{advice.replace(';', ':', 1)}", 130)

        return run

    return decorate


def fail(message: str, code: int) -> int:
    """Print a message as one line on stderr; the exit code."""
    print(strip_control_chars(message), file=sys.stderr)
    return code
