"""Tables of tuned models: means over studies, the winner of each study, and what each cost."""

import json
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import searches
from analysis.frames.arm_table import count_cells, estimate_arms, list_rows, scale_estimates
from analysis.frames.image_errors import mean_errors
from analysis.frames.metrics import Metric, describe_metrics
from analysis.rendering.numbers import format_estimate, format_number
from analysis.rendering.table import Table
from analysis.sections.summary import select_main_metrics
from analysis.stats.searches.best_of import split_variance

HOUR = 3600.0
SOURCES = {
    "search": "SD of searches (nats)",
    "seed": "SD of seeds (nats)",
    "evaluation": "SE of evaluation (nats)",
}


def build_studies(rows: pd.DataFrame) -> Table:
    """Trainings of winners -> a row a configuration: means over its studies."""
    studies = searches.to_studies(rows)
    metrics = select_main_metrics(studies, describe_metrics(studies))
    columns = [metric.column for metric in metrics]
    table = estimate_arms(studies, count_cells(studies), columns)
    values = table[table["n"] > 0].reset_index(drop=True)
    text = pd.DataFrame({"Model": list(dict.fromkeys(values["arm"]))})
    for metric in metrics:
        estimates = scale_estimates(table[table["metric"] == metric.column]).set_index("arm")
        text[metric.heading] = [_format_mean(estimates.loc[arm], metric) for arm in text["Model"]]
    return Table(
        "tuned-models",
        "Tuned models",
        "Mean over studies ± its standard error (SE), n studies. A study is an independent search "
        "and the mean of its winner's trainings, on the test images.",
        text,
        values,
    )


def _format_mean(row: "pd.Series[Any]", metric: Metric) -> str:
    digits = metric.count_decimals([row["mean"]])
    return format_estimate(row["mean"], row["se"], "SE", int(row["n"]), digits)


def build_winners(rows: pd.DataFrame, trials: pd.DataFrame) -> Table:
    """Trainings of winners and trials -> a row a study: the winner, and what it won against."""
    winners = searches.find_winners(trials.assign(arm=trials["configuration"]))
    records = [_describe_winner(row, rows, trials) for row in list_rows(winners)]
    values = pd.DataFrame(records).sort_values(["Model", "Study"], ignore_index=True)
    text = values.astype(object).copy()
    for name in ("Validation", "Test NELBO"):
        if name in values:
            text[name] = [
                format_number(value, 4 if abs(value) < 1 else 2) for value in values[name]
            ]
    return Table(
        "winners",
        "The winner of each study",
        "Chosen by the search's metric on validation images, ties by the number of the trial; no "
        "test image was seen by then. Test NELBO: the mean over the winner's trainings, in nats.",
        text.astype(str),
        values,
    )


def _describe_winner(
    winner: dict[str, Any], rows: pd.DataFrame, trials: pd.DataFrame
) -> dict[str, Any]:
    spec = searches.parse_spec(winner["search_spec"])
    same = (trials["configuration"] == winner["configuration"]) & (
        trials["study"] == winner["study"]
    )
    of_study = trials[same].sort_values("iterations").drop_duplicates("trial", keep="last")
    trainings = rows[
        (rows["configuration"] == winner["configuration"]) & (rows["study"] == winner["study"])
    ]
    finished = trainings[trainings["status"] == "ok"]
    return {
        "Model": winner["configuration"],
        "Study": winner["study"],
        "Trial": winner["trial"],
        "Of": len(of_study),
        "Failed": int((of_study["status"] != "ok").sum()),
        "Values": _describe_point(winner, spec),
        "Validation": float(winner[spec["metric"]]),
        "Trainings": len(finished),
        "Test NELBO": float(finished["nelbo"].astype(float).mean()),
    }


def _describe_point(row: dict[str, Any], spec: dict[str, Any]) -> str:
    """The searched values of a trial: `learning_rate=0.001, settings.z=20`."""
    parts = []
    for name in spec.get("axes", ()):
        group, _, key = name.rpartition(".")
        value = json.loads(row[group]).get(key, "default") if group else row[name]
        parts.append(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}")
    return ", ".join(parts)


