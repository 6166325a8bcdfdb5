"""A run's status in words: one line, and a page for a terminal."""

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.monitoring.run_status import DONE, STALE_SECONDS, RunStatus

MAX_SHOWN = 20  # packs on a page


def summary(status: RunStatus) -> str:
    """One line: elapsed, cells done, running and failed, steps/s, cells per hour, time left."""
    ended = sum(status.ended.values())
    pace = f", {3600 * ended / status.elapsed:.0f} cells/h" if ended and status.elapsed else ""
    left = "" if status.end else f", {format_duration(status.left)} left"
    return (
        f"[{format_duration(status.elapsed)}] {status.done}/{status.cells} cells done, "
        f"{status.running} running, "
        f"{status.failed} failed, {status.speed:.0f} steps/s{pace}{left}"
    )


def render_page(status: RunStatus) -> Group:
    """The summary, a bar, and a table of what runs."""
    table = Table(box=None, pad_edge=False)
    for column in ("running", ""):
        table.add_column(column, no_wrap=True)
    for column in ("step", "steps/s", "NELBO"):
        table.add_column(column, justify="right", no_wrap=True)
    for pack in status.packs[:MAX_SHOWN]:
        table.add_row(
            pack.name,
            ProgressBar(total=pack.total, completed=pack.step, width=24),
            pack.stage or f"{pack.step:,}/{pack.total:,}",
            f"{pack.speed:.0f}" if pack.speed else "",
            f"{pack.nelbo:.2f}" if pack.nelbo is not None else "",
        )
    bar = Table.grid()  # a bar alone does not end its line
    bar.add_row(ProgressBar(total=status.cells, completed=sum(status.ended.values()), width=60))
    more = status.running - len(status.packs[:MAX_SHOWN])
    rest = [Text(f"and {more} more")] if more > 0 else []
    return Group(Text(summary(status), style="bold"), bar, table, *rest)


def describe_state(status: RunStatus) -> str:
    """Whether a run goes on, has ended, or sends no updates, in words."""
    if status.end:
        return f"ended: {status.end}" if status.end != DONE else "ended"
    if status.is_active:
        quiet = (
            f", no news of its trials for {format_duration(status.quiet)}"
            if status.quiet > STALE_SECONDS
            else ""
        )
        return f"running on {status.host}{quiet}"
    gone = "its driver is gone or cut off, and the same command goes on from the last checkpoints"
    return f"silent for {format_duration(status.stale_seconds)}: {gone} ({status.host})"


def format_duration(seconds: float) -> str:
    """Seconds in the largest fitting units.

    >>> format_duration(42), format_duration(61), format_duration(7384)
    ('42 s', '1 min 01 s', '2 h 03 min')
    """
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02} min"
