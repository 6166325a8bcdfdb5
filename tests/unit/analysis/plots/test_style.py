"""Intervals of digit counts, wrapping of names, series over β and pages of comparisons."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis.frames.arm_names import row_arm_names
from analysis.frames.metrics import ACCURACY, METRIC_BY_COLUMN
from analysis.plots import style
from analysis.plots.digit_counts import digit_shares
from analysis.plots.forest import axis_range, draw_differences, shared_side, split_pages
from analysis.plots.label_placement import LabelPlacer
from analysis.plots.rate_distortion import NELBO_LINE_COLOUR, draw_rate_distortion, find_beta_series
from tests.unit.analysis.conftest import FrameMaker, made, row


def compared(count: int = 1, **values: Any) -> pd.DataFrame:
    """Comparisons of every two of some arms, as `analysis.compare` gives them: `count` of them."""
    first = {
        "a": "gmvae",
        "b": "vae",
        "difference": -2.0,
        "low": -2.4,
        "high": -1.6,
        "low_adjusted": -2.6,
    }
    rest = {
        "high_adjusted": -1.4,
        "p_adjusted": 0.004,
        "verdict": "better",
        "design": "paired",
        "margin": np.nan,
    }
    seeds = {
        "metric": "nelbo",
        "n_pairs": 10,
        "n_a": 10,
        "n_b": 10,
        "correction": "holm",
        "comparisons": count,
    }
    row = first | rest | seeds | values
    return pd.DataFrame([row | {"a": f"{row['a']}{place or ''}"} for place in range(count)])


def drawn(comparisons: pd.DataFrame) -> Figure:
    """The plot of a page of comparisons of the NELBO."""
    return draw_differences(
        comparisons, METRIC_BY_COLUMN["nelbo"], shared_side(comparisons), axis_range(comparisons)
    )


def beside(figure: Figure) -> list[str]:
    """The text at the right of a plot of differences."""
    return [label.get_text() for label in figure.axes[0].child_axes[0].get_yticklabels()]


def test_the_interval_over_seeds_is_that_of_student() -> None:
    """Shares of digit 0 are 8, 10 and 12 %: mean 10, SE 2/√3, t(0.975, 2) = 4.302653."""
    counted = np.array([[80, 920], [100, 900], [120, 880]])
    counted = np.pad(counted, ((0, 0), (0, 8)))
    half = 4.302653 * 2 / 3**0.5
    assert digit_shares(counted).to_numpy()[0, 1:] == pytest.approx(
        [10, 10 - half, 10 + half], abs=1e-5
    )


def test_the_interval_within_a_single_run_is_that_of_wilson() -> None:
    """Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 and 15 of 148, method 3
    (Wilson).
    """
    for hits, of, limits in ((81, 263, (25.53, 36.62)), (15, 148, (6.24, 16.05))):
        counted = np.array([[hits, of - hits, *[0] * 8]])
        assert digit_shares(counted).to_numpy()[0, 2:] == pytest.approx(limits, abs=0.005)


def test_words_never_lie_on_one_another_nor_outside() -> None:
    figure = Figure()
    axis = figure.subplots()
    points = np.array([(x, 0.5) for x in np.linspace(0.48, 0.52, 12)])
    figure.draw_without_rendering()
    room = LabelPlacer(axis, [points[:1], points[1:2]])
    assert all(room.place("β=0.5", (x, y), color="k") for x, y in points)
    figure.draw_without_rendering()
    words = [Text.get_window_extent(text) for text in axis.texts]  # without the line to its point
    assert len(words) == 12
    assert not any(
        one.overlaps(other) for place, one in enumerate(words) for other in words[:place]
    )
    assert all(
        axis.get_window_extent().contains(*corner)
        for word in words
        for corner in (word.min, word.max)
    )


def test_a_full_panel_has_no_room() -> None:
    figure = Figure()
    axis = figure.subplots()
    figure.draw_without_rendering()
    everywhere = [np.array([(0, y), (1, y)]) for y in np.linspace(0, 1, 200)]
    assert not LabelPlacer(axis, everywhere).place("β=1", (0.5, 0.5))
    assert len(axis.texts) == 0


def test_a_series_needs_two_betas(results: FrameMaker) -> None:
    cells = [
        made("vae", beta=1.0),
        made("vae", beta=4.0),
        made("gmvae"),
        made("gmvae", beta=4.0, iterations=9),
    ]
    cells += [made("ssvae", supervision="supervised", labels=n) for n in (50, 100)]
    rows = results(*map(row, cells))
    found = find_beta_series(rows)
    assert set(found["model"]) == {"vae"}
    assert set(found["series"]) == {"vae"}
    assert find_beta_series(rows[rows["model"] == "ssvae"]).empty


def test_rate_is_kl_and_distortion_is_reconstruction(
    results: FrameMaker,
) -> None:
    parts = {0.5: (25.0, 76.0), 1.0: (19.0, 81.0), 8.0: (3.0, 130.0)}
    cells = [made("vae", seed, beta=beta) for beta in (8.0, 0.5, 1.0) for seed in (0, 1)]
    rows = results(
        *(
            row(c, kl=parts[c.beta][0], rec=parts[c.beta][1], nelbo=sum(parts[c.beta]))
            for c in cells
        )
    )
    rows = find_beta_series(rows.assign(arm=row_arm_names(rows)))
    figure = draw_rate_distortion(rows, style.colours(sorted(set(rows["arm"]))))
    axis = figure.axes[0]
    joined = next(line for line in axis.lines if line.get_label() == "vae")
    assert np.asarray(joined.get_xydata()).tolist() == [[25, 76], [19, 81], [3, 130]]
    grey = [
        np.asarray(line.get_xydata())
        for line in axis.lines
        if line.get_color() == NELBO_LINE_COLOUR
    ]
    ticks = list(axis.child_axes[0].get_yticks())
    levels = [line.sum(axis=1) for line in grey]
    assert 100 in {round(float(level[0]), 6) for level in levels}
    assert all(level == pytest.approx([level[0]] * 2) for level in levels)
    assert set(np.round(ticks, 6)) <= {round(float(level[0]), 6) for level in levels}
    right, bottom = axis.get_xlim()[1], axis.get_ylim()[0]
    assert axis.child_axes[0].get_ylim()[0] == pytest.approx(bottom + right)
    assert sorted(text.get_text() for text in axis.texts) == ["β=0.5", "β=1", "β=8"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "better, n = 10, p = 0.004"),
        ({"p_adjusted": 1e-9, "verdict": "worse"}, "worse, n = 10, p < 0.001"),
        ({"design": "welch", "n_a": 9, "n_b": 7}, "better, n = 9 and 7, p = 0.004"),
        ({"verdict": "equivalent", "margin": 3.0}, "equivalent, n = 10"),
        (
            {"verdict": "no difference shown", "p_adjusted": 1.0},
            "no difference shown, n = 10, p = 1",
        ),
        ({"verdict": "too few seeds", "n_pairs": 3}, "too few seeds, n = 3"),
        (
            {"verdict": "single run", "n_pairs": 1, "p_adjusted": np.nan, "low": np.nan},
            "single run, n = 1",
        ),
    ],
)
def test_a_difference_has_its_verdict_seeds_and_p_beside_it(
    values: dict[str, Any], message: str
) -> None:
    assert beside(drawn(compared(**values))) == [message]


def test_headings_tell_the_arm_that_comparisons_share() -> None:
    names = [label.get_text() for label in drawn(compared(2)).axes[0].get_yticklabels()]
    assert names == ["… − vae", "gmvae", "gmvae1"]
    turned = compared(2).rename(columns={"a": "b", "b": "a"})
    assert [label.get_text() for label in drawn(turned).axes[0].get_yticklabels()] == [
        "vae",
        "− gmvae",
        "− gmvae1",
    ]


def test_bars_show_the_intervals_in_percentage_points() -> None:
    shown = compared(
        difference=0.02, low=0.01, high=0.03, low_adjusted=0.0, high_adjusted=0.04, margin=0.005
    )
    axis = draw_differences(shown, ACCURACY, shared_side(shown), axis_range(shown)).axes[0]
    ends = (np.asarray(line.get_xdata(), float) for line in axis.lines)
    bars = sorted(tuple(pair) for pair in ends if len(pair) == 2)
    assert bars == [pytest.approx((0, 0)), pytest.approx((0, 4)), pytest.approx((1, 3))]
    low, high = axis.get_xlim()
    assert low < -0.5
    assert high > 4


def test_a_wild_interval_does_not_squeeze_the_others() -> None:
    found = compared(5)
    found.loc[4, ["low_adjusted", "high_adjusted"]] = [-300.0, 296.0]
    low, high = axis_range(found)
    assert -8 < low < -2.6  # four times the middle interval, 1.2, beyond the difference
    assert 0 < high < 4
    assert [line.get_marker() for line in drawn(found).axes[0].lines].count((3, 0, -90)) == 1


def test_every_comparison_is_on_one_page() -> None:
    found = compared(100)
    shown = list(split_pages(found))
    assert [len(page) for page in shown] == [34, 33, 33]
    assert pd.concat(shown)["a"].tolist() == found["a"].tolist()
    long = found.assign(b="a name of an arm which takes a second line")
    assert max(len(page) for page in split_pages(long)) == 20
