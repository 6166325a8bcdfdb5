"""Supervised against semi-supervised image by image: the two classifiers of one seed."""

from collections.abc import Iterator

import pandas as pd

from analysis.frames.arm_names import series_names
from analysis.rendering.numbers import format_interval, format_p_cell
from analysis.rendering.table import Table
from analysis.stats.agreement import Classes, mcnemar, wilson_interval
from analysis.stats.multiplicity import adjust_p_values
from harness.storage.store import Store

_CAPTION = (
    "McNemar's exact test on the test images, of one seed at a time; p adjusted by Holm over "
    "the seeds of a pair; in "
    "brackets Wilson's 95 % interval over the images. It says that two trained networks "
    "differ, not that two ways of "
    "training do: the verdicts compare those over the seeds."
)


def build_tables(
    store: Store, rows: pd.DataFrame, arms: pd.DataFrame, comparisons: pd.DataFrame
) -> list[Table]:
    """The pairs of arms that were compared in accuracy and differ in supervision alone -> a table,
    where there are any.

    It has one row for each pair and seed whose predictions are stored.
    """
    frames = [
        compare_predictions(store, rows, a, b).assign(a=a, b=b)
        for a, b in _find_supervision_pairs(arms, comparisons)
    ]
    values = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return (
        [
            Table(
                "agreement", "Image by image, seed by seed", _CAPTION, _format_table(values), values
            )
        ]
        if len(values)
        else []
    )


def _find_supervision_pairs(
    arms: pd.DataFrame, comparisons: pd.DataFrame
) -> Iterator[tuple[str, str]]:
    series = series_names(arms, "supervision")
    for a, b in comparisons.loc[comparisons["metric"] == "accuracy", ["a", "b"]].itertuples(
        index=False
    ):
        if series[a] == series[b]:
            yield a, b


def _format_table(values: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "A": values["a"],
            "B": values["b"],
            "Seed": values["seed"].astype(str),
            "Images": values["images"].map("{:,}".format),
            "A (%) [Wilson]": _format_accuracy(values, "a"),
            "B (%) [Wilson]": _format_accuracy(values, "b"),
            "Only A right": values["only_a"].map("{:,}".format),
            "Only B right": values["only_b"].map("{:,}".format),
            "p": values["p"].map(format_p_cell),
            "p adjusted": values["p_adjusted"].map(format_p_cell),
        }
    )


def _format_accuracy(values: pd.DataFrame, arm: str) -> list[str]:
    percentages = 100 * values[[f"accuracy_{arm}", f"low_{arm}", f"high_{arm}"]]
    return [
        f"{mean:.2f} {format_interval(low, high)}" for mean, low, high in percentages.to_numpy()
    ]


# fmt: off
COLUMNS = [
    "seed", "images", "accuracy_a", "low_a", "high_a", "accuracy_b", "low_b", "high_b",
    "both", "only_a", "only_b", "neither", "difference", "p",
]
# fmt: on


def compare_predictions(store: Store, rows: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Store, results table with `arm`, two arms of one data set -> one row a seed that both
    predicted the images with.

    Accuracies are fractions with their Wilson intervals over the images; p_adjusted is Holm's over
    the seeds. A seed that lacks the predictions of either arm has no row: older results hold none.
    """
    finished = rows.loc[rows["status"] == "ok", ["arm", "seed", "cell", "dataset"]]
    arms = [finished[finished["arm"] == arm].set_index("seed") for arm in (a, b)]
    seeds = arms[0].join(arms[1]["cell"].rename("other"), how="inner").sort_index()
    records = [
        {"seed": seed, **_summarize_agreement(*classes)}
        for seed, cell, dataset, other in seeds[["cell", "dataset", "other"]].itertuples()
        if (classes := _read_predictions(store, cell, other, dataset))
    ]
    table = pd.DataFrame(records, columns=COLUMNS)
    return table.assign(p_adjusted=adjust_p_values(table["p"].to_numpy(dtype=float), "holm"))


def _read_predictions(
    store: Store, a: str, b: str, dataset: str
) -> tuple[Classes, Classes, Classes] | None:
    predicted, others, targets = store.predictions(a), store.predictions(b), store.targets(dataset)
    if predicted is None or others is None or targets is None:
        return None
    return predicted, others, targets


def _summarize_agreement(a: Classes, b: Classes, targets: Classes) -> dict[str, float]:
    agreement = mcnemar(a, b, targets)
    record: dict[str, float] = {
        "images": len(targets),
        **agreement._asdict(),
        "difference": agreement.difference,
    }
    for name, only in (("a", agreement.only_a), ("b", agreement.only_b)):
        low, high = wilson_interval(agreement.both + only, len(targets))
        record |= {
            f"accuracy_{name}": (agreement.both + only) / len(targets),
            f"low_{name}": float(low),
            f"high_{name}": float(high),
        }
    return record
