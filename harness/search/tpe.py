"""Points that Optuna's tree-structured Parzen estimator proposes (Bergstra et al., 2011).

Optuna keeps nothing between two calls: its study is built again from the rows, and its sampler is
seeded by the study and the number of trials before. So a resumed search proposes the same points.
"""

import warnings
from collections.abc import Sequence
from typing import Any

from harness.errors import InputError
from harness.experiment.cell import Setting
from harness.experiment.search.space import Axis, Point, Space, round_within

STARTUP_TRIALS = 10  # drawn as in random search, before there is anything to estimate from
SEEDS_PER_STUDY = 1_000_000  # of Optuna's sampler


def propose(
    space: Space, study: int, points: Sequence[Point], values: Sequence[float | None], count: int
) -> list[dict[str, Setting]]:
    """The next `count` points of a study.

    points, values: the trials before, in their order, and what they minimise; None where a trial
        has no value

    InputError if Optuna is not installed.
    """
    drawn = [space.draw(study, trial) for trial in range(len(points), len(points) + count)]
    if len(points) < STARTUP_TRIALS:
        return drawn
    optuna = _import_optuna()
    with warnings.catch_warnings(action="ignore"):  # constant_liar is experimental in Optuna
        sampler = optuna.samplers.TPESampler(
            seed=SEEDS_PER_STUDY * study + len(points), constant_liar=True, n_startup_trials=1
        )
    distributions = {name: _make_distribution(optuna, axis) for name, axis in space.axes.items()}
    optimization = optuna.create_study(sampler=sampler)
    for point, value in zip(points, values, strict=True):
        states = optuna.trial.TrialState
        optimization.add_trial(
            optuna.trial.create_trial(
                params=dict(point),
                distributions=distributions,
                value=value,
                state=states.FAIL if value is None else states.COMPLETE,
            )
        )
    drawn = [optimization.ask(distributions).params for _ in range(count)]
    return [
        {name: _round(axis, params[name]) for name, axis in space.axes.items()} for params in drawn
    ]


def _import_optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError(
            "search method tpe needs Optuna, which is not installed; expected pip install optuna"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _make_distribution(optuna: Any, axis: Axis) -> Any:
    """Optuna's distribution of an axis."""
    if axis.kind == "choices":
        return optuna.distributions.CategoricalDistribution(axis.values)
    low, high = axis.bounds
    if "integer" in axis.kind:
        return optuna.distributions.IntDistribution(low, high, log=axis.kind == "log_integer")
    return optuna.distributions.FloatDistribution(low, high, log=axis.kind == "log")


def _round(axis: Axis, value: Setting) -> Setting:
    return round_within(value, *axis.bounds) if isinstance(value, float) else value
