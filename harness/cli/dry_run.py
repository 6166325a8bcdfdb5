"""What `--dry-run` prints: every cell, its pack and the time that the rest takes."""

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from harness.experiment import grid
from harness.experiment.cell import Cell
from harness.monitoring.display import format_duration
from harness.scheduling import packing
from harness.scheduling.plan import Plan
from harness.training.task import Costs


def show_plan(
    plan: Plan,
    packs: Sequence[packing.Pack],
    costs: Costs,
    slots: int,
    refused: Mapping[Cell, str],
) -> int:
    """Print every cell, its pack or its status, and the time that the packs take on `slots` trials
    side by side; 1 if the model of a cell does not fit.
    """
    console = Console(highlight=False, width=max(Console().width, 120))
    console.print(_make_table(plan, packs, costs, refused))
    for reason in dict.fromkeys(refused.values()):
        console.print(f"does not fit: {reason}", soft_wrap=True)
    rest = len(plan.cells) - len(plan.todo) - len(refused)
    console.print(
        f"{len(plan.cells)} cells: {rest} done or left out, {len(plan.todo)} to do in "
        f"{len(packs)} packs"
    )
    if packs:
        console.print(_describe_time(packs, costs, slots), soft_wrap=True)
    return 1 if refused else 0


def print_json(
    plan: Plan,
    packs: Sequence[packing.Pack],
    costs: Costs,
    slots: int,
    refused: Mapping[Cell, str],
) -> int:
    """Print the plan as JSON, times in seconds; the exit code of `show_plan`."""
    names = grid.name_cells(plan.cells)
    numbers = {cell: number for number, pack in enumerate(packs, 1) for cell in pack}
    cells = [
        {
            "name": names[cell],
            "id": cell.id,
            "steps": cell.iterations,
            "pack": numbers.get(cell),
            "status": plan.rows.get(cell.id, {}).get("status"),
            "refused": refused.get(cell),
        }
        for cell in plan.cells
    ]
    times = [{"cells": len(pack), "seconds": packing.pack_seconds(pack, costs)} for pack in packs]
    seconds = packing.makespan(packs, costs, slots) if packs else 0.0
    found = {"cells": cells, "packs": times, "trials_side_by_side": slots, "seconds": seconds}
    print(json.dumps(found, indent=1))
    return 1 if refused else 0


def _make_table(
    plan: Plan,
    packs: Sequence[packing.Pack],
    costs: Costs,
    refused: Mapping[Cell, str],
) -> Table:
    """A row for each cell: the number and size of its pack and its share of the time, or why it
    is in none.
    """
    table = Table(box=None, pad_edge=False)
    for column in ("cell", "id", "steps", "pack", "of", "time"):
        is_text = column in ("cell", "id")
        table.add_column(column, justify="left" if is_text else "right", no_wrap=True)
    names = grid.name_cells(plan.cells)
    planned: dict[Cell, tuple[str, str, str]] = {}
    for number, pack in enumerate(packs, 1):
        share = format_duration(packing.pack_seconds(pack, costs) / len(pack))
        planned |= dict.fromkeys(pack, (str(number), str(len(pack)), share))
    for cell in plan.cells:
        status = plan.rows.get(cell.id, {}).get("status", "left out")
        unplanned = ("", "", "does not fit" if cell in refused else status)
        steps = f"{cell.iterations:,}"
        table.add_row(names[cell], cell.id, steps, *planned.get(cell, unplanned))
    return table


def _describe_time(packs: Sequence[packing.Pack], costs: Costs, slots: int) -> str:
    work = sum(packing.pack_seconds(pack, costs) for pack in packs)
    scoring = sum(costs[pack[0].pack_key].score * len(pack) for pack in packs)
    kind = "training, scoring not counted"
    if scoring:
        kind = f"work, of which {format_duration(scoring)} are scoring"
    if compiling := sum(packing.compile_seconds(packs, costs, slots)):
        kind += f", and {format_duration(compiling)} of compiling for the first time"
    last = format_duration(packing.makespan(packs, costs, slots))
    return (
        f"about {format_duration(work)} of {kind}, {last} with {min(slots, len(packs))} trials "
        "side by side on this machine, by a few steps and scores timed here just now"
    )
