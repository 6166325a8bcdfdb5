import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.comparison.open_arms import find_open_cells
from analysis.frames import searches
from analysis.frames.declared import LookPlan
from analysis.frames.load import name_arms
from harness.experiment.cell import Cell
from harness.experiment.grid import ComparisonSpec
from tests.unit.analysis.conftest import made, row

SPEC = {
    "method": "random",
    "metric": "validation_nelbo",
    "trials": 2,
    "axes": {"learning_rate": {"log": [1e-4, 1e-2]}, "settings.z": {"choices": [5, 10]}},
    "budget": "equal",
}
RATES = (0.001, 0.002)


def make_trial(model: str, study: int, trial: int, **values: Any) -> Cell:
    cell = made(model, 10_000 * study + 9_999, learning_rate=RATES[trial], validation=100)
    settings = dict(cell.settings) | {"z": (5, 10)[trial]}
    return replace(
        cell,
        settings=tuple(sorted(settings.items())),
        search="5ea5c4ed",
        stage="search",
        study=study,
        trial=trial,
        **values,
    )


def make_rows(models: dict[str, float], studies: int, seeds: int = 2, **spec: Any) -> pd.DataFrame:
    """Trials and trainings of winners: trial `study % 2` wins, the test NELBO is
    90 + shift + study + seed / 10."""
    text, rows = json.dumps(SPEC | spec), []
    for model, shift in models.items():
        for study in range(studies):
            for trial in range(2):
                loss = 100.0 + (trial != study % 2)
                cell = make_trial(model, study, trial)
                empty: dict[str, Any] = dict.fromkeys(("nelbo", "kl", "rec"))
                rows.append(row(cell, **empty, validation_nelbo=loss, search_spec=text))
            winner = make_trial(model, study, study % 2)
            for seed in range(seeds):
                nelbo = 90 + shift + study + seed / 10
                cell = replace(winner, stage="final", seed=10_000 * study + seed)
                parts: dict[str, Any] = {"nelbo": nelbo, "kl": 1.0, "rec": nelbo - 1}
                rows.append(row(cell, **parts, estimator="elbo", search_spec=text))
    return pd.DataFrame(rows).assign(validation_accuracy=np.nan, threads=1)


def split(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    finals, trials = searches.split_trials(rows)
    return name_arms(finals), trials.assign(configuration=searches.name_configurations(trials))


def test_trials_and_trainings_of_one_search_share_a_name() -> None:
    finals, trials = split(make_rows({"vae": 0.0, "gmvae": 1.0}, studies=2))
    assert set(trials["configuration"]) == {"vae tuned (2 trials)", "gmvae tuned (2 trials)"}
    assert set(finals["configuration"]) == set(trials["configuration"])
    assert (trials["configuration"].str.split().str[0] == trials["model"]).all()


def test_winners_are_arms_that_say_whose_they_are() -> None:
    finals, _ = split(make_rows({"vae": 0.0}, studies=2))
    assert set(finals["arm"]) == {"vae winner of study 0", "vae winner of study 1"}


def test_a_study_is_the_mean_of_its_trainings() -> None:
    finals, _ = split(make_rows({"vae": 0.0}, studies=3, seeds=2))
    studies = searches.to_studies(finals).sort_values("seed")
    assert studies["seed"].tolist() == [0, 1, 2]
    assert studies["nelbo"].tolist() == pytest.approx([90.05, 91.05, 92.05])
    assert studies["arm"].nunique() == 1
    assert (studies["status"] == "ok").all()


def test_a_failed_training_is_not_in_the_mean() -> None:
    rows = make_rows({"vae": 0.0}, studies=1)
    is_first = (rows["stage"] == "final") & (rows["seed"] == 0)
    rows["status"] = rows["status"].mask(is_first, "failed")
    rows["nelbo"] = rows["nelbo"].mask(is_first)
    finals, _ = split(rows)
    (study,) = searches.to_studies(finals).to_dict("records")
    assert study["nelbo"] == pytest.approx(90.1)


def test_the_best_trial_wins_and_ties_go_to_the_first() -> None:
    _, trials = split(make_rows({"vae": 0.0}, studies=2))
    winners = searches.find_winners(trials.assign(arm=trials["configuration"]))
    assert winners[["study", "trial"]].to_numpy().tolist() == [[0, 0], [1, 1]]
    tied = trials.assign(validation_nelbo=1.0, arm=trials["configuration"])
    assert searches.find_winners(tied)["trial"].tolist() == [0, 0]
    failed = tied.assign(status=np.where(tied["trial"] == 0, "failed", "ok"))
    assert searches.find_winners(failed)["trial"].tolist() == [1, 1]


def test_trainings_of_a_former_winner_are_set_aside() -> None:
    rows = make_rows({"vae": 0.0}, studies=2)
    is_better = (rows["stage"] == "search") & (rows["study"] == 0) & (rows["trial"] == 1)
    rows["validation_nelbo"] = rows["validation_nelbo"].mask(is_better, 1.0)
    finals, trials = split(rows)
    kept, messages = searches.drop_stale(finals, trials)
    assert kept["study"].tolist() == [1, 1]
    assert messages[0].startswith("2 trainings of former winners are left out")
    assert searches.drop_stale(finals, trials.head(0))[1] == []


def test_ordinary_rows_stay_as_they_are() -> None:
    ordinary = pd.DataFrame([row(made("vae", seed)) for seed in range(3)])
    named = name_arms(ordinary)
    assert named["arm"].tolist() == ["vae"] * 3
    assert searches.to_units(named, "study")["cell"].tolist() == ordinary["cell"].tolist()


def test_arms_of_open_studies_go_on() -> None:
    rows = make_rows({"vae": 0.0, "gmvae": 30.0, "ssvae": 0.2}, studies=5)
    finals = rows[rows["stage"] == "final"]
    noise = np.random.default_rng(0).normal(0, 0.3, len(finals))
    finals = finals.assign(nelbo=finals["nelbo"] + noise, rec=finals["rec"] + noise)
    declared = ComparisonSpec(metrics=["nelbo"], unit="study")
    plan = LookPlan(tuple(range(10)), (5, 10), ("better",))
    open_cells = find_open_cells(finals, declared, plan)
    assert set(finals.loc[finals["cell"].isin(list(open_cells)), "model"]) == {"vae", "ssvae"}
