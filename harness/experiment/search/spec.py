"""The key `search` of a grid: how many points are tried, where, and what chooses the winner."""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.experiment.search.space import Space

MAX_TRIALS = 100_000
SEEDS_PER_STUDY = 10_000  # study s trains with seeds from s times this on
SEARCH_SEED = SEEDS_PER_STUDY - 1  # the one of them that all trials of the study share

Method = Literal["random", "halving", "tpe", "tune"]
TrialCount = Annotated[int, Field(gt=0, le=MAX_TRIALS)]
# of a class, or of a function that makes one: package.module.Name
DottedName = Annotated[str, Field(pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$")]


class SearchSpec(BaseModel):
    """A hyperparameter search of each configuration of a grid.

    trials: points that a study tries
    studies: independent searches, the unit of "A beats B when tuned"
    method: how points are chosen. "random" draws them; "halving" draws them, trains them shortly
        and goes on with the best; "tpe" asks Optuna's tree-structured Parzen estimator; "tune"
        leaves it to a searcher and a scheduler of Ray Tune
    metric: of validation images, chooses the winner
    space: axes that every sweep has; a sweep may have a `space` of its own besides
    eta, rungs: of "halving": a rung keeps one of `eta` trials, for `eta` times the steps
    batch: of "tpe": points that are requested at once
    searcher, scheduler: of "tune", one of them at least: what proposes points, by default the
        draws of "random", and what ends trials early, by default nothing
    split: "shared" gives all studies the same validation images; with "study" each study holds out
        a draw of its own, so that a verdict on models does not rest on one choice of them
    budget: "equal" refuses arms of different trials or lengths; "free" lets them be, and every
        sentence says so
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    trials: TrialCount
    studies: TrialCount = 1
    method: Method = "random"
    metric: Literal["validation_nelbo", "validation_accuracy"] = "validation_nelbo"
    space: Space = Space()
    eta: Annotated[int, Field(gt=1, le=100)] = 3
    rungs: Annotated[int, Field(gt=1, le=20)] = 3
    batch: TrialCount = 4
    searcher: DottedName | None = None
    scheduler: DottedName | None = None
    split: Literal["shared", "study"] = "shared"
    budget: Literal["equal", "free"] = "equal"

    @model_validator(mode="after")
    def _check_method(self) -> "SearchSpec":
        owners = {"eta": "halving", "rungs": "halving", "batch": "tpe"}
        owners |= {"searcher": "tune", "scheduler": "tune"}
        for key in sorted(owners):
            is_default = getattr(self, key) == type(self).model_fields[key].default
            if self.method != owners[key] and not is_default:
                raise ValueError(f"{key}: a key of method {owners[key]}, got method {self.method}")
        if self.method == "tune" and not (self.searcher or self.scheduler):
            raise ValueError("method tune: expected a searcher, a scheduler or both")
        return self

    def identify(self, iterations: int) -> str:
        """Eight hex digits: a hash of what decides which point is which.

        iterations: of a full training

        More trials or studies of the same search extend it. Where trials depend on their number,
        as in halving, the number is part of the search. So is the full length where a scheduler may
        end trials at any step.
        """
        of_method: dict[str, dict[str, Any]] = {
            "random": {},
            "halving": {"eta": self.eta, "rungs": self.rungs, "trials": self.trials},
            "tpe": {"batch": self.batch},
            "tune": {
                "searcher": self.searcher,
                "scheduler": self.scheduler,
                "iterations": iterations,
            },
        }
        values = {
            "method": self.method,
            "metric": self.metric,
            "space": self.space.model_dump(exclude_defaults=True),
            **of_method[self.method],
            **({} if self.split == "shared" else {"split": self.split}),
        }
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    def describe(self) -> str:
        """The column `search_spec` of a row: JSON that says what the analysis needs to know.

        Of a searcher or scheduler of Ray Tune it says `descriptive`: no verdict rests on it.
        """
        values: dict[str, Any] = {
            "method": self.method,
            "metric": self.metric,
            "trials": self.trials,
            "axes": {name: {axis.kind: axis.values} for name, axis in self.space.axes.items()},
            "split": self.split,
            "budget": self.budget,
        }
        if self.method == "tune":
            named = {"searcher": self.searcher, "scheduler": self.scheduler}
            values |= {"descriptive": True, **named}
        return json.dumps(values, sort_keys=True)
