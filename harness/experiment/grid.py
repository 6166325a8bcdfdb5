"""A grid: sweeps over settings of models, times the seeds.

Nothing here imports torch or ray. A `ModelCard` describes each model, so a grid is expanded and
checked without building one.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from harness.errors import InputError, short_repr, unknown_name_error
from harness.experiment.cell import (
    BATCH_SIZE,
    DATASET,
    LEARNING_RATE,
    Cell,
    ModelCard,
    Setting,
    Supervision,
)
from harness.experiment.metrics import METRICS, check_margin, count_draws
from harness.experiment.own_columns import is_own_name
from harness.experiment.recipe import canonical_recipe
from harness.experiment.search.space import Space
from harness.experiment.search.spec import SEARCH_SEED, SearchSpec, TrialCount

# the data sets of version 0.1; what is registered besides has a version in the ids of its cells
DATASETS = ("mnist", "fashion_mnist", "kmnist", "emnist")
PINNED_VERSIONS = dict.fromkeys(DATASETS, "")
DEFAULT_SAMPLES = 10_000  # samples from the prior in which digits are counted
MIN_SAMPLES = 200  # those of a picture
MAX_CELLS = 1_000_000  # of a grid


def _to_list(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else [value]


def _expand_seeds(value: object) -> object:
    """`seeds: 3` means seeds 0, 1, 2; a list is taken as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ValueError(f"expected a number of seeds of at least 1, got {short_repr(value)}")
        if value > MAX_CELLS:
            raise ValueError(f"expected at most {MAX_CELLS:,} seeds, got {short_repr(value)}")
        return list(range(value))
    return value


STRICT_CONFIG = ConfigDict(extra="forbid", frozen=True, strict=True)
Count = Annotated[int, Field(gt=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
LabelDraw = Annotated[str, Field(pattern=r"^(seed|subset|draw-\d+)$")]
Names = Annotated[list[str], BeforeValidator(_to_list), Field(min_length=1)]
Counts = Annotated[list[Count], BeforeValidator(_to_list), Field(min_length=1)]
Positives = Annotated[list[Positive], BeforeValidator(_to_list), Field(min_length=1)]
Supervisions = Annotated[list[Supervision], BeforeValidator(_to_list), Field(min_length=1)]
Sizes = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**63)]], BeforeValidator(_to_list), Field(min_length=1)
]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
NotNegatives = Annotated[list[NotNegative], BeforeValidator(_to_list), Field(min_length=1)]
Weights = dict[str, NotNegatives]
Settings = dict[str, Annotated[list[Setting], BeforeValidator(_to_list), Field(min_length=1)]]


@dataclass(frozen=True)
class ListedDraw:
    """Labelled images that a file lists: how many, and a hash of the list."""

    labels: int
    checksum: str


