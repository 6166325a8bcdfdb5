"""The retry rule of object storage.

A request that fails with an error that may be transient is repeated for two minutes. After that
every request to the same address fails at its first error, until one succeeds. A run at its end
thus waits once, not once for every file that it writes.

PyArrow's own retry strategies cannot express the second half of the rule, as they keep no state
between requests, so they are switched off.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from harness.errors import StorageError

T = TypeVar("T")

# answers of a server that a repeated request will get again
PERMANENT_ERRORS = re.compile(
    r"NO_SUCH_BUCKET|INVALID_BUCKET|ACCESS_DENIED|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH|"
    r"PERMISSION_DENIED|UNAUTHENTICATED|NOT_FOUND|Bucket .* not found|"
    r"HTTP status (30\d|40[0-7]|41\d)|Unable to parse|Invalid"
)
UNREACHABLE = re.compile("NETWORK_CONNECTION|UNAVAILABLE")  # no server answered


@dataclass(frozen=True)
class RetryPolicy:
    """How long requests are repeated.

    seconds: a request that fails is repeated for this long
    first_seconds: the same for the first request if no server answers: the address may be wrong
    pauses: seconds before the first repetition, doubled each time, up to the second number
    """

    seconds: float = 120.0
    first_seconds: float = 5.0
    pauses: tuple[float, float] = (0.5, 8.0)

    def next_pauses(self) -> Iterator[float]:
        """The pauses before each repetition, without end."""
        pause, longest = self.pauses
        while True:
            yield pause
            pause = min(longest, 2 * pause)


POLICY = RetryPolicy()
_down_since: dict[str, float] = {}  # when (s) each address that fails was first seen to fail


def retry(work: Callable[[], T], address: str, name: str, is_first: bool = False) -> T:
    """The result of `work`, called again while it raises an OSError that may be transient.

    address: the storage, as this process knows it
    name: the storage as it is shown to people
    is_first: whether this is the first request to an address that may be wrong

    StorageError if the error is permanent or the time of `POLICY` is over.
    """
    started, pauses = time.monotonic(), POLICY.next_pauses()
    while True:
        try:
            result = work()
        except OSError as error:
            message = " ".join(str(error).split())
        else:
            _down_since.pop(address, None)
            return result
        is_unproven = is_first and UNREACHABLE.search(message) is not None
        limit = POLICY.first_seconds if is_unproven else POLICY.seconds
        since = min(started, _down_since.get(address, started))
        if PERMANENT_ERRORS.search(message) or time.monotonic() > since + limit:
            raise StorageError(name, message)
        _down_since.setdefault(address, started)
        pause = next(pauses)
        if not is_unproven:
            print(f"results {name}: {message}; retrying in {pause:g} s", file=sys.stderr)
        time.sleep(pause)
