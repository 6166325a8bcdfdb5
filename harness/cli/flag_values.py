"""The values of flags that are more than a number or a word."""

import argparse
import math
from typing import Any, Literal


def parse_recipe_pair(text: str) -> tuple[str, float | str]:
    """One of the values of --recipe: `clip=1` gives ("clip", 1.0)."""
    key, separator, value = text.partition("=")
    if not (key and separator and value):
        raise argparse.ArgumentTypeError(f"{text}: expected KEY=VALUE")
    try:
        return key, float(value)
    except ValueError:
        return key, value


class CollectPairs(argparse.Action):
    """Stores pairs as a dict with a list of values for each key."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any
    ) -> None:
        """`values` are pairs of a key and a value."""
        by_key: dict[str, list[Any]] = {}
        for key, value in values:
            by_key.setdefault(key, []).append(value)
        setattr(namespace, self.dest, by_key)


def parse_pack(text: str) -> int | Literal["auto"]:
    """The value of --pack."""
    if text == "auto":
        return "auto"
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text}: expected auto or at least 1 cell")


def parse_minutes(text: str) -> float:
    """The value of --patience, minutes."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if minutes > 0:
        return minutes
    raise argparse.ArgumentTypeError(f"{text}: expected a number of minutes above 0")


def parse_port(text: str) -> int:
    """The value of --port."""
    if text.isdecimal() and 0 < int(text) < 2**16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text}: expected a port from 1 to 65535")
