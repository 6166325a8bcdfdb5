"""Measure the speed of the harness and of its alternatives side by side in one run.

    python -m benchmarks.speed [--rounds N] [--grid-rounds N] [--only PART ...] [--before TREE]

The parts are grids, steps, gpu, precision, cells, model and tables. TREE is a checkout of an older
version, which `tables` then measures in turn.

It writes into benchmarks/: speed.csv, every number with its spread; speed.md, targets and results;
speed.png. Contenders take turns within a part. Parts can be run separately; the last run of each is
kept in speed/*.json. It takes forty minutes on two idle CPUs.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.speed import gpu, grids, model, steps, tables
from benchmarks.speed.measure import Times, ratio
from harness.data import idx_sets
from harness.experiment import provenance
from harness.training import gpu_memory

HERE = Path(__file__).parents[1]
CELLS = [1_000, 10_000]
PARTS = ("grids", "steps", "gpu", "precision", "cells", "model", "tables")
TABLE_ROUNDS = 3
QUICK = 15  # cells of the benchmark's grid `quick`
LIMIT_ROUNDS = 10
GPU_CELLS = 64
SKIPPED = "skipped: no GPU here"


class Report:
    """Numbers of a part, and the lines that compare them with the targets."""

    def __init__(self) -> None:
        self.numbers: list[dict[str, object]] = []
        self.lines: list[tuple[str, str, str, str]] = []

    def number(self, name: str, times: Times, unit: str, scale: float = 1.0) -> None:
        """Add and print a median and its spread."""
        low, high = (scale * bound for bound in times.spread)
        row = {"what": name, "median": scale * times.median, "low": low, "high": high, "unit": unit}
        self.numbers.append(row | {"rounds": len(times.taken)})
        print(f"{name}: {scale * times.median:.3f} ({low:.3f} to {high:.3f}) {unit}", flush=True)

    def reach(self, against: str, measure: str, asked: str, times: Times) -> None:
        """Add a ratio to the table."""
        low, high = times.spread
        spread = f"{low:.2f} to {high:.2f}" if len(times.taken) > 1 else "one round"
        self.number(f"{against}: {measure}", times, "ratio")
        self.lines.append((against, measure, asked, f"**{times.median:.2f}** ({spread})"))

    def say(self, against: str, measure: str, asked: str, reached: str) -> None:
        """Add any other line to the table."""
        print(f"{against}: {measure}: {reached} (asked: {asked})", flush=True)
        self.lines.append((against, measure, asked, reached))


def main() -> None:
    """Run the parts and write their results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--grid-rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--before", type=Path)
    args = parser.parse_args()
    for part in args.only:
        report = Report()
        if part == "steps":
            of_steps(report, args.rounds)
        elif part == "gpu":
            of_gpu(report, args.rounds)
        elif part == "precision":
            of_precision(report, args.rounds)
        elif part == "grids":
            of_grids(report, args.grid_rounds)
        elif part == "cells":
            of_cells(report)
        elif part == "model":
            of_model(report)
        else:
            of_tables(report, args.before)
        keep(part, report)
    write()


def keep(part: str, report: Report) -> None:
    """A part's results, with the machine and the commit that they were measured on."""
    found = provenance.describe_machine()
    measured = (
        f"{found['cpus']} CPUs ({found['processor']}), torch {torch.__version__}, commit "
        f"{provenance.git_commit()[:12]}"
    )
    content = {"measured": measured, "numbers": report.numbers, "lines": report.lines}
    (HERE / "speed" / f"{part}.json").write_text(
        json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8"
    )


def of_grids(report: Report, rounds: int) -> None:
    """The grid `quick` on two CPUs, start to end, the harness's pictures, digit counts and report
    columns included.
    """
    times = grids.grids(rounds)
    for name, taken in times.items():
        report.number(f"quick, {name}", taken, "s")
        report.number(
            f"quick, {name}", Times([QUICK * 3600 / each for each in taken.taken]), "cells/h"
        )
    for name, asked in (("plain script", "at least 3 ×"), ("plain Ray Tune", "at least 2 ×")):
        report.reach(
            name, "cells per hour of `quick`, 2 CPUs", asked, ratio(times[name], times["harness"])
        )
    least = steps.limit(grids.QUICK, cpus=2, rounds=LIMIT_ROUNDS)
    most = f"{times['plain script'].median / least:.2f} ×: {least:.0f} s"
    report.say(
        "plain script",
        "the same of `quick`'s matrix products alone, shared by the 2 CPUs",
        "",
        most,
    )
    first = grids.first_time()
    over = f"{first:.0f} s, {first / times['harness'].median:.2f} × a later time"
    report.say("nothing compiled before", "time of `quick`", "", over)
    whole, worker = grids.memory()
    report.say("memory", "`quick`, driver and Ray included", "under 6 GiB", f"**{whole:.2f} GiB**")
    report.say("memory", "worker with a pack of 8 `vae`", "under 1.2 GiB", f"**{worker:.2f} GiB**")


