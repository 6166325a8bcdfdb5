"""A cell: one point of a grid, as a frozen value whose id is a hash."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Literal

Supervision = Literal["none", "supervised", "semi-supervised"]

Setting = bool | int | float | str

# the training protocol that a grid follows where it says nothing else
DATASET = "mnist"
BATCH_SIZE = 97
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class ModelCard:
    """What a grid needs to know about a model.

    story: how the model generates an image, in formulas
    iterations: steps of a full training
    supervisions: those that the model supports
    defaults: its settings with their default values
    """

    name: str
    story: str
    iterations: int
    supervisions: tuple[Supervision, ...] = ("none",)
    defaults: Mapping[str, Setting] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One point of a grid: everything that determines the training, and nothing else.

    label_draw: where the labelled images come from: "none", "seed" (drawn from the cell's own
        seed), "draw-N" (draw N, the same for every seed) or "file-HASH" (the list in a user's file)
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

    @property
    def pack_key(self) -> "Cell":
        """What cells of one pack have in common: the cell without seed, β and learning rate."""
        return replace(self, seed=0, beta=1.0, learning_rate=1.0)

    @cached_property
    def id(self) -> str:
        """Sixteen hex digits: a hash of the cell's canonical JSON, computed once.

        >>> one = Cell("vae", seed=0, iterations=10)
        >>> one.id == Cell("vae", seed=0, iterations=10, beta=1.0).id
        True
        """
        values = {part.name: getattr(self, part.name) for part in fields(self)}
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
        return " ".join([*parts, f"seed={self.seed}"])
