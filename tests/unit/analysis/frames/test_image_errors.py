import pandas as pd
import pytest

from analysis.frames.image_errors import add_image_errors, mean_errors

ROWS = pd.DataFrame(
    {
        "arm": ["vae", "vae", "ssvae"],
        "status": ["ok", "ok", "failed"],
        "evaluation_se": ['{"nelbo": 0.2, "accuracy": 0.01}', '{"nelbo": 0.4}', '{"nelbo": 9.0}'],
    }
)


def test_errors_are_means_over_the_finished_seeds() -> None:
    found = mean_errors(ROWS)
    assert found == {("vae", "nelbo"): pytest.approx(0.3), ("vae", "accuracy"): 0.01}


def test_errors_are_in_the_unit_of_the_estimates() -> None:
    estimates = pd.DataFrame({"arm": ["vae"] * 3, "metric": ["nelbo", "accuracy", "kl"]})
    found = add_image_errors(estimates, ROWS)["image_se"].tolist()
    assert found[:2] == pytest.approx([0.3, 1.0])  # nats, points
    assert pd.isna(found[2])


def test_older_tables_have_none() -> None:
    estimates = pd.DataFrame({"arm": ["vae"], "metric": ["nelbo"]})
    assert "image_se" not in add_image_errors(estimates, ROWS.drop(columns="evaluation_se"))
