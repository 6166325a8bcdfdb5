"""How a cell is trained: optimiser, schedules and what is kept, beside its own learning rate."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from harness.errors import InputError, short_repr, unknown_name_error
from harness.experiment.cell import Setting

Optimizer = Literal["adam", "adamw", "adamax", "rmsprop", "sgd"]
Schedule = Literal["constant", "linear", "cosine"]
Keep = Literal["last", "best"]
Precision = Literal["float32", "tf32", "bf16"]


@dataclass(frozen=True)
class Recipe:
    """The key `recipe` of a sweep; its values can be lists, which are crossed.

    optimizer: torch.optim's, with its defaults besides the following
    momentum: of "sgd" and "rmsprop"
    weight_decay: of the optimiser
    clip: largest norm of a cell's gradient, 0 for no limit
    schedule: of the learning rate, from its full value to zero: constant, linear, cosine
    lr_warmup: steps in which the learning rate rises linearly from 0
    beta_warmup: steps in which β rises linearly from 0
    ema: decay of the average of the weights that is scored, 0 for none
    keep: which weights are scored: the last ones, or the best ones on the validation images
    precision: of the products of layers: "float32", "tf32" on GPUs, "bf16"
    """

    optimizer: str = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip: float = 0.0
    schedule: str = "constant"
    lr_warmup: int = 0
    beta_warmup: int = 0
    ema: float = 0.0
    keep: str = "last"
    precision: str = "float32"

    @property
    def is_default(self) -> bool:
        """Whether it is the protocol's: Adam at a constant learning rate, the last weights."""
        return self == Recipe()

    @property
    def has_default_steps(self) -> bool:
        """Whether each step of the optimiser is that of the default recipe."""
        steps = replace(self, beta_warmup=0, ema=0.0, keep="last", precision="float32")
        return steps.is_default


CHOICES = {
    "optimizer": get_args(Optimizer),
    "schedule": get_args(Schedule),
    "keep": get_args(Keep),
    "precision": get_args(Precision),
}
BELOW_ONE = ("momentum", "ema")
WITH_MOMENTUM = ("sgd", "rmsprop")  # optimisers


def canonical_recipe(values: Mapping[str, Setting]) -> tuple[tuple[str, Setting], ...]:
    """What differs from the default recipe, sorted by name; InputError for an impossible value.

    A momentum is left out where the optimiser has none.

    >>> canonical_recipe({"optimizer": "adamw", "clip": 0, "weight_decay": 1})
    (('optimizer', 'adamw'), ('weight_decay', 1.0))
    """
    defaults = {part.name: part.default for part in fields(Recipe)}
    pairs = []
    for name, value in sorted(values.items()):
        if name not in defaults:
            raise unknown_name_error("key of a recipe", name, defaults)
        checked = _check_value(name, value, type(defaults[name]))
        is_unused = name == "momentum" and values.get("optimizer") not in WITH_MOMENTUM
        if checked != defaults[name] and not is_unused:
            pairs.append((name, checked))
    return tuple(pairs)


def parse_recipe(pairs: Iterable[tuple[str, Setting]]) -> Recipe:
    """The recipe of a cell."""
    return Recipe(**dict(pairs))  # type: ignore[arg-type]


def _check_value(name: str, value: Setting, expected: type) -> Setting:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise unknown_name_error(f"{name} of a recipe", str(value), CHOICES[name])
        return value
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    limit = 1.0 if name in BELOW_ONE else float("inf")
    if not is_number or not 0 <= float(value) < limit:
        bound = " and below 1" if name in BELOW_ONE else ""
        raise InputError(
            f"{name} of a recipe: got {short_repr(value)}; expected a number from 0 on{bound}"
        )
    if expected is int and value != int(value):
        raise InputError(
            f"{name} of a recipe: got {short_repr(value)}; expected a whole number of steps"
        )
    return expected(value)  # type: ignore[no-any-return]
