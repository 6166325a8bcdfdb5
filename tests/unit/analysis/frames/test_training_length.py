"""The wording of training lengths."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.frames.training_length import describe_length, shortened_banner


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_fewer_steps_than_the_full_length_are_shortened(iterations: int, full_length: int) -> None:
    assert describe_length(iterations, full_length).startswith("shortened") == (
        iterations < full_length
    )
    cells = pd.DataFrame({"model": ["vae"], "iterations": iterations, "full_length": full_length})
    assert bool(shortened_banner(cells)) == (iterations < full_length)


@pytest.mark.parametrize(
    ("iterations", "words"),
    [
        (9, "shortened: 9 of 10 steps"),
        (10, "full length: 10 steps"),
        (11, "longer: 11 steps where 10 are full length"),
    ],
)
def test_in_words(iterations: int, words: str) -> None:
    assert describe_length(iterations, 10) == words