def of_steps(report: Report, rounds: int) -> None:
    """Steps on one thread."""
    times = steps.steps(rounds)
    for name, taken in times.items():
        report.number(f"step, {name}", taken, "ms", 1000)
    pythae = ratio(times["vae pythae"], times["vae ours 8"])
    report.reach(
        "Pythae 0.1.2's trainer",
        "cell-steps per second, one core, a pack of 8",
        "at least 2 ×",
        pythae,
    )
    bare = ratio(times["vae pythae"], times["vae products 8"])
    report.reach("Pythae 0.1.2's trainer", "the same of our step's matrix products alone", "", bare)
    for size, asked in (
        (8, {"vae": "1.3", "gmvae": "1.3", "ssvae": "1.5"}),
        (1, dict.fromkeys(steps.MODELS, "1.8")),
    ):
        for name, most in asked.items():
            over = ratio(times[f"{name} ours {size}"], times[f"{name} products {size}"])
            report.reach(
                "the matrix products alone",
                f"step of `{name}`, pack of {size}",
                f"at most {most} ×",
                over,
            )
    for size in (1, 8):
        naive = ratio(times["ssvae plain"], times[f"ssvae ours {size}"])
        report.reach("naive `ssvae`", f"step time, pack of {size}", "at least 1.5 ×", naive)


def of_gpu(report: Report, rounds: int) -> None:
    """Steps on a GPU, where there is one."""
    solo, goal = f"{GPU_CELLS} solo runs on one GPU", "at least 20 ×"
    if not torch.cuda.is_available():
        report.say(solo, f"cells per hour, {GPU_CELLS} packed", goal, SKIPPED)
        return
    host, device = idx_sets.load("mnist"), torch.device("cuda")
    data = host.to(device)
    for name in gpu.PACKED:
        packed, alone = gpu.packed_and_alone(name, GPU_CELLS, data, rounds)
        measure = f"cells per hour of `{name}`, {GPU_CELLS} packed"
        report.reach(solo, measure, goal if name == "vae" else "", ratio(alone, packed))
    for name in ("vae", "ssvae"):
        pack = f"`{name}`, pack of {GPU_CELLS}, on a GPU"
        times = gpu.precisions(name, GPU_CELLS, data, rounds)
        for precision in gpu.PRECISIONS[1:]:
            faster = ratio(times["float32"], times[precision])
            report.reach("float32", f"step of {pack}, in {precision}", "", faster)
        try:
            times = gpu.eager_and_compiled(name, GPU_CELLS, data, rounds)
        except Exception as error:  # a compiler may raise anything
            reason = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
            report.say("eager", f"compiled step of {pack}", "", f"does not compile: {reason}")
        else:
            faster = ratio(times["eager"], times["compiled"])
            report.reach("eager", f"compiled step of {pack}", "", faster)
    times = gpu.kept_and_streamed("vae", GPU_CELLS, host, device, rounds)
    slower = ratio(times["streamed"], times["kept"])
    report.reach("images on the GPU", f"step of {GPU_CELLS} `vae`, images on the host", "", slower)
    for name in gpu.PACKED:
        foretold, taken = gpu.foretold_and_taken(name, GPU_CELLS, data)
        reached = f"**{taken / foretold:.2f}** of {foretold / 2**30:.2f} GiB"
        most = f"at most {1 / (1 - gpu_memory.RESERVED_SHARE):.2f}"
        report.say("the guard of memory", f"peak of {GPU_CELLS} `{name}`", most, reached)


def of_precision(report: Report, rounds: int) -> None:
    """Compiled steps on one thread with the products of layers in bfloat16, against float32."""
    times = steps.precisions(rounds)
    for name, taken in times.items():
        report.number(f"compiled step, {name}", taken, "ms", 1000)
    for size in (8, 1):
        for name in steps.MODELS:
            faster = ratio(times[f"{name} {size} float32"], times[f"{name} {size} bf16"])
            measure = f"step of `{name}` in bf16, pack of {size}"
            report.reach("float32", measure, "", faster)


def of_cells(report: Report) -> None:
    """Cells that do nothing."""
    for count, seconds in grids.overhead(CELLS).items():
        report.say(
            f"{count:,} no-op cells", "time a cell", "at most 10 ms", f"**{1000 * seconds:.1f} ms**"
        )
    report.say(
        "trials of one no-op cell",
        "time a trial after the first",
        "well under 1 s",
        f"**{grids.start():.2f} s**",
    )


