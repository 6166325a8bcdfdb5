"""Warnings about the results."""

import pandas as pd

from analysis.comparison.caveats import (
    describe_unstarted_cells,
    list_caveats,
    list_unfinished_cells,
    warn_about_selection,
)
from analysis.frames.arm_table import count_cells
from analysis.stats.thresholds import MIN_SEEDS
from tests.unit.analysis.conftest import FrameMaker, estimate_all, made, on_subset, row


def test_nothing_to_say_of_enough_equal_seeds(results: FrameMaker) -> None:
    rows = results(*[row(made("vae", seed)) for seed in range(MIN_SEEDS)])
    assert list_caveats(rows, count_cells(rows), estimate_all(rows)) == []


def test_the_gravest_first(results: FrameMaker) -> None:
    rows = results(
        row(made("vae", 0), data_checksum="a", **on_subset(made("vae", 0))),
        row(made("vae", 1), data_checksum="b", **on_subset(made("vae", 1), "0" * 64)),
        row(made("vae", 2), "failed"),
        row(made("vae", 3)),
        row(made("gmvae", 0), "diverged"),
    )
    broken = rows.assign(
        nelbo=rows["nelbo"].mask((rows["seed"] == 0) & (rows["model"] == "vae"), 50.0)
    )
    sentences = list_caveats(broken, count_cells(broken), estimate_all(broken))
    words = [
        "nelbo 50.00 is not kl 19.00 + rec 81.00",
        "2 different lists of images",
        "2 different versions of the data",
        "gmvae: 1 of 1 cells diverged",
        "vae: 1 of 4 cells failed",
        "vae: 1 of 3 finished cells hold no subset_nelbo",
        "unequal numbers of finished seeds: from 0 (gmvae) to 3 (vae)",
        "fewer than 5 finished seeds in 2 of 2 arms",
    ]
    assert len(sentences) == len(words)
    assert all(any(word in note for note in sentences) for word in words)
    assert "is not kl" in sentences[0]


def test_unfinished_cells_come_with_their_reason(results: FrameMaker) -> None:
    rows = results(
        row(made("vae")), row(made("vae", 1), "failed"), row(made("vae", 2), "diverged", error=None)
    )
    found: pd.DataFrame = list_unfinished_cells(rows)
    assert found.to_numpy().tolist() == [
        ["vae", 1, "failed", "RuntimeError: no reason"],
        ["vae", 2, "diverged", "no reason given"],
    ]


def test_what_a_run_planned_and_did_not_do_is_missing() -> None:
    assert (
        describe_unstarted_cells(2, [{"cells": 5}, {"cells": 3}, {}])
        == "At least 3 of the 5 cells of a run have no row yet."
    )
    assert describe_unstarted_cells(2, [{"cells": 2}]) == describe_unstarted_cells(2, []) == ""


def test_choosing_by_test_scores_is_warned_against() -> None:
    (sentence,) = warn_about_selection(pd.DataFrame({"a": ["gmvae"]}))
    assert "no validation split" in sentence
    (sentence,) = warn_about_selection(pd.DataFrame({"a": ["gmvae"]}), has_validation=True)
    assert "can be chosen by validation_nelbo" in sentence
    assert "no validation split" not in sentence
    assert not list(warn_about_selection(pd.DataFrame({"a": []})))
