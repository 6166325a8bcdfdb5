"""Whether the classes that a model samples are balanced: each against uniform, and models against
each other. They are called digits where the data are.

Pearson's chi-squared (1900), Phil. Mag. 50:157. "One differs from uniform and the other does not"
is no difference between the two: the two tables of counts are tested against each other, seed by
seed. Those tests compare runs by their samples: with thousands of samples two seeds of one model
differ too. `compare_imbalance` compares models, over their seeds.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.comparison import comparisons, pairing
from analysis.frames.arm_table import collect_values
from analysis.frames.class_words import PLURALS, ClassWord, choose_class_word
from analysis.frames.metrics import Metric
from analysis.plots.captions import MAX_POINTS, draw_first_arms, format_seed_counts
from analysis.rendering.numbers import format_p_cell
from analysis.rendering.section import Content, Plot, Verdict
from analysis.rendering.table import Table
from analysis.report_data import ReportData, Section
from analysis.stats.multiplicity import adjust_p_values
from analysis.stats.thresholds import ALPHA
from analysis.stats.uniformity import batched_homogeneity_test, imbalance, uniformity_test
from harness.experiment.grid import ComparisonSpec

if TYPE_CHECKING:
    from analysis.plots.style import Colours

COUNTS_COLUMN = "digit_counts"
MAX_SEEDS = 1000  # of an arm whose samples are tested seed by seed
IMBALANCE = Metric("imbalance", "imbalance", "Imbalance", "%", "test", factor=100.0)
UNIFORMITY_COLUMNS = ["dataset", "arm", "seed", "samples", "chi2", "df", "p", "p_adjusted"]
HOMOGENEITY_COLUMNS = [
    "dataset",
    "a",
    "b",
    "seed",
    "samples_a",
    "samples_b",
    "chi2",
    "df",
    "p",
    "p_adjusted",
    "verdict",
]
TESTS_NOTE = (
    "One model significant against uniform and the other not is no difference between them: the "
    "two are tested against each other."
)
CAPPED_NOTE = f" Of an arm with more, the first {MAX_SEEDS:,} seeds are tested."
IMBALANCE_NOTE = (
    "Is one more balanced than the other? The imbalance of a run is the share of its samples that "
    "would have to be {}; less is better, and the seeds are compared:"
)
BALANCED: dict[ClassWord, str] = {
    "digit": "another digit for all ten to be equally many",
    "class": "of another class for all classes to be equally many",
}
HEADINGS: dict[ClassWord, str] = {
    "digit": "Balance of the sampled digits",
    "class": "Balance of the sampled classes",
}


def build(data: ReportData) -> Content:
    """The tests of digit counts, in words, tables and a plot; each single test goes to a file."""
    uniform, between = run_balance_tests(data.rows)
    word = choose_class_word(data.rows)
    tables, sentences = build_tables(uniform, between, word), []
    if len(data.comparisons):
        imbalances = compare_imbalance(data.rows, data.arms, data.declaration.spec)
        sentences = build_sentences(imbalances)
    columns = ["dataset", "arm", COUNTS_COLUMN]
    counted = data.finished.loc[data.finished[COUNTS_COLUMN].notna(), columns]
    note = IMBALANCE_NOTE.format(BALANCED[word])
    is_capped = (counted.groupby(["dataset", "arm"]).size() > MAX_SEEDS).any()
    tests_note = TESTS_NOTE + CAPPED_NOTE if is_capped else TESTS_NOTE
    return Content(
        heading=HEADINGS[word],
        paragraphs=[*([tests_note] if tables else []), *([note] if sentences else [])],
        sentences=sentences,
        draw_plots=lambda: draw_first_arms(_draw_digits, counted, data.arm_names),
        tables=tables,
        files=build_seed_tables(uniform, between),
    )


SECTION = Section("balance", HEADINGS["digit"], build)


def _draw_digits(counted: pd.DataFrame, palette: "Colours") -> Iterator[Plot]:
    from analysis.plots.digit_counts import draw_digit_counts

    if len(counted):
        seeds = counted.groupby("arm").size()
        samples = sum(counted[COUNTS_COLUMN].iloc[0])
        word = choose_class_word(counted)
        first = f"the first {MAX_POINTS:,} " if seeds.max() > MAX_POINTS else ""
        caption = (
            f"{PLURALS[word].capitalize()} that the judge sees in {samples:,} samples of the "
            f"prior, {format_seed_counts(seeds)}: pale bars are means over seeds, points "
            f"{first}single seeds, dashed is uniform. {_describe_intervals(seeds)} No claim of "
            "balance is made here."
        )
        figure = draw_digit_counts(counted, palette, word)
        yield Plot("digit-counts", f"{word.capitalize()} counts", caption, figure)


def _describe_intervals(seeds: "pd.Series[int]") -> str:
    """Seeds by arm -> the kinds of intervals that the plot of digit counts has."""
    kinds = []
    if seeds.max() > 1:
        kinds.append("over seeds the 95 % t-interval of the share")
    if seeds.min() == 1:
        kinds.append(
            "where n = 1 the 95 % Wilson interval within that run, which tells nothing of other "
            "seeds"
        )
    return f"The thin bar is {'; '.join(kinds)}; what leaves the panel is cut off."


def run_balance_tests(
    rows: pd.DataFrame, column: str = COUNTS_COLUMN
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Results table with `arm` -> (`UNIFORMITY_COLUMNS`, a row an arm and seed;
    `HOMOGENEITY_COLUMNS`, a row a pair of arms and seed).

    The family of the first are the seeds of an arm; of the second, the seeds of all pairs of a data
    set. Of an arm with more than `MAX_SEEDS` seeds, the first ones are tested.
    """
    columns = ["dataset", "arm", "seed", column]
    has_counts = (rows["status"] == "ok") & rows[column].notna()
    finished = rows.loc[has_counts, columns].sort_values("seed")
    finished = finished[finished.groupby(["dataset", "arm"]).cumcount() < MAX_SEEDS]
    counted = finished.assign(
        counts=finished[column].map(lambda counts: np.asarray(counts, dtype=float))
    )
    counted = counted[counted["counts"].map(np.sum) > 0].sort_values(
        ["dataset", "arm", "seed"], kind="stable"
    )
    return _run_uniformity_tests(counted), _run_homogeneity_tests(counted)


