import json

import numpy as np
import pandas as pd
import pytest

from analysis.comparison.comparisons import compare_arms
from analysis.frames import searches
from analysis.sections.tuning import curves, winners
from harness.experiment.grid import ComparisonSpec
from tests.unit.analysis.frames.test_searches import make_rows, split

STUDY = ComparisonSpec(metrics=["nelbo"], unit="study")


def test_words_follow_the_unit() -> None:
    finals, _ = split(make_rows({"vae": 0.0, "gmvae": 1.0}, studies=5))
    noise = np.random.default_rng(0).normal(0, 0.1, len(finals))
    finals = finals.assign(nelbo=finals["nelbo"] + noise)
    (found,) = compare_arms(searches.to_units(finals, "study"), STUDY).to_dict("records")
    assert {found["a"], found["b"]} == {"vae tuned (2 trials)", "gmvae tuned (2 trials)"}
    assert "n = 5 studies" in found["text"]
    assert "seed" not in found["text"]


def test_few_studies_give_no_verdict() -> None:
    finals, _ = split(make_rows({"vae": 0.0, "gmvae": 1.0}, studies=4, seeds=10))
    (found,) = compare_arms(searches.to_units(finals, "study"), STUDY).to_dict("records")
    assert found["text"].startswith("too few studies (n = 4 studies, no verdict below 5)")


def test_unequal_budgets_are_flagged() -> None:
    some = make_rows({"vae": 0.0}, studies=5)
    more = make_rows({"gmvae": 1.0}, studies=5, trials=16)
    finals, _ = split(pd.concat([some, more], ignore_index=True))
    (found,) = compare_arms(searches.to_units(finals, "study"), STUDY).to_dict("records")
    assert "unequal budgets: 16 trials against 2" in found["flags"]


def test_a_users_searcher_gives_a_description() -> None:
    finals, _ = split(make_rows({"vae": 0.0, "gmvae": 1.0}, studies=5, descriptive=True))
    (found,) = compare_arms(searches.to_units(finals, "study"), STUDY).to_dict("records")
    assert found["verdict"] == "cannot be compared"
    assert "a searcher of the user" in found["text"]


def test_the_table_of_winners_counts_what_they_won_against() -> None:
    finals, trials = split(make_rows({"vae": 0.0}, studies=2))
    table = winners.build_winners(finals, trials).values
    assert table["Of"].tolist() == [2, 2]
    assert table["Values"].tolist() == [
        "learning_rate=0.001, settings.z=5",
        "learning_rate=0.002, settings.z=10",
    ]


def test_spend_counts_the_rungs_of_a_trial_once() -> None:
    finals, trials = split(make_rows({"vae": 0.0}, studies=1, seeds=3))
    first = trials.assign(iterations=100, rung=0)
    second = trials.head(1).assign(iterations=300, rung=1)
    assert winners.count_steps(pd.concat([first, second])) == 300 + 100
    (spend,) = winners.build_spend(finals, trials).values.to_dict("records")
    assert (spend["Trials"], spend["Trainings"], spend["Steps of trainings"]) == (2, 3, 60_000)


def test_curves_need_random_trials() -> None:
    _, trials = split(make_rows({"vae": 0.0}, studies=6))
    assert [curve.n_trials for curve in curves.compute_curves(trials)] == [12]
    assert [len(curve.mean) for curve in curves.compute_curves(trials)] == [2]
    assert curves.compute_curves(trials.head(11)) == []
    _, tpe = split(make_rows({"vae": 0.0}, studies=6, method="tpe"))
    assert curves.compute_curves(tpe) == []
    (plot,) = curves.draw(curves.compute_curves(trials))
    assert "12 of vae tuned (2 trials)" in plot.caption


def test_the_sources_of_variance_are_told_apart() -> None:
    finals, _ = split(make_rows({"vae": 0.0}, studies=3, seeds=2))
    scores = finals["study"] * 10.0 + finals["seed"] % 2
    errors = json.dumps({"nelbo": 0.5})
    table = winners.build_variance(finals.assign(nelbo=scores, evaluation_se=errors))
    assert table is not None
    (values,) = table.values.to_dict("records")
    assert values["seed"] == pytest.approx(0.5)
    assert values["search"] == pytest.approx(100 - 0.25)
    assert values["evaluation"] == pytest.approx(0.25)
    assert values["Validation images"] == "the same"
    specs = finals["search_spec"].map(
        lambda text: json.dumps({**json.loads(text), "split": "study"})
    )
    table = winners.build_variance(finals.assign(search_spec=specs))
    assert table is not None
    assert list(table.values["Validation images"]) == ["drawn by study"]