class Sweep(BaseModel):
    """Settings of one model; all lists are crossed with each other.

    Missing settings take the model's defaults. `space` and `trials` change the grid's `search` for
    this sweep.
    """

    model_config = STRICT_CONFIG
    model: str
    beta: NotNegatives = [1.0]
    dataset: Names = [DATASET]
    supervision: Supervisions | None = None
    labels: Counts = [100]
    iterations: Counts | None = None
    batch_size: Counts = [BATCH_SIZE]
    learning_rate: Positives = [LEARNING_RATE]
    validation: Sizes = [0]
    recipe: Settings = {}
    term_weights: Weights = {}
    settings: Settings = {}
    space: Space = Space()
    trials: TrialCount | None = None

    def cells(self, card: ModelCard, seeds: list[int], label_draw: str) -> Iterator[Cell]:
        """All points of the sweep in canonical form.

        A setting that a model does not have, such as labels without supervision, is not crossed.
        """
        self._check(card, seeds)
        axes = self._axes(card, seeds)
        for values in product(*axes.values()):
            yield _make_cell(card, dict(zip(axes, values, strict=True)), label_draw)

    def _check(self, card: ModelCard, seeds: Sized) -> None:
        """Refuse settings and supervisions that the model does not have, and too many cells."""
        for name, values in self.settings.items():
            check_setting(card, name, values)
        if "best" in self.recipe.get("keep", ()) and 0 in self.validation:
            raise InputError(
                "keep: best chooses on validation images; expected validation above 0 in every "
                f"sweep with it, as in that of model '{self.model}'"
            )
        for supervision in self.supervision or ():
            if supervision not in card.supervisions:
                raise InputError(
                    f"model '{card.name}' has no supervision '{supervision}'; "
                    f"expected one of: {', '.join(card.supervisions)}"
                )
        lists: tuple[Sized, ...] = (
            self.supervision or card.supervisions[:1],
            self.beta,
            self.dataset,
            self.labels,
            self.iterations or [card.iterations],
            self.batch_size,
            self.learning_rate,
            self.validation,
            *self.recipe.values(),
            *self.term_weights.values(),
            *self.settings.values(),
            seeds,
        )
        cells = math.prod(map(len, lists))
        if cells > MAX_CELLS:
            raise InputError(
                f"the sweep of model '{self.model}' has {cells:,} cells; expected at most "
                f"{MAX_CELLS:,}"
            )

    def _axes(self, card: ModelCard, seeds: list[int]) -> dict[str, Sequence[Any]]:
        """The values of each field of a cell; the last field varies fastest."""
        settings: Settings = {name: [value] for name, value in card.defaults.items()}
        settings |= self.settings
        return {
            "supervision": self.supervision or card.supervisions[:1],
            "beta": self.beta,
            "dataset": self.dataset,
            "labels": self.labels,
            "iterations": self.iterations or [card.iterations],
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "validation": self.validation,
            "recipe": [canonical_recipe(values) for values in _cross(self.recipe)],
            "term_weights": [
                tuple(sorted((name, float(value)) for name, value in values.items() if value != 1))
                for values in _cross(self.term_weights)
            ],
            "settings": [match_default_types(card, values) for values in _cross(settings)],
            "seed": seeds,
        }


def _cross(axes: Mapping[str, Sequence[Setting]]) -> Iterator[dict[str, Setting]]:
    """All combinations of the values of named axes; the last axis varies fastest."""
    for values in product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _make_cell(card: ModelCard, point: dict[str, Any], label_draw: str) -> Cell:
    """The cell of a point of a sweep: β only with a bound, labels only with a supervision."""
    supervision = point["supervision"]
    labelled = supervision != "none"
    point |= {
        "beta": 1.0 if supervision == "supervised" else float(point["beta"]),
        "learning_rate": float(point["learning_rate"]),
        "labels": point["labels"] if labelled else 0,
        "label_draw": label_draw if labelled else "none",
    }
    return Cell(card.name, **point)


def match_default_types(
    card: ModelCard, settings: Mapping[str, Setting]
) -> tuple[tuple[str, Setting], ...]:
    """Settings sorted by name; an integer becomes a float where the default is one.

    An added setting at its default is left out.
    """
    return tuple(
        (name, float(value) if isinstance(card.defaults[name], float) else value)
        for name, value in sorted(settings.items())
        if name not in card.added_settings or value != card.defaults[name]
    )


