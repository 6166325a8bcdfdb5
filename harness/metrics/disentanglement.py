"""The metrics `mig`, `sap` and `dci_*`: whether single latent dimensions encode single factors.

They need data with known factors of variation (`DataSpec.factors`) and a model with `encode`. The
codes are the means of q(z|x) of the test images.
"""

from typing import Any

import numpy as np

from harness.evaluation.inputs import MetricInputs
from harness.metrics.latents import encode_means
from harness.plugins.metric import register_metric
from harness.plugins.model import Encoding

BINS = 20  # of a code, as in Locatello et al. 2019
TREES = 50  # of a random forest


@register_metric(
    "mig",
    unit="",
    better="higher",
    meaning="mutual information gap of the two codes that know most of a factor, mean over factors",
    needs=(Encoding,),
    optional=True,
)
def score_mig(inputs: MetricInputs) -> float:
    """Column mig, a fraction."""
    return mutual_information_gap(*_codes_and_factors(inputs))


@register_metric(
    "sap",
    unit="",
    better="higher",
    meaning="gap of the two codes that predict a factor best, in R², mean over factors",
    needs=(Encoding,),
    optional=True,
)
def score_sap(inputs: MetricInputs) -> float:
    """Column sap, a fraction."""
    return separated_predictability(*_codes_and_factors(inputs))


@register_metric(
    "dci",
    unit="",
    better="higher",
    columns={
        "dci_disentanglement": "whether each code serves one factor, by a random forest",
        "dci_completeness": "whether one code serves each factor, by a random forest",
    },
    needs=(Encoding,),
    optional=True,
)
def score_dci(inputs: MetricInputs) -> dict[str, float]:
    """Columns dci_disentanglement and dci_completeness, fractions."""
    importance = forest_importance(*_codes_and_factors(inputs))
    disentanglement, completeness = disentanglement_and_completeness(importance)
    return {"dci_disentanglement": disentanglement, "dci_completeness": completeness}


def _codes_and_factors(inputs: MetricInputs) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n, latent) and factors (n, factors) of the test images."""
    data = inputs.shared.data
    if data.test_factors is None:
        raise ValueError(f"data set '{data.name}' has no known factors; expected some")
    codes = encode_means(inputs, inputs.test_images)
    return codes.cpu().numpy(), data.test_factors.cpu().numpy()


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray) -> float:
    """MIG of codes (n, latent) and discrete factors (n, factors).

    Source: Chen et al. 2018, Isolating Sources of Disentanglement, eq. 6, with codes in bins of
    equal width as in Locatello et al. 2019.
    """
    values = [np.unique(factor, return_inverse=True)[1] for factor in factors.T]
    binned = [_bin(code) for code in codes.T]
    gaps = []
    for value in values:
        shared = sorted((_mutual_information(code, value) for code in binned), reverse=True)
        second = shared[1] if len(shared) > 1 else 0.0
        gaps.append((shared[0] - second) / _entropy(np.bincount(value)))
    return float(np.mean(gaps))


def separated_predictability(codes: np.ndarray, factors: np.ndarray) -> float:
    """SAP of codes (n, latent) and factors (n, factors), each regressed on one code.

    Source: Kumar et al. 2018, Variational Inference of Disentangled Latent Concepts, section 3.
    Factors are taken as numbers, classes by their index too.
    """
    centred = [part - part.mean(0) for part in (codes, factors.astype(float))]
    covariance = centred[0].T @ centred[1]
    variances = np.outer((centred[0] ** 2).sum(0), (centred[1] ** 2).sum(0))
    r2 = np.divide(covariance**2, variances, out=np.zeros_like(covariance), where=variances > 0)
    ordered = np.sort(r2, 0)[::-1]
    second = ordered[1] if len(ordered) > 1 else 0.0
    return float(np.mean(ordered[0] - second))


def forest_importance(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """How much each code serves a random forest that predicts a factor: (latent, factors)."""
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ModuleNotFoundError:
        raise ValueError("needs scikit-learn: pip install scikit-learn") from None
    importances = []
    for factor in factors.T:
        forest = RandomForestClassifier(n_estimators=TREES, random_state=0)
        forest.fit(codes, np.unique(factor, return_inverse=True)[1])
        importances.append(forest.feature_importances_)
    return np.stack(importances, 1)


def disentanglement_and_completeness(importance: np.ndarray) -> tuple[float, float]:
    """D and C of importances (latent, factors), both from 0 to 1.

    Source: Eastwood and Williams 2018, A Framework for the Quantitative Evaluation of Disentangled
    Representations, section 2.
    """
    total = importance.sum()
    by_code, by_factor = importance.sum(1), importance.sum(0)
    single = np.array([1 - _relative_entropy(row) for row in importance])
    complete = np.array([1 - _relative_entropy(column) for column in importance.T])
    return float((single * by_code).sum() / total), float((complete * by_factor).sum() / total)


def _relative_entropy(weights: np.ndarray) -> float:
    """The entropy of weights (n,), divided by log n; 1 if all are 0."""
    if weights.sum() == 0 or len(weights) < 2:
        return 1.0 if weights.sum() == 0 else 0.0
    return _entropy(weights) / float(np.log(len(weights)))


def _bin(code: np.ndarray) -> np.ndarray:
    edges = np.linspace(code.min(), code.max(), BINS + 1)[1:-1]
    places: np.ndarray = np.digitize(code, edges)
    return places


def _mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """I(a; b) of integers from 0, in nats."""
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    return _entropy(table.sum(1)) + _entropy(table.sum(0)) - _entropy(table.ravel())


def _entropy(counts: Any) -> float:
    """The entropy of counts or weights, in nats."""
    shares = np.asarray(counts, dtype=float) / np.sum(counts)
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())