def compare_imbalance(
    rows: pd.DataFrame,
    arms: pd.DataFrame,
    declared: ComparisonSpec,
    column: str = COUNTS_COLUMN,
) -> pd.DataFrame:
    """Results table with `arm`, its arms -> `comparisons.COLUMNS` for `IMBALANCE`, over seeds, with
    a row for each pair of arms.

    Imbalance is the distance in total variation from uniform: the share of the samples that would
    have to be of another class, 0 to 0.9 for ten classes. Fewer samples give a greater one by
    chance alone: arms with other numbers of samples cannot be compared, and what different judges
    saw is flagged.
    """
    has_counts = (rows["status"] == "ok") & rows[column].notna()
    samples, distances = _measure_balance(rows.loc[has_counts, column])
    counted = rows.loc[has_counts, ["arm"]].assign(samples=samples)
    counted["judges"] = rows.get("judge_accuracy")
    arms = arms.assign(
        **{name: collect_values(counted, name, arms.index) for name in ("samples", "judges")}
    )
    scored = rows.assign(imbalance=distances.reindex(rows.index))
    return comparisons.compare_family(
        scored, arms, pairing.choose_pairs(arms, declared), IMBALANCE, declared
    )


def _measure_balance(counts: "pd.Series[Any]") -> tuple["pd.Series[float]", "pd.Series[float]"]:
    """Counts by row -> their sums, and their distances from uniform; same index."""
    samples, distances = (pd.Series(np.nan, counts.index) for _ in range(2))
    for _, alike in counts.groupby(counts.map(len)):  # data sets differ in their classes
        table = np.concatenate(alike.to_list(), dtype=float, casting="unsafe")
        table = table.reshape(len(alike), -1)
        samples[alike.index] = table.sum(axis=1)
        distances[alike.index] = imbalance(table)
    return samples, distances


def _run_uniformity_tests(counted: pd.DataFrame) -> pd.DataFrame:
    records = []
    for dataset, arm, seed, counts in counted[["dataset", "arm", "seed", "counts"]].itertuples(
        index=False
    ):
        chi2, p = uniformity_test(counts)
        records.append((dataset, arm, seed, int(counts.sum()), chi2, len(counts) - 1, p, np.nan))
    return _adjust_by_group(pd.DataFrame(records, columns=UNIFORMITY_COLUMNS), ["dataset", "arm"])


def _run_homogeneity_tests(counted: pd.DataFrame) -> pd.DataFrame:
    tables = [_compare_pairs(group) for _, group in counted.groupby("dataset", sort=False)]
    table = _adjust_by_group(
        pd.concat(tables, ignore_index=True)
        if tables
        else pd.DataFrame(columns=HOMOGENEITY_COLUMNS),
        ["dataset"],
    )
    verdicts = np.where(table["p_adjusted"] <= ALPHA, "these runs differ", "no difference shown")
    return table.assign(verdict=pd.Series(verdicts, table.index, dtype=str)).sort_values(
        ["dataset", "a", "b", "seed"], kind="stable", ignore_index=True
    )


