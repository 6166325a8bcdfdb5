"""Measure the cost of scoring: calls of a few images, as many as the scores need."""

from collections.abc import Iterable, Mapping

import torch

from harness.evaluation import digit_classifier, elbo, scored_images
from harness.evaluation.importance.weights import (
    BLOCK_DRAWS,
    BLOCK_IMAGES,
    COMPILED_SHARE,
    should_compile,
)
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
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
from harness.scheduling.call_timing import measure_call_cost
from harness.scheduling.metric_timing import measure_metrics
from harness.scheduling.packing import group_by_pack_key


def measure_score_costs(
    cells: Iterable[Cell], sets: Mapping[str, Data], evaluation: EvaluationConfig, threads: int
) -> dict[Cell, float]:
    """Seconds that scoring a cell of each kind takes on a CPU, by `Cell.pack_key`; extrapolated
    from a few images.
    """
    previous_threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        costs = {}
        for kind, group in group_by_pack_key(cells).items():
            data = sets[kind.dataset]
            with registry.isolate_model(kind.model):
                try:
                    costs[kind] = _estimate_score_seconds(group[0], evaluation, len(data.test_x))
                    costs[kind] += measure_metrics(group[0], data, evaluation)
                except Exception:  # scoring will report it
                    costs.setdefault(kind, 0.0)
        return costs
    finally:
        torch.set_num_threads(previous_threads)


@torch.inference_mode()
def _estimate_score_seconds(cell: Cell, evaluation: EvaluationConfig, images: int) -> float:
    """Add up the costs of the calls that the scores of every cell and IWAE bounds make."""
    model, spec = registry.build(cell).eval(), registry.data_spec(cell.dataset)
    seconds = 0.0
    if isinstance(model, Classifier) and spec.classes:
        seconds += measure_call_cost(
            lambda n: model.classify(torch.zeros(n, spec.dimensions))
        ).total_seconds(images, scored_images.CHUNK_SIZE)
    if not cell.has_bound:
        return seconds
    bound = measure_call_cost(
        lambda n: model.terms(_blank_batch(model, n, spec), _make_noise(model, n))
    )
    sampling = measure_call_cost(lambda n: model.sample(_make_noise(model, n)))
    seconds += bound.total_seconds(images, scored_images.CHUNK_SIZE) + sampling.total_seconds(
        evaluation.samples, scored_images.CHUNK_SIZE
    )
    if digit_classifier.can_classify(spec):
        net = digit_classifier.Net(spec)
        judging = measure_call_cost(lambda n: net.classify(torch.zeros(n, spec.dimensions)))
        seconds += judging.total_seconds(evaluation.samples, scored_images.CHUNK_SIZE)
    if evaluation.covers(cell):
        seconds += elbo.SUBSET_REPEATS * bound.total_seconds(
            len(evaluation.subset), scored_images.CHUNK_SIZE
        )
    if evaluation.iwae and isinstance(model, ImportanceWeighted):
        weights = measure_call_cost(
            lambda n: weigh_images(
                model,
                torch.zeros(n, spec.dimensions),
                _make_noise(model, n),
                torch.zeros(n, dtype=torch.long),
            )
        )
        image_counts = {
            "test": images,
            "subset": len(evaluation.subset) if evaluation.covers(cell) else 0,
        }
        draws = max(evaluation.iwae) * sum(image_counts[name] for name in evaluation.iwae_on)
        share = 1.0
        if should_compile(model, draws, "auto", torch.device("cpu")):
            share = COMPILED_SHARE
        seconds += share * weights.total_seconds(draws, BLOCK_IMAGES * BLOCK_DRAWS)
    return seconds


def _blank_batch(model: Model, images: int, spec: DataSpec) -> Batch:
    x = torch.zeros(images, spec.dimensions)
    return scored_batch(model, x, torch.zeros(images, dtype=torch.long))


def _make_noise(model: Model, images: int) -> Noise:
    return draw_noise(model, images, torch.Generator())
