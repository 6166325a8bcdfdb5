"""Supervised against semi-supervised image by image, for the page: a second level below the seeds."""

from collections.abc import Iterator

import pandas as pd

from analysis.rendering.table import Table
from analysis.sections.comparisons import chance
from analysis.stats.agreement import Classes, mcnemar, wilson
from analysis.stats.multiplicity import adjusted
from harness.storage.schema import ARM
from harness.storage.store import Store

_CAPTION = (
    "McNemar's exact test on the test images, of one seed at a time; p adjusted by Holm over "
    "the seeds of a pair; in "
    "brackets Wilson's 95 % interval over the images. It says that two trained networks "
    "differ, not that two ways of "
    "training do: that is asked over the seeds, among the verdicts."
)


def tables(store: Store, rows: pd.DataFrame, compared: pd.DataFrame) -> list[Table]:
    """The pairs of arms that were compared in accuracy and differ in supervision alone -> a table,
    where there are any.

    One row a pair and seed whose predictions lie in the store.
    """
    found = [agreements(store, rows, a, b).assign(a=a, b=b) for a, b in _pairs(rows, compared)]
    whole = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    return (
        [Table("agreement", "Image by image, seed by seed", _CAPTION, _text(whole), whole)]
        if len(whole)
        else []
    )


def _pairs(rows: pd.DataFrame, compared: pd.DataFrame) -> Iterator[tuple[str, str]]:
    same = [name for name in ARM if name != "supervision"]
    settings = rows.drop_duplicates("arm").set_index("arm")[same]
    for a, b in compared.loc[compared["metric"] == "accuracy", ["a", "b"]].itertuples(index=False):
        if settings.loc[a].equals(settings.loc[b]):
            yield a, b


def _text(found: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "A": found["a"],
            "B": found["b"],
            "Seed": found["seed"].astype(str),
            "Images": found["images"].map("{:,}".format),
            "A (%) [Wilson]": _accuracy(found, "a"),
            "B (%) [Wilson]": _accuracy(found, "b"),
            "Only A right": found["only_a"].map("{:,}".format),
            "Only B right": found["only_b"].map("{:,}".format),
            "p": found["p"].map(chance),
            "p adjusted": found["p_adjusted"].map(chance),
        }
    )


def _accuracy(found: pd.DataFrame, arm: str) -> list[str]:
    parts = 100 * found[[f"accuracy_{arm}", f"low_{arm}", f"high_{arm}"]]
    return [f"{mean:.2f} [{low:.2f}, {high:.2f}]" for mean, low, high in parts.to_numpy()]


# fmt: off
COLUMNS = [
    "seed", "images", "accuracy_a", "low_a", "high_a", "accuracy_b", "low_b", "high_b", "both", "only_a", "only_b",
    "neither", "difference", "p",
]
# fmt: on


def agreements(store: Store, rows: pd.DataFrame, a: str, b: str) -> pd.DataFrame:
    """Store, results table with `arm`, two arms of one data set -> one row a seed that both
    predicted the images with.

    Accuracies are fractions with their Wilson intervals over the images; p_adjusted is Holm's over
    the seeds. A seed that lacks the predictions of either arm has no row: older results hold none.
    """
    finished = rows.loc[rows["status"] == "ok", ["arm", "seed", "cell", "dataset"]]
    arms = [finished[finished["arm"] == arm].set_index("seed") for arm in (a, b)]
    seeds = arms[0].join(arms[1]["cell"].rename("other"), how="inner").sort_index()
    found = [
        {"seed": seed, **_said(*classes)}
        for seed, cell, dataset, other in seeds[["cell", "dataset", "other"]].itertuples()
        if (classes := _classes(store, cell, other, dataset))
    ]
    table = pd.DataFrame(found, columns=COLUMNS)
    return table.assign(p_adjusted=adjusted(table["p"].to_numpy(dtype=float), "holm"))


def _classes(store: Store, a: str, b: str, dataset: str) -> tuple[Classes, Classes, Classes] | None:
    predicted, others, targets = store.predictions(a), store.predictions(b), store.targets(dataset)
    if predicted is None or others is None or targets is None:
        return None
    return predicted, others, targets


def _said(a: Classes, b: Classes, targets: Classes) -> dict[str, float]:
    found = mcnemar(a, b, targets)
    said: dict[str, float] = {
        "images": len(targets),
        **found._asdict(),
        "difference": found.difference,
    }
    for name, only in (("a", found.only_a), ("b", found.only_b)):
        low, high = wilson(found.both + only, len(targets))
        said |= {
            f"accuracy_{name}": (found.both + only) / len(targets),
            f"low_{name}": low,
            f"high_{name}": high,
        }
    return said
