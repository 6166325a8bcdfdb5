"""Metrics besides those of every cell: which of them a run requests, and what they may give.

Those of plug-ins are requested by loading the plug-in, optional ones by name.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from harness.errors import InputError, unknown_name_error
from harness.experiment.cell import Cell
from harness.experiment.evaluation import MetricRequest
from harness.experiment.metrics import count_draws
from harness.experiment.own_columns import (
    NAME_FORM,
    OwnColumn,
    format_descriptions,
    is_own_name,
    parse_descriptions,
)
from harness.plugins import registry
from harness.plugins.metric import Metric, list_metrics, registered_metrics
from harness.storage import schema

MAX_NUMBER = 1e12  # the analysis refuses larger ones


def request_metrics(names: Collection[str], models: Iterable[str]) -> tuple[MetricRequest, ...]:
    """The metrics that cells of these models are scored for, besides those of every cell.

    names: optional metrics, or columns of them. InputError for an unknown name, and for a metric
    whose columns cannot be in the table.
    """
    _refuse_shared_columns(list_metrics())
    further = [metric for metric in list_metrics() if metric.is_further]
    optional = {name for metric in further for name in (metric.name, *metric.columns)}
    for name in names:
        if name not in optional:
            raise unknown_name_error("optional metric", name, optional)
    requested = [
        metric
        for metric in further
        if metric.columns
        and (not metric.optional or not {metric.name, *metric.columns}.isdisjoint(names))
    ]
    return tuple(_make_request(metric, sorted(set(models))) for metric in requested)


def check_metrics(requests: Iterable[MetricRequest], cells: Collection[Cell]) -> None:
    """InputError where a metric that some of the cells are scored for cannot be computed here."""
    for request in requests:
        if any(request.covers(cell) for cell in cells):
            try:
                registered_metrics[request.metric].check()
            except InputError:
                raise
            except Exception as error:  # of a plug-in
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                raise InputError(f"metric '{request.metric}' cannot be checked: {reason}") from None


def _refuse_shared_columns(metrics: Iterable[Metric]) -> None:
    """Refuse two metrics that fill one column of their own."""
    owners: dict[str, str] = {}
    for metric in metrics:
        for column in metric.columns - set(schema.COLUMN_NAMES):
            owner = owners.setdefault(column, metric.name)
            if owner != metric.name:
                raise InputError(
                    f"metrics '{owner}' and '{metric.name}' both fill the column {column}; "
                    "expected another name"
                )


def list_optional_columns() -> list[str]:
    """The columns that are filled only where a grid asks for them or for their metric."""
    return sorted(name for metric in list_metrics() if metric.optional for name in metric.columns)


def list_own_columns() -> set[str]:
    """The columns that the registered metrics bring along; those of a family are not listed."""
    return {
        name
        for metric in list_metrics()
        for name in metric.columns
        if name not in schema.COLUMN_NAMES
    }


def _make_request(metric: Metric, models: Iterable[str]) -> MetricRequest:
    for column in metric.columns - set(schema.COLUMN_NAMES):
        described = metric.describe(column)
        if not is_own_name(column) or count_draws(column) is not None:
            raise InputError(
                f"metric '{metric.name}' fills a column {column!r}; expected {NAME_FORM}, and no "
                "name that the analysis or an IWAE bound uses"
            )
        if described is None or not described.meaning:
            raise InputError(
                f"metric '{metric.name}' does not say what {column} means; expected meaning=..., "
                "or a docstring"
            )
    fitting = tuple(name for name in models if _offers_needs(name, metric))
    return MetricRequest(metric.name, tuple(sorted(metric.columns)), fitting, metric.needs_bound)


def _offers_needs(model: str, metric: Metric) -> bool:
    """Whether a model offers what a metric needs, as far as its class tells."""
    try:
        return all(issubclass(registry.lookup(model), need) for need in metric.needs)
    except TypeError:  # a protocol with attributes: each model is looked at when it is scored
        return True


def check_values(metric: Metric, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a metric gave, with numbers of its own columns as floats.

    ValueError for a column that it does not fill, and for a value that the table cannot hold.
    """
    strange = sorted(name for name in values if metric.describe(name) is None)
    if strange:
        raise ValueError(
            f"it gave {strange[0]!r}; expected {', '.join(sorted(metric.columns))} alone"
        )
    if metric.is_further:
        known = {name: values[name] for name in values if name in schema.COLUMN_NAMES}
        schema.make_row({**known, "cell": ""})  # refuses what no row can hold
    own = {
        name: None if value is None else _check_number(name, value)
        for name, value in values.items()
        if name not in schema.COLUMN_NAMES
    }
    return {**values, **own}


def _check_number(name: str, value: Any) -> float:
    number = float(value)
    if not math.isfinite(number) or abs(number) >= MAX_NUMBER:
        raise ValueError(
            f"{name} is {number}; expected a number below {MAX_NUMBER:g}, or None where it is not "
            "defined"
        )
    return number


def describe_values(
    text: str | None, metrics: Iterable[Metric], values: Iterable[str]
) -> str | None:
    """A row's column `own_columns`: what `text` describes, and these columns of the metrics."""
    described: dict[str, OwnColumn] = parse_descriptions(text)
    names = sorted(set(values) - set(schema.COLUMN_NAMES))
    for metric in metrics:
        given = {name: metric.describe(name) for name in names}
        described |= {name: column for name, column in given.items() if column is not None}
    return format_descriptions(described)