def _compare_pairs(group: pd.DataFrame) -> pd.DataFrame:
    """The rows of one data set -> `HOMOGENEITY_COLUMNS`, a row a seed and pair of its arms."""
    of_seeds = map(np.asarray, group.groupby("seed", sort=False).indices.values())
    pairs = [places[np.stack(np.triu_indices(len(places), 1))] for places in of_seeds]
    a, b = np.concatenate(pairs, axis=1)
    counts, arms = np.stack(group["counts"].to_list()), group["arm"].to_numpy()
    chi2, df, p = batched_homogeneity_test(counts[a], counts[b])
    samples = counts.sum(axis=1).astype(int)
    columns = {
        "dataset": group["dataset"].iloc[0],
        "a": arms[a],
        "b": arms[b],
        "seed": group["seed"].to_numpy()[a],
        "samples_a": samples[a],
        "samples_b": samples[b],
        "chi2": chi2,
        "p": p,
    }
    columns |= {"df": df.astype(int), "p_adjusted": np.nan, "verdict": ""}
    return pd.DataFrame(columns)[HOMOGENEITY_COLUMNS]


def _adjust_by_group(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    parts = [
        part.assign(p_adjusted=adjust_p_values(part["p"].to_numpy(), "holm"))
        for _, part in table.groupby(by, sort=False)
    ]
    return pd.concat(parts, ignore_index=True) if parts else table


_CAPTION = "Each test is of one run's samples; p is Holm's"


def build_tables(
    uniform: pd.DataFrame, between: pd.DataFrame, word: ClassWord = "digit"
) -> list[Table]:
    """What `run_balance_tests` gives -> the arms against each other, then each against uniform."""
    result = []
    if len(between):
        tests = f"{_CAPTION} over all {len(between):,} tests of pairs of arms, seed by seed."
        result.append(
            _summarize_tests(
                between,
                ["a", "b"],
                "balance-between",
                f"{PLURALS[word].capitalize()}: arms against each other",
                tests,
            )
        )
    if len(uniform):
        result.append(
            _summarize_tests(
                uniform,
                ["arm"],
                "balance-uniform",
                f"{PLURALS[word].capitalize()}: each arm against uniform",
                f"{_CAPTION} over an arm's seeds.",
            )
        )
    return result


def build_sentences(comparisons: pd.DataFrame) -> list[str]:
    """`compare_imbalance` -> a verdict for each pair of arms, with its flags, in a sentence."""
    records = comparisons[["a", "b", "verdict", "text", "flags"]].itertuples(index=False)
    return [Verdict(*each).sentence for each in records]


def build_seed_tables(uniform: pd.DataFrame, between: pd.DataFrame) -> list[Table]:
    """The same tests one by one: for files, too many to be read on a page."""
    parts = (("uniform", uniform), ("between", between))
    return [
        Table(
            f"balance-{name}-seeds",
            f"Balance, {name}, a row a test",
            _CAPTION,
            _format_values(tests),
            tests,
        )
        for name, tests in parts
        if len(tests)
    ]


def _summarize_tests(
    tests: pd.DataFrame, by: list[str], name: str, title: str, caption: str
) -> Table:
    marked = tests.assign(differs=tests["p_adjusted"] <= ALPHA)
    groups = marked.groupby(["dataset", *by], sort=False)
    summary = groups.agg(
        seeds=("seed", "nunique"),
        chi2_low=("chi2", "min"),
        chi2_high=("chi2", "max"),
        p_least=("p_adjusted", "min"),
        differ=("differs", "sum"),
    ).reset_index()
    text = pd.DataFrame(
        {"A" if column == "a" else column.capitalize(): summary[column] for column in by}
    )
    text["Seeds"] = summary["seeds"].astype(str)
    text["χ², least to largest"] = [
        f"{a:.1f} to {b:.1f}" for a, b in summary[["chi2_low", "chi2_high"]].to_numpy()
    ]
    text["Least p"] = summary["p_least"].map(format_p_cell)
    text["Verdict"] = [
        _format_verdict(int(differ), int(seeds), by == ["arm"])
        for differ, seeds in summary[["differ", "seeds"]].to_numpy()
    ]
    shown = text if summary["dataset"].nunique() == 1 else text.assign(Data=summary["dataset"])
    return Table(name, title, f"Pearson's χ². {caption}", shown, summary)


def _format_verdict(differ: int, seeds: int, uniform: bool) -> str:
    what = "not uniform" if uniform else "balance differs"
    if not differ:
        return f"{'no departure' if uniform else 'no difference'} shown in any of n = {seeds} seeds"
    return f"{what} in {differ} of n = {seeds} seeds"


def _format_values(tests: pd.DataFrame) -> pd.DataFrame:
    printed = {"chi2": "{:.2f}".format, "p": format_p_cell, "p_adjusted": format_p_cell}
    return pd.DataFrame({name: tests[name].map(printed.get(str(name), str)) for name in tests})
