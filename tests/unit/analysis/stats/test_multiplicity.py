import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from analysis.stats.multiplicity import Correction, adjust_p_values, alpha_levels
from analysis.stats.thresholds import ALPHA

# Benjamini and Hochberg (1995), § 4: fifteen p-values of a study of thrombolysis.
STUDY = np.array(
    [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
)


def test_holm_gives_what_r_gives() -> None:
    """p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")."""
    assert adjust_p_values(np.array([0.01, 0.02, 0.03, 0.04, 0.05]), "holm") == pytest.approx(
        [0.05, 0.08, 0.09, 0.09, 0.09]
    )


def test_a_published_study_rejects_four_with_bh_three_with_holm() -> None:
    assert (adjust_p_values(STUDY, "bh") <= ALPHA).sum() == 4
    assert (adjust_p_values(STUDY, "holm") <= ALPHA).sum() == 3
    assert adjust_p_values(STUDY, "bh")[3] == pytest.approx(0.0095 * 15 / 4)
    assert adjust_p_values(STUDY, "holm")[3] == pytest.approx(0.0095 * 12)


def test_the_levels_of_the_published_study() -> None:
    found = alpha_levels(STUDY, adjust_p_values(STUDY, "holm"), "holm")
    assert found[:4] == pytest.approx([0.05 / 15, 0.05 / 14, 0.05 / 13, 0.05 / 12])
    assert found[4:] == pytest.approx(np.full(11, 0.05 / 12))  # after the stop
    assert alpha_levels(STUDY, adjust_p_values(STUDY, "bh"), "bh") == pytest.approx(
        np.full(15, 0.05 * 4 / 15)
    )


def test_a_family_of_one_is_not_corrected() -> None:
    one = np.array([0.03])
    for correction in ("holm", "bh"):
        assert adjust_p_values(one, correction)[0] == pytest.approx(0.03)
        assert alpha_levels(one, one, correction)[0] == ALPHA


def test_an_empty_family_is_empty() -> None:
    nothing = np.zeros(0)
    assert len(adjust_p_values(nothing, "holm")) == len(alpha_levels(nothing, nothing, "holm")) == 0


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.sampled_from(["holm", "bh"]))
def test_p_is_below_its_level_if_adjusted_p_is_below_alpha(
    p: list[float], correction: Correction
) -> None:
    values = np.array(p)
    corrected = adjust_p_values(values, correction)
    near = np.isclose(corrected, ALPHA)  # rounding decides these
    assert ((values <= alpha_levels(values, corrected, correction)) == (corrected <= ALPHA))[
        ~near
    ].all()


def test_three_in_any_order() -> None:
    p = np.array([0.04, 0.001, 0.03])
    corrected = adjust_p_values(p, "holm")
    assert corrected == pytest.approx([0.06, 0.003, 0.06])
    assert alpha_levels(p, corrected, "holm") == pytest.approx([0.025, 0.05 / 3, 0.025])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0, 1) | st.sampled_from([0.01, 0.02]), min_size=1),
    st.sampled_from(["holm", "bh"]),
)
def test_corrections_are_those_of_statsmodels(p: list[float], correction: Correction) -> None:
    expected = multipletests(p, ALPHA, method={"holm": "holm", "bh": "fdr_bh"}[correction])[1]
    assert adjust_p_values(np.array(p), correction) == pytest.approx(expected, rel=1e-12)