def of_model(report: Report) -> None:
    """The model of the time on several workers, which is that of several GPUs."""
    cost, found = model.check()
    told = (
        f"{model.CELLS} `vae`, {model.STEPS:,} steps, packs of {model.PACK}: f "
        f"{1000 * cost.fixed:.1f} ms, "
    )
    told += f"e {1000 * cost.per_cell:.1f} ms"
    for run in found:
        reached = (
            f"**{run.taken:.0f} s**, {run.said:.0f} s foretold ({run.said / run.taken:.2f} of it)"
        )
        report.say("the model of the time", f"{told}; {run.workers} workers", "", reached)


def of_tables(report: Report, before: Path | None) -> None:
    """Large tables, from the parquet to the verdicts or the page; one round of an older version."""
    for case in tables.CASES:
        with tables.made_folder(case) as folder:
            if before is not None:
                _say_costs(report, case, "before", [tables.run(before, case, folder)])
            first = tables.run(tables.ROOT, case, folder)
            more = TABLE_ROUNDS - 1 if first else 0  # what is too slow once is not run again
            costs = [first, *(tables.run(tables.ROOT, case, folder) for _ in range(more))]
            _say_costs(report, case, "now", costs, tables.page_size(folder))


def _say_costs(
    report: Report,
    case: tables.Case,
    when: str,
    costs: Sequence[tables.Cost | None],
    page: float | None = None,
) -> None:
    """A line for the rounds of a command; `page` is the size of the page that it wrote, in MB."""
    taken = [cost for cost in costs if cost is not None]
    reached = f"more than {tables.LIMIT_SECONDS:.0f} s"
    if taken:
        seconds = Times([cost.seconds for cost in taken])
        report.number(f"{case.name}, {when}", seconds, "s")
        memory = max(cost.memory for cost in taken)
        size = "" if page is None else f", page {page:.1f} MB"
        reached = f"**{seconds.median:.1f} s**, {memory:.2f} GiB{size}"
    report.say(case.name, f"{when}, start to end", case.reach, reached)


def write() -> None:
    """The table, the numbers and the plot of all parts that were ever run."""
    files = [HERE / "speed" / f"{part}.json" for part in PARTS]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    numbers = pd.DataFrame([number for part in found for number in part["numbers"]])
    numbers.to_csv(HERE / "speed.csv", index=False, float_format="%.4f")
    measured = [
        part["measured"] for part in found if any(line[3] != SKIPPED for line in part["lines"])
    ]
    where = "; ".join(dict.fromkeys(measured))
    head = (
        f"Measured on {where}. Medians over rounds in which contenders take turns, with "
        f"quartiles (extremes of fewer "
        "than four rounds); ratios are round by round. `make speed` measures it again."
    )
    table = ["| against | measure | asked | reached |", "|---|---|---|---|"]
    table += ["| " + " | ".join(line) + " |" for part in found for line in part["lines"]]
    (HERE / "speed.md").write_text(
        "\n".join(["# Speed", "", head, "", *table, ""]), encoding="utf-8"
    )
    plot(numbers, HERE / "speed.png")


def plot(numbers: pd.DataFrame, path: Path) -> None:
    """Steps over their matrix products alone, by model, and the grid `quick`."""
    mpl.use("Agg")
    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    spread = ["median", "low", "high"]
    steps = _named(numbers, "step, ", "ms")[spread]
    products = steps.filter(regex=" products ", axis=0)["median"]
    bare = [
        products[f"{name.split()[0]} products {8 if name.endswith('8') else 1}"]
        for name in steps.index
    ]
    steps = steps.div(bare, axis=0).drop(products.index)
    _bars(axes[0], steps, "a cell's step on one thread, in multiples of its matrix products alone")
    axes[0].axvline(1, color="black", linewidth=1, linestyle=":")
    _bars(axes[1], _named(numbers, "quick, ", "s")[spread], "the grid `quick` on two CPUs, s")
    figure.savefig(path, dpi=120)


def _named(numbers: pd.DataFrame, start: str, unit: str) -> pd.DataFrame:
    """The numbers of a kind, by what is left of their names."""
    rows = numbers[numbers.what.str.startswith(start) & (numbers.unit == unit)]
    return rows.set_index(rows.what.str.removeprefix(start))


def _bars(axis: Axes, rows: pd.DataFrame, title: str) -> None:
    """A bar a row with its spread, ours in colour."""
    errors = [rows["median"] - rows.low, rows.high - rows["median"]]
    colours = ["C0" if "ours" in name or "harness" in name else "C7" for name in rows.index]
    axis.barh(rows.index.tolist(), rows["median"], xerr=errors, color=colours)
    axis.invert_yaxis()
    axis.set_title(title, fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
