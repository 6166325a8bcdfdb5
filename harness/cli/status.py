"""The status of the runs of a store, and the logs of failed cells. Starts without torch."""

import json
import time
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.live import Live

from harness import closed_pipe
from harness.errors import InputError
from harness.monitoring import display, run_status
from harness.monitoring.display import MAX_SHOWN, describe_state
from harness.monitoring.run_status import RunStatus
from harness.storage.layout import LOGS, name_of
from harness.storage.store import Store

REFRESH_SECONDS = 2.0
MAX_EARLIER_RUNS = 10  # runs that get a line


def show(store: Store, console: Console) -> int:
    """Print the status of the newest run, and earlier runs in a line each; 1 if the newest failed,
    is incomplete or sends no updates.
    """
    *earlier, newest = _read_statuses(store)
    for earlier_run in earlier[-MAX_EARLIER_RUNS:]:
        count = f"{earlier_run.done}/{earlier_run.cells} cells done, {earlier_run.failed} failed"
        console.print(f"{earlier_run.run}: {describe_state(earlier_run)}, {count}", soft_wrap=True)
    console.print(f"{newest.run}: {describe_state(newest)}", soft_wrap=True)
    console.print(display.render_page(newest))
    console.print(
        f"{newest.before + newest.done} of {newest.asked} cells of the grid {newest.grid!r} are "
        f"done"
    )
    if newest.outlook:
        console.print(newest.outlook, soft_wrap=True)
    for failure in newest.failures[:MAX_SHOWN]:
        reason = run_status.read_failure_reason(store, failure.cell)
        console.print(f"{failure.status}: {failure.name}: {reason}", soft_wrap=True)
    if newest.failures:
        console.print(f"why: --log CELL, as in --log {newest.failures[0].cell}")
    return 0 if newest.healthy else 1


def show_json(store: Store) -> int:
    """Print the status of every run as JSON, the newest last; the exit code of `show`."""
    statuses = _read_statuses(store)
    print(json.dumps({"runs": [_to_plain(store, status) for status in statuses]}, indent=1))
    return 0 if statuses[-1].healthy else 1


def _to_plain(store: Store, status: RunStatus) -> dict[str, Any]:
    """The fields of a status, its state in words, and the reasons of failures."""
    failures = [
        asdict(failure) | {"reason": run_status.read_failure_reason(store, failure.cell)}
        for failure in status.failures
    ]
    state = {"state": describe_state(status), "healthy": status.healthy, "done": status.done}
    return asdict(status) | state | {"failed": status.failed, "failures": failures}


def follow(store: Store, console: Console) -> int:
    """Show the newest run live until it ends, as plain lines without a terminal; then as `show`."""
    with Live(
        get_renderable=lambda: display.render_page(_read_statuses(store)[-1]),
        console=console,
        auto_refresh=False,
    ) as live:
        while not (newest := _read_statuses(store)[-1]).end and not closed_pipe.is_reader_gone():
            if console.is_terminal:
                live.refresh()
            else:
                console.print(
                    f"{describe_state(newest)}: {display.summary(newest)}", soft_wrap=True
                )
            time.sleep(REFRESH_SECONDS if console.is_terminal else REFRESH_SECONDS * 5)
    return show(store, console)


def print_log(store: Store, name: str, console: Console) -> int:
    """Print the log of a failed cell, named by its id, the start of its id, or its printed name."""
    logs = {name_of(key): key for key in store.keys(*LOGS)}
    named_cells = {
        failure.cell
        for one in run_status.read(store)
        for failure in one.failures
        if failure.name == name
    }
    matches = sorted(
        cell for cell in logs if cell in named_cells or (name and cell.startswith(name))
    )
    if len(matches) != 1:
        which = f"{len(matches)} failed cells have" if matches else "no failed cell has"
        known = ", ".join((matches or sorted(logs))[:MAX_SHOWN]) or "none"
        raise InputError(f"{which} the name {name!r}; expected one of those with a log: {known}")
    console.out((store.read(logs[matches[0]]) or b"").decode(errors="replace"), highlight=False)
    return 0


def _read_statuses(store: Store) -> list[RunStatus]:
    statuses = run_status.read(store)
    if not statuses:
        raise InputError(
            f"no run has left its progress in {store.name!r}; expected results of harness/bench.py"
        )
    return statuses
