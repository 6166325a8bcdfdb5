"""From a point of a search's space to a cell."""

import math
from dataclasses import replace
from typing import Any

from harness.errors import InputError
from harness.experiment.cell import Cell, ModelCard, Setting
from harness.experiment.grid import check_setting, match_default_types
from harness.experiment.recipe import Recipe, canonical_recipe
from harness.experiment.search.space import Axis, Point, Space


def place_at(cell: Cell, card: ModelCard, point: Point) -> Cell:
    """The cell with the values of a point in place of its own, in canonical form.

    β is left alone where the cell trains no bound. InputError for a value that cannot be.
    """
    settings = dict(card.defaults) | dict(cell.settings) | _group(point, "settings")
    weights = dict(cell.term_weights) | _group(point, "term_weights")
    values: dict[str, Any] = {
        "settings": match_default_types(card, settings),
        "recipe": canonical_recipe(dict(cell.recipe) | _group(point, "recipe")),
        "term_weights": tuple(sorted((n, float(v)) for n, v in weights.items() if v != 1)),
    }
    if "learning_rate" in point:
        values["learning_rate"] = float(point["learning_rate"])
    if "batch_size" in point:
        values["batch_size"] = point["batch_size"]
    if "beta" in point and cell.has_bound:
        values["beta"] = float(point["beta"])
    return replace(cell, **values)


def check_space(space: Space, card: ModelCard, cell: Cell) -> None:
    """InputError for an axis that the model does not have, and for bounds that cannot be values."""
    for name, axis in space.axes.items():
        group, _, setting = name.rpartition(".")
        values = axis.values
        try:
            _check_kind(name, axis, card)
            if group == "settings":
                check_setting(card, setting, values)
            elif group == "recipe":
                for value in values:
                    canonical_recipe({"optimizer": "sgd", setting: value})
            else:
                _check_numbers(values, name)
            for u in (0.0, 1 - 1e-12):
                place_at(cell, card, {name: axis.draw(u)})
        except InputError as error:
            raise InputError(f"search space, {name}: {error}") from None


def _check_kind(name: str, axis: Axis, card: ModelCard) -> None:
    """InputError for an axis that draws fractions of what has whole values."""
    group, _, key = name.rpartition(".")
    known = {"settings": card.defaults, "recipe": vars(Recipe()), "": {"batch_size": 1}}
    is_whole = type(known.get(group, {}).get(key)) is int
    if is_whole and axis.kind in ("log", "linear"):
        whole_kind = "integer" if axis.kind == "linear" else "log_integer"
        raise InputError(f"has whole values; expected the axis {whole_kind}, got {axis.kind}")


def _check_numbers(values: list[Setting], name: str) -> None:
    """InputError unless the values can be learning rates, batch sizes or weights."""
    allows_zero = name not in ("learning_rate", "batch_size")
    for value in values:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if (
            not is_number
            or not 0 <= float(value) < math.inf
            or (float(value) == 0 and not allows_zero)
        ):
            raise InputError(
                f"expected numbers {'from' if allows_zero else 'above'} 0, got {value}"
            )
        if name == "batch_size" and not isinstance(value, int):
            raise InputError(f"expected whole numbers of images, got {value}")


def _group(point: Point, group: str) -> dict[str, Setting]:
    """The values of one group of axes, by their names in it.

    >>> _group({"settings.z": 3, "beta": 1.0}, "settings")
    {'z': 3}
    """
    prefix = f"{group}."
    return {n.removeprefix(prefix): v for n, v in point.items() if n.startswith(prefix)}