def check_setting(card: ModelCard, name: str, values: Sequence[Setting]) -> None:
    """InputError for a setting or a value that the model does not have."""
    if name not in card.defaults:
        raise unknown_name_error(f"setting of model '{card.name}'", name, card.defaults)
    expected = type(card.defaults[name])
    for value in values:
        if type(value) is not expected and not (expected is float and type(value) is int):
            raise InputError(
                f"setting '{name}' of model '{card.name}': expected {expected.__name__}, got "
                f"{short_repr(value)}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(
                f"setting '{name}' of model '{card.name}': expected a finite number, got {value!r}"
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise InputError(
                f"setting '{name}' of model '{card.name}': expected 64 bits at most, got "
                f"{short_repr(value)}"
            )


class ComparisonSpec(BaseModel):
    """The comparisons that the analysis makes, declared before the results are known.

    There is one family of comparisons for each metric: every pair of arms, or every arm against the
        one whose columns have the values of `baseline`. Two arms whose difference is below the
        margin are equivalent; it is in the unit of the metric in the table (nats, fractions).

    A metric with a column of its own must be among `context["metrics"]` of the validation. The
    value None there accepts any such name, for tables that were written elsewhere.
    """

    model_config = STRICT_CONFIG
    metrics: Annotated[list[str], Field(min_length=1)] = ["nelbo", "accuracy"]
    baseline: dict[str, Setting] = {}
    correction: Literal["holm", "bh"] = "holm"
    margin: dict[str, Positive] = {}
    unit: Literal["seed", "study"] = "seed"

    @field_validator("metrics", "margin")
    @classmethod
    def _check_metric_names(cls, names: Iterable[str], info: ValidationInfo) -> Iterable[str]:
        own = (info.context or {"metrics": ()})["metrics"]
        for name in names:
            known = name in METRICS or count_draws(name) is not None
            if not known and not (is_own_name(name) if own is None else name in own):
                raise ValueError(str(unknown_name_error("metric", name, {*METRICS, *(own or ())})))
        return names


class Grid(BaseModel):
    """Sweeps, times the seeds.

    looks: numbers of seeds (of studies, where these are the unit) at which comparisons are made;
        an arm whose comparisons are settled gets no more. `seeds: {looks: [5, 10], stop: [better]}`
        sets them, and so does the key `studies` of a search
    stop: which verdicts settle a comparison
    search: a search of each configuration; without one a grid's cells are known from the start

    >>> sweeps = [{"model": "vae", "beta": [1, 4]}, {"model": "gmvae"}]
    >>> grid = Grid(name="demo", seeds=3, sweeps=sweeps)
    >>> len(grid.cells({name: ModelCard(name, "", 20_000) for name in ("vae", "gmvae")}))
    9
    """

    model_config = STRICT_CONFIG
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    title: str = ""
    seeds: Annotated[list[Seed], BeforeValidator(_expand_seeds), Field(min_length=1)]
    looks: list[Count] | None = None
    stop: Annotated[list[Literal["better", "equivalent"]], Field(min_length=1)] = ["better"]
    search: SearchSpec | None = None
    label_draw: LabelDraw = "seed"
    subset: str | None = None
    iwae: list[Count] = []
    iwae_on: list[Literal["test", "subset"]] | None = None
    samples: Annotated[int, Field(ge=MIN_SAMPLES)] = DEFAULT_SAMPLES
    metrics: list[str] = []
    compare: ComparisonSpec = ComparisonSpec()
    sweeps: Annotated[list[Sweep], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _read_looks(cls, keys: Any) -> Any:
        """Take `looks` and `stop` out of the keys that they are written in."""
        return _move_looks(dict(keys)) if isinstance(keys, Mapping) else keys

    @model_validator(mode="after")
    def _check_stages(self) -> "Grid":
        if self.looks is not None:
            _check_looks(self.looks, self.unit_name, self.n_units)
            if "equivalent" in self.stop and not self.compare.margin:
                raise ValueError("stop: equivalent needs a margin (compare: {margin: ...})")
            if self.compare.correction != "holm":
                raise ValueError(
                    "compare.correction: the steps at a look are Holm's; expected holm, got "
                    f"{self.compare.correction}"
                )
        if self.search is None:
            if self.compare.unit == "study":
                raise ValueError("compare.unit study: expected a search, whose studies it counts")
            return self
        if max(self.seeds) >= SEARCH_SEED:
            raise ValueError(
                f"seeds: expected seeds below {SEARCH_SEED:,} with a search, got {max(self.seeds)}"
            )
        if any(0 in sweep.validation for sweep in self.sweeps):
            raise ValueError(
                "search: chooses on validation images; expected validation above 0 in every sweep"
            )
        return self

    @property
    def unit_name(self) -> str:
        """What comparisons count: "seeds" or "studies"."""
        return "studies" if self.compare.unit == "study" else "seeds"

    @property
    def n_units(self) -> int:
        """How many seeds, or studies where these are compared, there are at most."""
        if self.compare.unit == "study" and self.search is not None:
            return self.search.studies
        return len(self.seeds)

    @field_validator("compare")
    @classmethod
    def _check_margins(cls, compare: ComparisonSpec) -> ComparisonSpec:
        for metric, margin in compare.margin.items():
            try:
                check_margin(metric, margin)
            except InputError as error:
                raise ValueError(str(error)) from None
        return compare

    @property
    def datasets(self) -> list[str]:
        """The names of all data sets, each once."""
        return list(dict.fromkeys(name for sweep in self.sweeps for name in sweep.dataset))

    def cells(
        self,
        cards: Mapping[str, ModelCard],
        listed_draw: ListedDraw | None = None,
        data_versions: Mapping[str, str] = PINNED_VERSIONS,
    ) -> list[Cell]:
        """The distinct cells in the order of the sweeps.

        listed_draw: the labelled images for `label_draw: subset`
        data_versions: `Cell.data_version` of each known data set
        """
        if self.label_draw == "subset" and listed_draw is None:
            raise InputError(
                "label_draw 'subset' needs a file with labelled images: give it (--subset FILE)"
            )
        cells: dict[Cell, None] = {}
        for sweep in self.sweeps:
            cells |= dict.fromkeys(
                self.cells_of(sweep, cards, self.seeds, listed_draw, data_versions)
            )
        return list(cells)

    def cells_of(
        self,
        sweep: Sweep,
        cards: Mapping[str, ModelCard],
        seeds: list[int],
        listed_draw: ListedDraw | None = None,
        data_versions: Mapping[str, str] = PINNED_VERSIONS,
    ) -> Iterator[Cell]:
        """The cells of one sweep for these seeds."""
        if sweep.model not in cards:
            raise unknown_name_error("model", sweep.model, cards)
        for dataset in sweep.dataset:
            if dataset not in data_versions:
                raise unknown_name_error("dataset", dataset, data_versions)
        for cell in sweep.cells(cards[sweep.model], seeds, self.label_draw):
            yield _add_versions(cell, listed_draw, data_versions[cell.dataset])


def _move_looks(keys: dict[str, Any]) -> dict[str, Any]:
    """The keys of a grid with `looks` and `stop` beside `seeds` and `search`, not in them."""
    search = keys.get("search")
    counts = {"seeds": keys.get("seeds")}
    if isinstance(search, Mapping):
        counts["studies"] = search.get("studies")
    declared = {name: value for name, value in counts.items() if isinstance(value, Mapping)}
    if not declared:
        return keys
    if len(declared) > 1:
        raise ValueError("seeds, search.studies: both have looks; expected them in one of the two")
    ((name, value),) = declared.items()
    if unknown := set(value) - {"looks", "stop"}:
        raise ValueError(str(unknown_name_error(f"key of {name}", min(unknown), ("looks", "stop"))))
    looks = value.get("looks")
    if not isinstance(looks, list) or not looks:
        raise ValueError(f"{name}.looks: expected a list of numbers of {name}")
    moved = {"looks": looks} | {key: value[key] for key in ("stop",) if key in value}
    if name == "seeds":
        return keys | moved | {"seeds": looks[-1]}
    return keys | moved | {"search": {**(search or {}), "studies": looks[-1]}}


def _check_looks(looks: Sequence[int], unit: str, n_units: int) -> None:
    if list(looks) != sorted(set(looks)) or looks[0] < 2:
        raise ValueError(f"looks: expected rising numbers of {unit} from 2 on, got {list(looks)}")
    if looks[-1] != n_units:
        raise ValueError(f"looks: the last is at {looks[-1]} {unit}; the grid has {n_units}")


def _add_versions(cell: Cell, listed_draw: ListedDraw | None, data_version: str) -> Cell:
    """The cell with the version of its data, and of the list of its labelled images."""
    if data_version:
        cell = replace(cell, data_version=data_version)
    if cell.label_draw != "subset" or listed_draw is None:
        return cell
    return replace(cell, label_draw=f"file-{listed_draw.checksum}", labels=listed_draw.labels)


def name_cells(cells: Collection[Cell]) -> dict[Cell, str]:
    """Short names of cells, with the settings in which they differ.

    >>> cells = [Cell("vae", 0, 9, settings=(("z", z),)) for z in (2, 4)]
    >>> list(name_cells(cells).values())
    ['vae z=2 seed=0', 'vae z=4 seed=0']
    """
    values: dict[tuple[str, str], set[Setting]] = {}
    for cell in cells:
        for setting, value in cell.settings:
            values.setdefault((cell.model, setting), set()).add(value)
    return {
        cell: cell.name(
            [s for (m, s), choices in values.items() if m == cell.model and len(choices) > 1]
        )
        for cell in cells
    }