def build_spend(rows: pd.DataFrame, trials: pd.DataFrame) -> Table:
    """What each configuration was given, the search and the trainings of winners apart."""
    records = []
    for name in dict.fromkeys([*trials["configuration"], *rows["configuration"]]):
        of_search = trials[trials["configuration"] == name]
        finals = rows[rows["configuration"] == name]
        both = pd.concat([of_search, finals])
        records.append(
            {
                "Model": name,
                "Studies": int(both["study"].nunique()),
                "Trials": int(of_search.drop_duplicates(["study", "trial"]).shape[0]),
                "Trainings": len(finals),
                "Steps of search": count_steps(of_search),
                "Steps of trainings": count_steps(finals),
                "Parameters": _format_range(both["parameters"]),
                "Hours of search": _sum_hours(of_search),
                "Hours of trainings": _sum_hours(finals),
            }
        )
    values = pd.DataFrame(records)
    text = values.copy().astype(object)
    for of in ("search", "trainings"):
        text[f"Steps of {of}"] = values[f"Steps of {of}"].map("{:,}".format)
        text[f"Hours of {of}"] = values[f"Hours of {of}"].map("{:.3f}".format)
    device = "GPU" if rows["device"].fillna("").str.startswith("cuda").any() else "core"
    return Table(
        "spend",
        "What each model was given",
        f"Hours are {device}-hours of training: the seconds of a row times its threads. Steps of "
        "the rungs of one trial are counted once, as each goes on from the one before.",
        text.astype(str),
        values,
    )


def count_steps(rows: pd.DataFrame) -> int:
    """Steps that were trained: of the rungs of a trial those of its longest."""
    longest = rows.groupby(["study", "trial", "seed"])["iterations"].max()
    return int(longest.sum())


def _sum_hours(rows: pd.DataFrame) -> float:
    """Hours of training times threads; the clock of a rung goes on from the one before."""
    seconds = rows["train_seconds"].astype(float) * rows["threads"].astype(float).clip(lower=1)
    keys = [rows[name] for name in ("study", "trial", "seed")]
    return float(seconds.groupby(keys).max().sum() / HOUR)


def _format_range(values: pd.Series) -> str:
    known = values.dropna().astype(int)
    if known.empty:
        return "–"
    low, high = known.min(), known.max()
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def build_variance(rows: pd.DataFrame) -> Table | None:
    """Where the spread of a tuned model's test NELBO comes from; None without two studies."""
    finished = rows[(rows["status"] == "ok") & rows["nelbo"].notna()]
    errors = mean_errors(finished.assign(arm=finished["configuration"]))
    records = []
    for name, group in finished.groupby("configuration", sort=False):
        by_study = [part["nelbo"].to_numpy(float) for _, part in group.groupby("study")]
        between, within = split_variance(by_study)
        if between == between:
            records.append(
                {
                    "Model": name,
                    "Studies": len(by_study),
                    "Validation images": _describe_split(group),
                    "search": between,
                    "seed": within,
                    "evaluation": errors.get((str(name), "nelbo"), np.nan) ** 2,
                }
            )
    if not records:
        return None
    values = pd.DataFrame(records)
    total = values["search"] + values["seed"].fillna(0.0)
    text = values[["Model", "Studies", "Validation images"]].astype(str)
    for name, heading in SOURCES.items():
        text[heading] = [format_number(value**0.5, 3) for value in values[name]]
    text["Share of searches"] = [
        format_number(100 * a / b if b else float("nan"), 0) + " %" if a == a and c == c else "–"
        for a, b, c in zip(values["search"], total, values["seed"], strict=True)
    ]
    return Table(
        "variance",
        "Where the spread comes from",
        "Components of variance of the test NELBO: between studies (the search, what is left of it "
        "after the seeds) and between the trainings of one winner (the seed). Where each study "
        "draws its own validation images, the searches vary with them; where all have the same, "
        "that choice is in no column. The evaluation is the standard error over the test images, "
        "which are the same for all: it is no part of the other two, and cancels in comparisons.",
        text,
        values,
    )


def _describe_split(rows: pd.DataFrame) -> str:
    """Whether the studies of a configuration have the same validation images."""
    splits = {searches.parse_spec(text).get("split", "shared") for text in rows["search_spec"]}
    return "drawn by study" if splits == {"study"} else "the same"
