"""The user's own searcher and scheduler, made from their dotted names. Importing it imports Ray."""

import importlib
from collections.abc import Sequence
from typing import Any

from ray import tune
from ray.tune import schedulers
from ray.tune.search import Searcher

from harness.errors import InputError
from harness.evaluation.scoring import first_line
from harness.experiment.cell import Setting
from harness.experiment.search.space import Axis, Point, Space, round_within
from harness.experiment.search.spec import SearchSpec

# they pause trials or change them on the way, and a trial keeps no state for that
PAUSING = (
    schedulers.HyperBandScheduler,
    schedulers.PopulationBasedTraining,
    schedulers.PopulationBasedTrainingReplay,
    schedulers.ResourceChangingScheduler,
)


def check_names(spec: SearchSpec) -> None:
    """InputError where the searcher or the scheduler of a search cannot be made for its space."""
    make_scheduler(spec)
    make_searcher(spec)


def make_scheduler(spec: SearchSpec) -> Any:
    """The scheduler of a search, None if it names none; InputError if it cannot be made."""
    if spec.scheduler is None:
        return None
    made = _make("scheduler", spec.scheduler, schedulers.TrialScheduler)
    if isinstance(made, PAUSING):
        raise InputError(
            f"search, scheduler {spec.scheduler!r}: pauses trials or changes them on the way; "
            "expected one that only stops them, such as ray.tune.schedulers.ASHAScheduler"
        )
    return made


def make_searcher(spec: SearchSpec, known: Sequence[tuple[Point, float]] = ()) -> Any:
    """The searcher of a study, which knows its space, metric and earlier trials; None if the
    search names none. InputError if it cannot be made.

    known: points of earlier trials, and the values of the metric there
    """
    name = spec.searcher
    if name is None:
        return None
    made = _make("searcher", name, Searcher)
    domains = {axis: make_domain(each) for axis, each in spec.space.axes.items()}
    try:
        takes_space = made.set_search_properties(spec.metric, find_mode(spec), domains)
    except Exception as error:
        raise InputError(
            f"search, searcher {name!r}: does not take the space ({first_line(error)})"
        ) from None
    if not takes_space:
        raise InputError(
            f"search, searcher {name!r}: takes no space; expected one without a space of its own"
        )
    _tell_known(made, known)
    return made


def find_mode(spec: SearchSpec) -> str:
    """Ray Tune's word for what the metric of a search is to be."""
    return "max" if spec.metric == "validation_accuracy" else "min"


def _tell_known(searcher: Any, known: Sequence[tuple[Point, float]]) -> None:
    """Report the earlier trials to a searcher that can take them."""
    try:
        for point, value in known:
            searcher.add_evaluated_point(dict(point), value)
    except NotImplementedError:
        return


def make_domain(axis: Axis) -> Any:
    """Ray Tune's domain of an axis; its integers leave out the upper bound."""
    if axis.kind == "choices":
        return tune.choice(list(axis.values))
    low, high = axis.bounds
    if axis.kind == "integer":
        return tune.randint(int(low), int(high) + 1)
    if axis.kind == "log_integer":
        return tune.lograndint(int(low), int(high) + 1)
    return (tune.loguniform if axis.kind == "log" else tune.uniform)(low, high)


def read_point(space: Space, suggested: dict[str, Any]) -> dict[str, Setting]:
    """The point that a searcher suggests, with plain numbers of four digits."""
    if suggested.keys() != space.axes.keys():
        found = ", ".join(map(str, suggested)) or "nothing"
        raise InputError(f"suggests {found}; expected {', '.join(space.axes)}")
    return {name: _read_value(axis, suggested[name]) for name, axis in space.axes.items()}


def _read_value(axis: Axis, value: Any) -> Setting:
    """A suggested value; searchers may give NumPy's numbers."""
    plain: Setting = value.item() if hasattr(value, "item") else value
    if axis.kind == "choices":
        return plain
    low, high = axis.bounds
    if "integer" in axis.kind:
        return min(max(int(plain), int(low)), int(high))
    return round_within(float(plain), low, high)


def _make(key: str, name: str, kind: type) -> Any:
    """An object of a kind from the dotted name of a class or function that takes no arguments."""
    module, _, attribute = name.rpartition(".")
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(
            f"search, {key} {name!r} cannot be imported and made ({reason}); expected a class of "
            "Ray Tune, or a function that makes one, that needs no arguments"
        ) from None
    if not isinstance(made, kind):
        raise InputError(
            f"search, {key} {name!r}: expected a {kind.__name__} of Ray Tune, got a "
            f"{type(made).__name__}"
        )
    return made
