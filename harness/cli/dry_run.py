"""What `--dry-run` prints: every cell, its pack and the time that the rest takes."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from harness.experiment import grid
from harness.experiment.cell import Cell
from harness.monitoring.display import format_duration
from harness.scheduling import packing
from harness.scheduling.plan import Plan
from harness.training import step_cost


def show_plan(
    plan: Plan,
    packs: Sequence[packing.Pack],
    costs: step_cost.Costs,
    slots: int,
    refused: Mapping[Cell, str],
) -> int:
    """Print every cell, its pack, what is done already and the time that the rest takes on `slots`
    trials at a time.
    """
    console = Console(highlight=False, width=max(Console().width, 120))
    table = Table(box=None, pad_edge=False)
    for column in ("cell", "id", "steps", "pack", "of", "time"):
        table.add_column(
            column, justify="left" if column in ("cell", "id") else "right", no_wrap=True
        )
    names = grid.name_cells(plan.cells)
    places = {
        cell: (str(number), str(len(pack))) for number, pack in enumerate(packs, 1) for cell in pack
    }
    shares = {
        cell: format_duration(packing.pack_seconds(pack, costs) / len(pack))
        for pack in packs
        for cell in pack
    }
    for cell in plan.cells:
        status = (
            "does not fit"
            if cell in refused
            else plan.rows.get(cell.id, {}).get("status", "left out")
        )
        steps = f"{cell.iterations:,}"
        table.add_row(
            names[cell], cell.id, steps, *places.get(cell, ("", "")), shares.get(cell, status)
        )
    console.print(table)
    for reason in dict.fromkeys(refused.values()):
        console.print(f"does not fit: {reason}", soft_wrap=True)
    rest = len(plan.cells) - len(plan.todo) - len(refused)
    console.print(
        f"{len(plan.cells)} cells: {rest} done or left out, {len(plan.todo)} to do in "
        f"{len(packs)} packs"
    )
    if packs:
        work = sum(packing.pack_seconds(pack, costs) for pack in packs)
        last = format_duration(packing.makespan(packs, costs, slots))
        scoring = sum(costs[pack[0].pack_key].score * len(pack) for pack in packs)
        work_label = (
            f"work, of which {format_duration(scoring)} are scoring"
            if scoring
            else "training, scoring not counted"
        )
        console.print(
            f"about {format_duration(work)} of {work_label}, {last} with "
            f"{min(slots, len(packs))} trials side by "
            f"side on this machine, "
            "by a few steps and scores timed here just now",
            soft_wrap=True,
        )
    return 1 if refused else 0
