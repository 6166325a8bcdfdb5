"""A cell: one point of a grid, as a frozen value whose id is a hash."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

Supervision = Literal["none", "supervised", "semi-supervised"]
Stage = Literal["", "search", "final"]

Setting = bool | int | float | str

# the training protocol that a grid follows where it says nothing else
DATASET = "mnist"
BATCH_SIZE = 97
LEARNING_RATE = 1e-3

# fields of a cell that version 0.1 did not have; at their defaults they are not part of the id
ADDED_FIELDS = frozenset(
    {"data_version", "validation", "recipe", "term_weights"}
    | {"search", "stage", "study", "trial", "rung", "split"}
)

# keys of a recipe that are common to the cells of a pack; the others are numbers
PACK_RECIPE_KEYS = frozenset({"optimizer", "schedule", "keep", "precision"})


@dataclass(frozen=True)
class ModelCard:
    """What a grid needs to know about a model.

    story: how the model generates an image, in formulas
    iterations: steps of a full training
    supervisions: those that the model supports
    defaults: its settings with their default values
    added_settings: settings that it got after cells had been trained; at its default value such a
        setting is not part of a cell, so the ids of those cells stay valid
    """

    name: str
    story: str
    iterations: int
    supervisions: tuple[Supervision, ...] = ("none",)
    defaults: Mapping[str, Setting] = field(default_factory=dict)
    added_settings: tuple[str, ...] = ()

    @property
    def default_settings(self) -> dict[str, Setting]:
        """The settings of a cell for which a grid says nothing, by name."""
        return {k: v for k, v in sorted(self.defaults.items()) if k not in self.added_settings}


@dataclass(frozen=True)
class Cell:
    """One point of a grid: everything that determines the training, and nothing else.

    label_draw: where the labelled images come from: "none", "seed" (drawn from the cell's own
        seed), "draw-N" (draw N, the same for every seed) or "file-HASH" (the list in a user's file)
    data_version: first digits of the checksum of the data set; empty for one that is pinned by name
    validation: training images that are held out for validation
    recipe: what differs from the default recipe of training, sorted by name (`recipe.Recipe`)
    term_weights: weights of the model's further terms that differ from 1, sorted by name
    search: the hyperparameter search that the cell belongs to, a hash of its method and space
    stage: "search" for a trial of a search, "final" for a winner's training, empty without a search
    study: number of the independent search, from 0
    trial: number of the point in its study, from 0; a winner has the number of its trial
    rung: number of the earlier, shorter trainings of a trial in successive halving
    split: which draw of the validation images; all cells have draw 0 unless a search draws them
        anew in each study

    Those from `data_version` on were added after version 0.1. At their defaults they are not part
    of the id.
    """

    model: str
    seed: int
    iterations: int
    settings: tuple[tuple[str, Setting], ...] = ()
    beta: float = 1.0
    dataset: str = DATASET
    supervision: Supervision = "none"
    labels: int = 0
    label_draw: str = "none"
    batch_size: int = BATCH_SIZE
    learning_rate: float = LEARNING_RATE
    data_version: str = ""
    validation: int = 0
    recipe: tuple[tuple[str, Setting], ...] = ()
    term_weights: tuple[tuple[str, float], ...] = ()
    search: str = ""
    stage: Stage = ""
    study: int = 0
    trial: int = 0
    rung: int = 0
    split: int = 0

    @property
    def pack_key(self) -> "Cell":
        """What cells of one pack have in common.

        It is the cell without seed, β, learning rate, the numbers of the recipe, the values of the
        term weights, and the numbers of its study and trial.
        """
        weights = tuple((name, 1.0) for name, _ in self.term_weights)
        recipe = tuple(pair for pair in self.recipe if pair[0] in PACK_RECIPE_KEYS)
        return replace(
            self,
            seed=0,
            beta=1.0,
            learning_rate=1.0,
            term_weights=weights,
            recipe=recipe,
            study=0,
            trial=0,
        )

    @property
    def state_id(self) -> str:
        """The id under which the training state is saved.

        The rungs of a trial share it: a short training is the start of a longer one.
        """
        return replace(self, iterations=0, rung=0).id if self.stage == "search" else self.id

    @cached_property
    def id(self) -> str:
        """Sixteen hex digits: a hash of the cell's canonical JSON, computed once.

        >>> one = Cell("vae", seed=0, iterations=10)
        >>> one.id == Cell("vae", seed=0, iterations=10, beta=1.0).id
        True
        """
        values = {
            part.name: getattr(self, part.name)
            for part in fields(self)
            if part.name not in ADDED_FIELDS or getattr(self, part.name) != part.default
        }
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def has_bound(self) -> bool:
        """Whether the cell trains a generative model.

        A "supervised" cell trains only a classifier and has no NELBO and no β.
        """
        return self.supervision != "supervised"

    def __str__(self) -> str:
        """A short name: `ssvae supervised labels=100 seed=3`.

        It leaves out settings; `name` can include them.
        """
        return self.name()

    def name(self, settings: Collection[str] = ()) -> str:
        """A short name with the values of these settings."""
        parts = [
            self.model,
            *(f"{name}={value}" for name, value in self.settings if name in settings),
        ]
        if self.beta != 1:
            parts.append(f"β={self.beta:g}")
        if self.supervision != "none":
            parts += [self.supervision, f"labels={self.labels}"]
        if self.dataset != DATASET:
            parts.append(self.dataset)
        if self.validation:
            parts.append(f"validation={self.validation}")
        parts += [f"{name}={value}" for name, value in (*self.recipe, *self.term_weights)]
        if self.stage:
            parts += [self.stage, f"study={self.study}", f"trial={self.trial}"]
        if self.rung:
            parts.append(f"rung={self.rung}")
        return " ".join([*parts, f"seed={self.seed}"])
