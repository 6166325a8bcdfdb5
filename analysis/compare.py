"""Command that compares two arms and prints the verdict with its numbers.

    python analysis/compare.py RESULTS [RESULTS ...] --a model=gmvae --b model=vae --metric nelbo

It runs one comparison, uncorrected. For several, use the report, which adjusts for multiple
comparisons. Differences are a - b in the unit of the results table: nats for losses, where lower is
better, and fractions for accuracies, where higher is. Of KL or reconstruction alone neither is
better. Below five seeds there is no verdict.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from analysis.comparison import caveats, verdict
from analysis.comparison.comparisons import compare_pairs
from analysis.frames import pooled
from analysis.frames.arm_table import list_rows, summarize_arms
from analysis.frames.metrics import METRIC_BY_COLUMN, Metric, describe_metrics
from harness import closed_pipe
from harness.errors import InputError, strip_control_chars, unknown_name_error
from harness.exit_codes import exit_codes
from harness.experiment.grid import ComparisonSpec
from harness.experiment.metrics import check_margin

MAX_WARNINGS = 5  # rows
MARGIN_HELP = (
    "below this difference arms count as equivalent: in nats, or in fractions for accuracy: "
    "0.005 is 0.5 points"
)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python analysis/compare.py",
        description="One verdict: arm A against arm B.",
        epilog="Arms are scored on the test images: if A was chosen because it is best there, "
        "its score is optimistic.",
    )
    p.add_argument(
        "results",
        metavar="RESULTS",
        nargs="+",
        help="folders that harness/bench.py wrote; several are pooled",
    )
    for arm in ("a", "b"):
        choice = (
            "columns or settings of the arm, and results=NUMBER or results=PATH for one of "
            "several folders"
        )
        p.add_argument(f"--{arm}", metavar="COLUMN=VALUE,...", required=True, help=choice)
    p.add_argument(
        "--metric", default="nelbo", help="a column of the results table (default: nelbo)"
    )
    p.add_argument("--margin", type=float, help=MARGIN_HELP)
    p.add_argument("--json", action="store_true", help="print all numbers as JSON")
    return p


@exit_codes()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    args = parser().parse_args(argv)
    row, metric = _compare(args.results, (args.a, args.b), args.metric, args.margin)
    text = json.dumps(row, ensure_ascii=False, indent=1)
    print(text if args.json else format_comparison(row, metric))
    return 0


def compare_two_arms(
    paths: Sequence[str], choices: tuple[str, str], column: str, margin: float | None
) -> dict[str, Any]:
    """One comparison: the columns `COLUMNS` of `analysis.comparison.comparisons` by name.

    Values can be written as JSON: None for nan, "more than 100000" for an infinite number of seeds.
    """
    return _compare(paths, choices, column, margin)[0]


def _compare(
    paths: Sequence[str], choices: tuple[str, str], column: str, margin: float | None
) -> tuple[dict[str, Any], Metric]:
    """`compare_two_arms`, and the metric."""
    if margin is not None and not 0 < margin < float("inf"):
        raise InputError(
            f"margin {margin:g}; expected a number above 0, in the unit of {column} in the "
            f"results table"
        )
    if margin is not None:
        check_margin(column, margin)
    filters = pooled.parse_filter(choices[0]), pooled.parse_filter(choices[1])
    pool = pooled.read_pool(paths)
    metrics = describe_metrics(pool.rows)
    if column not in metrics:
        raise unknown_name_error("metric", column, metrics)
    rows, a, b = pooled.select_two_arms(pool, filters, column)
    warn(caveats.describe_broken_sums(rows))
    margins = {} if margin is None else {column: margin}
    declared = ComparisonSpec.model_validate(
        {"metrics": [column], "margin": margins}, context={"metrics": [column]}
    )
    table = compare_pairs(rows, summarize_arms(rows), [(a, b)], declared)
    if table.empty:
        raise InputError(
            f"{a!r} and {b!r} were not both scored for {column}; expected a metric that both have"
        )
    row = {name: _to_json_value(value) for name, value in list_rows(table)[0].items()}
    return row, metrics[column]


def format_comparison(row: dict[str, Any], metric: Metric | None = None) -> str:
    """The verdict on one line, then the numbers behind it.

    metric: that of the row; needed where it is none of every table
    """
    metric = metric or METRIC_BY_COLUMN[row["metric"]]
    flags = f" – {', '.join(row['flags'])}" if row["flags"] else ""
    lines = [f"{metric.title}: {row['a']} against {row['b']}: {row['text']}{flags}"]
    lines += [f"  {name}: {value}" for name, value in verdict.format_details(row, metric).items()]
    return "\n".join(map(strip_control_chars, lines))


def warn(sentences: Iterable[str]) -> None:
    """Print the first few sentences on rows whose numbers are doubtful to standard error."""
    lines = list(sentences)
    for text in lines[:MAX_WARNINGS]:
        print(f"beware: {strip_control_chars(text)}", file=sys.stderr)
    if (rest := len(lines) - MAX_WARNINGS) > 0:
        print(f"beware: and {rest:,} more such rows", file=sys.stderr)


def _to_json_value(value: Any) -> Any:
    """A value that JSON can hold: no nan, and text for an infinite number of seeds."""
    if isinstance(value, float) and not math.isfinite(value):
        return verdict.BEYOND_MAX_SEEDS if value > 0 else None
    return list(value) if isinstance(value, tuple) else value


def start() -> int:
    """Run the command as a process of its own; the exit code."""
    closed_pipe.guard()
    return main()


if __name__ == "__main__":
    sys.exit(start())
