"""What the store tells of its runs, from any machine: how they stand, and why a cell failed. Starts
without torch.
"""

import time

from rich.console import Console
from rich.live import Live

from harness import closed_pipe
from harness.errors import BadInput
from harness.monitoring import display, run_status
from harness.monitoring.display import SHOWN, clock
from harness.monitoring.run_status import SILENT_SECONDS, Standing
from harness.storage.store import Store

READ_SECONDS = 2.0
EARLIER = 10  # runs that get a line


def show(store: Store, console: Console) -> int:
    """Print how the newest run stands, and earlier ones in a line; 1 if something failed, is
    missing or silent.
    """
    *earlier, newest = _standings(store)
    for one in earlier[-EARLIER:]:
        count = f"{one.done}/{one.cells} cells done, {one.failed} failed"
        console.print(f"{one.run}: {_state(one)}, {count}", soft_wrap=True)
    console.print(f"{newest.run}: {_state(newest)}", soft_wrap=True)
    console.print(display.page(newest))
    console.print(
        f"{newest.before + newest.done} of {newest.asked} cells of the grid {newest.grid!r} are "
        f"done"
    )
    for failure in newest.failures[:SHOWN]:
        reason = run_status.last_words(store, failure.cell)
        console.print(f"{failure.status}: {failure.name}: {reason}", soft_wrap=True)
    if newest.failures:
        console.print(f"why: --log CELL, as in --log {newest.failures[0].cell}")
    return 0 if newest.well else 1


def follow(store: Store, console: Console) -> int:
    """Show the newest run live until it ends, then as `show` does; lines where there is no
    terminal.
    """
    with Live(
        get_renderable=lambda: display.page(_standings(store)[-1]),
        console=console,
        auto_refresh=False,
    ) as live:
        while not (newest := _standings(store)[-1]).end and not closed_pipe.unread():
            if console.is_terminal:
                live.refresh()
            else:
                console.print(f"{_state(newest)}: {display.summary(newest)}", soft_wrap=True)
            time.sleep(READ_SECONDS if console.is_terminal else READ_SECONDS * 5)
    return show(store, console)


def log(store: Store, name: str, console: Console) -> int:
    """Print what a failed cell said last; it is named by its id, a beginning of it, or the name
    that was printed.
    """
    logs = {
        key.removeprefix("logs/").removesuffix(".txt"): key for key in store.keys("logs", ".txt")
    }
    named = {
        failure.cell
        for one in run_status.read(store)
        for failure in one.failures
        if failure.name == name
    }
    found = sorted(cell for cell in logs if cell in named or (name and cell.startswith(name)))
    if len(found) != 1:
        which = f"{len(found)} failed cells have" if found else "no failed cell has"
        known = ", ".join((found or sorted(logs))[:SHOWN]) or "none"
        raise BadInput(f"{which} the name {name!r}; expected one of those with a log: {known}")
    console.out((store.read(logs[found[0]]) or b"").decode(errors="replace"), highlight=False)
    return 0


def _standings(store: Store) -> list[Standing]:
    found = run_status.read(store)
    if not found:
        raise BadInput(
            f"no run has left its progress in {store.name!r}; expected results of harness/bench.py"
        )
    return found


def _state(one: Standing) -> str:
    """Running, ended or silent, in words."""
    if one.end:
        return f"ended: {one.end}" if one.end != run_status.DONE else "ended"
    if one.silent < SILENT_SECONDS:
        quiet = (
            f", no news of its trials for {clock(one.quiet)}" if one.quiet > SILENT_SECONDS else ""
        )
        return f"running on {one.host}{quiet}"
    gone = "its driver is gone or cut off, and the same command goes on from the last checkpoints"
    return f"silent for {clock(one.silent)}: {gone} ({one.host})"
