"""Reads YAML of users within limits: a few lines of aliases can stand for billions of values."""

import re
from typing import Any

import yaml

MAX_CHARACTERS = 1_000_000
MAX_VALUES = 100_000


class YamlLoader(yaml.SafeLoader):
    """PyYAML's loader; it reads 1e-3 as a number, as YAML 1.2 does and PyYAML does not."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge `<<: *other` like PyYAML; YAMLError if the result is too large."""
        super().flatten_mapping(node)
        if len(node.value) > MAX_VALUES:
            raise yaml.YAMLError(f"merged mappings of more than {MAX_VALUES:,} keys")


YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), [*"-+0123456789"]
)


def parse_yaml(content: bytes, loader: type[yaml.SafeLoader] = YamlLoader) -> Any:
    """The values in YAML bytes (UTF-8).

    ValueError says in one line what is wrong. The limits are a million characters and, with aliases
    written out, 100,000 values.
    """
    if len(content) > MAX_CHARACTERS:
        raise ValueError(f"{len(content):,} bytes; expected at most {MAX_CHARACTERS:,}")
    try:
        values = yaml.load(content.decode(), loader)
    except RecursionError:
        raise ValueError("lists or mappings nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    _check_value_count(values)
    return values


def _check_value_count(values: Any) -> None:
    """Refuse too many values, as in nested lists of aliases, and values that contain themselves."""
    pending, n_values = [values], 0
    while pending:
        value = pending.pop()
        n_values += 1
        if n_values > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES:,} values, those of aliases included")
        if isinstance(value, dict):
            pending += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple, set)):
            pending += value
