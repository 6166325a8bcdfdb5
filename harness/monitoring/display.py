"""A run's status in words: one line, and a page for a terminal."""

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.monitoring.run_status import Standing

SHOWN = 20  # packs on a page


def summary(standing: Standing) -> str:
    """One line: elapsed, cells done, running and failed, steps/s, cells per hour, time left."""
    ended = sum(standing.ended.values())
    pace = f", {3600 * ended / standing.elapsed:.0f} cells/h" if ended and standing.elapsed else ""
    left = "" if standing.end else f", {clock(standing.left)} left"
    return (
        f"[{clock(standing.elapsed)}] {standing.done}/{standing.cells} cells done, "
        f"{standing.running} running, "
        f"{standing.failed} failed, {standing.speed:.0f} steps/s{pace}{left}"
    )


def page(standing: Standing) -> Group:
    """The summary, a bar, and a table of what runs."""
    table = Table(box=None, pad_edge=False)
    for column in ("running", ""):
        table.add_column(column, no_wrap=True)
    for column in ("step", "steps/s", "NELBO"):
        table.add_column(column, justify="right", no_wrap=True)
    for pack in standing.packs[:SHOWN]:
        table.add_row(
            pack.name,
            ProgressBar(total=pack.total, completed=pack.step, width=24),
            pack.stage or f"{pack.step:,}/{pack.total:,}",
            f"{pack.speed:.0f}" if pack.speed else "",
            f"{pack.nelbo:.2f}" if pack.nelbo is not None else "",
        )
    bar = Table.grid()  # a bar alone does not end its line
    bar.add_row(ProgressBar(total=standing.cells, completed=sum(standing.ended.values()), width=60))
    more = standing.running - len(standing.packs[:SHOWN])
    rest = [Text(f"and {more} more")] if more > 0 else []
    return Group(Text(summary(standing), style="bold"), bar, table, *rest)


def clock(seconds: float) -> str:
    """Seconds as people say them.

    >>> clock(42), clock(61), clock(7384)
    ('42 s', '1 min 01 s', '2 h 03 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
