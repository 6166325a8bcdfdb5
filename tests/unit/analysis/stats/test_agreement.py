from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.sections.image_agreement import compare_predictions
from analysis.stats.agreement import mcnemar, wilson_interval
from harness.storage.store import Store


def classified(
    both: int, only_a: int, only_b: int, neither: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of a and b and the true classes, all 1, that give these counts."""
    a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither]).astype(np.uint8)
    b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither]).astype(np.uint8)
    return a, b, np.ones_like(a)


def test_agrestis_approval_ratings_give_what_r_gives() -> None:
    """Agresti (1990), p. 350; exact2x2's mcnemar.exact: p-value = 3.716e-05."""
    found = mcnemar(*classified(794, 150, 86, 570))
    assert found[:4] == (794, 150, 86, 570)
    assert found.p == pytest.approx(3.716e-05, abs=5e-9)
    assert found.difference == pytest.approx(64 / 1600)


def test_six_to_none_by_hand() -> None:
    assert mcnemar(*classified(10, 6, 0, 3)).p == pytest.approx(2 / 2**6)


def test_equal_predictions_have_p_one() -> None:
    assert mcnemar(*classified(5, 0, 0, 5)).p == 1
    assert mcnemar(*classified(5, 3, 3, 5)).p == 1


def test_wilsons_interval_is_newcombes() -> None:
    """Newcombe (1998), Stat. Med. 17:857, table I, method 3."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_agreements_are_a_row_a_common_seed_with_predictions(tmp_path: Path) -> None:
    store = Store(tmp_path)
    a, b, targets = classified(80, 15, 3, 2)
    for seed in range(4):
        store.write_classes(f"predictions/a{seed}.npy", a)
        if seed != 2:
            store.write_classes(f"predictions/b{seed}.npy", b)
    store.write_classes("targets/mnist.npy", targets)
    cells = [(arm, seed, f"{arm}{seed}") for arm in "ab" for seed in range(4)]
    rows = pd.DataFrame(cells, columns=["arm", "seed", "cell"]).assign(dataset="mnist", status="ok")
    rows.loc[rows["cell"] == "b3", "status"] = "failed"
    found = compare_predictions(store, rows, "a", "b")
    assert found["seed"].tolist() == [0, 1]
    assert found["difference"].tolist() == pytest.approx([0.12, 0.12])
    assert found["accuracy_a"].tolist() == [0.95, 0.95]
    assert found["p_adjusted"].tolist() == pytest.approx((2 * found["p"]).tolist())


def test_without_predictions_there_is_no_row(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"arm": ["a", "b"], "seed": 0, "cell": ["a0", "b0"], "dataset": "mnist", "status": "ok"}
    )
    assert compare_predictions(Store(tmp_path), rows, "a", "b").empty


def test_wilsons_interval_holds_the_share_to_the_last_digit() -> None:
    """A model whose samples are all of one class has a bar without a negative error."""
    for total in range(1, 300):
        counts = np.array([0, total])
        low, high = wilson_interval(counts, total)
        assert (low <= counts / total).all()
        assert (high >= counts / total).all()
