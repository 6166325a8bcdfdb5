"""Measure the cost of scoring: calls of a few images, as many as the scores need.

Scoring is what follows the training, and the points of the learning curve that have scores.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

import torch

from harness.evaluation import digit_classifier, elbo, scored_images
from harness.evaluation.importance.weights import (
    BLOCK_DRAWS,
    BLOCK_IMAGES,
    compile_block,
    compute_log_weights,
    should_compile,
)
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.experiment.options import Compile
from harness.plugins import registry
from harness.plugins.dataset import Data, DataSpec
from harness.plugins.model import (
    Batch,
    Classifier,
    ImportanceWeighted,
    Model,
    Noise,
    draw_noise,
    scored_batch,
    weigh_images,
)
from harness.scheduling.call_timing import measure_call_cost, time_call, trial_threads
from harness.scheduling.metric_timing import measure_metrics
from harness.scheduling.packing import group_by_pack_key
from harness.training.pack.learning_curves import count_scored_points


class ScoreCost(NamedTuple):
    """Seconds of scoring a cell: of the importance weights that are compiled, as they take before
    that, and of all else; and of one block of these weights.
    """

    weights: float
    rest: float
    block: float = 0.0


def measure_score_costs(
    cells: Iterable[Cell],
    sets: Mapping[str, Data],
    evaluation: EvaluationConfig,
    threads: int,
    mode: Compile,
) -> dict[Cell, float]:
    """Seconds that scoring a cell of each kind takes on a CPU, by `Cell.pack_key`; extrapolated
    from a few images.

    Importance weights are compiled for the kind that spends most on them, where this machine then
    keeps the code; those of other kinds are assumed to gain as much.
    """
    groups = group_by_pack_key(cells)
    costs = dict.fromkeys(groups, ScoreCost(0.0, 0.0))
    with trial_threads(threads):
        for kind, group in groups.items():
            data = sets[kind.dataset]
            with registry.isolate_model(kind.model):
                try:
                    costs[kind] = _measure_score_cost(group[0], evaluation, data, mode)
                    metrics = measure_metrics(group[0], data, evaluation)
                    costs[kind] = costs[kind]._replace(rest=costs[kind].rest + metrics)
                except Exception:  # scoring will report it
                    continue
        slowest = max(costs, key=lambda kind: costs[kind].weights * len(groups[kind]), default=None)
        share = 1.0
        if slowest is not None and costs[slowest].weights > 0:
            with registry.isolate_model(slowest.model), suppress(Exception):
                share = _measure_compiled_share(slowest, costs[slowest].block)
    return {kind: cost.rest + share * cost.weights for kind, cost in costs.items()}


@torch.inference_mode()
def _measure_score_cost(
    cell: Cell, evaluation: EvaluationConfig, data: Data, mode: Compile
) -> ScoreCost:
    """Add up the costs of the calls that the scores of every cell and IWAE bounds make."""
    model, spec, images = registry.build(cell).eval(), data.spec, len(data.test_x)
    watched_images = count_scored_points(cell.iterations) * (cell.validation or images)
    seconds = 0.0
    if isinstance(model, Classifier) and spec.classes:
        classifying = measure_call_cost(lambda n: model.classify(torch.zeros(n, spec.dimensions)))
        seconds += classifying.total_seconds(images + watched_images, scored_images.CHUNK_SIZE)
    if not cell.has_bound:
        return ScoreCost(0.0, seconds)
    bound = measure_call_cost(
        lambda n: model.terms(_blank_batch(model, n, spec), _make_noise(model, n))
    )
    sampling = measure_call_cost(lambda n: model.sample(_make_noise(model, n)))
    bounded_images = images + (watched_images if cell.validation else 0)
    seconds += bound.total_seconds(bounded_images, scored_images.CHUNK_SIZE)
    seconds += sampling.total_seconds(evaluation.samples, scored_images.CHUNK_SIZE)
    if digit_classifier.can_classify(spec):
        net = digit_classifier.Net(spec)
        judging = measure_call_cost(lambda n: net.classify(torch.zeros(n, spec.dimensions)))
        seconds += judging.total_seconds(evaluation.samples, scored_images.CHUNK_SIZE)
    if evaluation.covers(cell):
        seconds += elbo.SUBSET_REPEATS * bound.total_seconds(
            len(evaluation.subset), scored_images.CHUNK_SIZE
        )
    if not (evaluation.iwae and isinstance(model, ImportanceWeighted)):
        return ScoreCost(0.0, seconds)
    weighing = measure_call_cost(
        lambda n: weigh_images(
            model,
            torch.zeros(n, spec.dimensions),
            _make_noise(model, n),
            torch.zeros(n, dtype=torch.long),
        )
    )
    subset = len(evaluation.subset) if evaluation.covers(cell) else 0
    image_counts = {"test": images, "subset": subset}
    compiled = eager = 0.0
    for name in evaluation.iwae_on:
        draws = max(evaluation.iwae) * image_counts[name]
        each = weighing.total_seconds(draws, BLOCK_IMAGES * BLOCK_DRAWS)
        if should_compile(model, draws, mode, torch.device("cpu")):
            compiled += each
        else:
            eager += each
    block = weighing.total_seconds(BLOCK_IMAGES * BLOCK_DRAWS, BLOCK_IMAGES * BLOCK_DRAWS)
    return ScoreCost(compiled, seconds + eager, block)


@torch.inference_mode()
def _measure_compiled_share(kind: Cell, eager: float) -> float:
    """Seconds of a compiled block of importance weights, as a share of its `eager` seconds before;
    1 if it cannot be compiled.
    """
    model, spec = registry.build(kind).eval(), registry.data_spec(kind.dataset)
    assert isinstance(model, ImportanceWeighted)
    x = torch.zeros(BLOCK_IMAGES, spec.dimensions)
    y = torch.zeros(BLOCK_IMAGES, dtype=torch.long)
    block = compile_block(model, x, y)
    if block is None:
        return 1.0
    generator = torch.Generator()
    compiled = time_call(
        lambda n: compute_log_weights(model, (x, y), n, generator, block), BLOCK_DRAWS
    )
    return compiled / eager


def _blank_batch(model: Model, images: int, spec: DataSpec) -> Batch:
    x = torch.zeros(images, spec.dimensions)
    return scored_batch(model, x, torch.zeros(images, dtype=torch.long))


def _make_noise(model: Model, images: int) -> Noise:
    return draw_noise(model, images, torch.Generator())
