"""What a step costs, measured: a few steps of each kind of pack, alone and a few cells together."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch

from harness.evaluation import digit_classifier, elbo, iwae, scored_images
from harness.experiment.cell import Cell
from harness.experiment.evaluation import Evaluation
from harness.experiment.options import Compile
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import (
    PIXELS,
    Batch,
    Classifier,
    ImportanceWeighted,
    Model,
    Noise,
    draw_noise,
)
from harness.scheduling.packing import kinds
from harness.training.compilation import wanted
from harness.training.process_tuning import no_denormals
from harness.training.step_cost import Cost
from harness.training.trainer import Pack, prepared

STEPS = 5
ASSUMED = 100  # cells that take a GPU twice as long as one: a guess, where there is none to measure
TOGETHER = 4  # cells of the second measurement
LONG_STEP = 0.03  # seconds; of a step on a CPU Python takes a few thousandths
WORTH_COMPILING = 300.0  # seconds of training for whose estimate it is worth to compile
COMPILED_KINDS = 2  # at most: the dearest; what compiling gains them is taken for the others
FEW_IMAGES, MORE_IMAGES = 2, 50  # of the calls by which scoring is priced
SLOW_CALL = 1.0  # seconds
# of what the cells of a pack share, what compiling leaves: most of it is Python's
COMPILED_SHARE = 0.25


def costs(
    cells: Iterable[Cell],
    sets: Mapping[str, Data],
    listed: Sequence[int],
    threads: int,
    gpu: bool,
    mode: Compile,
) -> dict[Cell, Cost]:
    """What a step of each kind of cells costs on this machine, by `Cell.pack_key`."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    device = torch.device("cuda" if gpu and torch.cuda.is_available() else "cpu")
    on = {name: data.to(device) for name, data in sets.items()}
    groups = kinds(cells)
    try:
        with no_denormals():
            found = {}
            for kind, group in groups.items():
                with registry.room(kind.model):
                    found[kind] = _eager(group, on[kind.dataset], listed)
            found = _as_they_run(found, groups, on, listed, mode)
    finally:
        torch.set_num_threads(before)
    return (
        {kind: elsewhere(cost) for kind, cost in found.items()}
        if gpu and device.type == "cpu"
        else found
    )


def elsewhere(cost: Cost) -> Cost:
    """What is assumed of GPUs where this machine has none to measure: a pack of a hundred takes as
    two of one cell.
    """
    one = cost.step(1)
    return Cost(one * (1 - 1 / ASSUMED), one / ASSUMED)


def _eager(group: Sequence[Cell], data: Data, listed: Sequence[int]) -> Cost:
    """By packs of one cell and of several; by one where it takes a CPU so long that what cells
    share is lost in it.
    """
    size = min(TOGETHER, len(group))
    alone = Pack(group[:1], data, listed)
    (first,) = step_seconds([alone])
    if size == 1 or (first > LONG_STEP and alone.device.type == "cpu"):
        return Cost(0.0, first)
    one, several = step_seconds([alone, Pack(group[:size], data, listed)])
    each = max((several - one) / (size - 1), several / size / 2)
    return Cost(max(0.0, one - each), each)


def _as_they_run(
    eager: Mapping[Cell, Cost],
    groups: Mapping[Cell, Sequence[Cell]],
    sets: Mapping[str, Data],
    listed: Sequence[int],
    mode: Compile,
) -> dict[Cell, Cost]:
    """The costs, those of what is compiled with less to share, and of long trainings by a step as
    it will run.

    COMPILED_SHARE is that of `vae` on an Intel Xeon, where cells share 0.8 ms of a step eager and
    0.2 ms compiled.
    """
    devices = {kind: sets[kind.dataset].train_x.device for kind in groups}
    long = [kind for kind in groups if wanted(mode, kind.iterations, devices[kind])]
    lean = {
        kind: Cost(COMPILED_SHARE * eager[kind].fixed, eager[kind].each)
        for kind in long
        if devices[kind].type == "cpu"
    }
    found = {**eager, **lean}
    work = {
        kind: kind.iterations * len(groups[kind]) * _each(found[kind], groups[kind])
        for kind in long
    }
    worth = sorted(
        (kind for kind in long if work[kind] >= WORTH_COMPILING), key=lambda kind: -work[kind]
    )
    gains: dict[Cell, float] = {}
    for kind in worth[:COMPILED_KINDS]:
        group = groups[kind][:TOGETHER]
        with registry.room(kind.model):
            (taken,) = step_seconds([prepared(group, sets[kind.dataset], listed, mode=mode)])
        gains[kind] = taken / found[kind].step(len(group))
    gains = (
        dict.fromkeys(groups, 1.0) | dict.fromkeys(worth, max(gains.values(), default=1.0)) | gains
    )
    return {
        kind: Cost(cost.fixed * gains[kind], cost.each * gains[kind])
        for kind, cost in found.items()
    }


def score_costs(
    cells: Iterable[Cell], sets: Mapping[str, Data], evaluation: Evaluation, threads: int
) -> dict[Cell, float]:
    """Seconds that the scoring of a cell of each kind takes on a CPU, by what a few images take; by
    `Cell.pack_key`.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            images = {name: len(data.test_x) for name, data in sets.items()}
            found = {}
            for kind, group in kinds(cells).items():
                with registry.room(kind.model):
                    try:
                        found[kind] = _score_seconds(group[0], evaluation, images[kind.dataset])
                    except Exception:  # what scoring will say of it is worth more than its price
                        found[kind] = 0.0
            return found
    finally:
        torch.set_num_threads(before)


def _score_seconds(cell: Cell, evaluation: Evaluation, images: int) -> float:
    """The calls that scoring makes, each at its price."""
    model = registry.build(cell).eval()
    seconds = 0.0
    if isinstance(model, Classifier):
        seconds += _call_cost(lambda n: model.classify(torch.zeros(n, PIXELS))).all(
            images, scored_images.CHUNK
        )
    if not cell.has_bound:
        return seconds
    bound = _call_cost(lambda n: model.terms(_blank(n), _noise(model, n)))
    sampling = _call_cost(lambda n: model.sample(_noise(model, n)))
    net = digit_classifier.Net()
    judging = _call_cost(lambda n: net.classify(torch.zeros(n, PIXELS)))
    seconds += bound.all(images, scored_images.CHUNK) + sampling.all(
        evaluation.samples, scored_images.CHUNK
    )
    seconds += judging.all(evaluation.samples, scored_images.CHUNK)
    if evaluation.covers(cell):
        seconds += elbo.SUBSET_REPEATS * bound.all(len(evaluation.subset), scored_images.CHUNK)
    if evaluation.iwae and isinstance(model, ImportanceWeighted):
        weights = _call_cost(lambda n: model.log_weight(_blank(n).x, _noise(model, n)))
        on = {"test": images, "subset": len(evaluation.subset) if evaluation.covers(cell) else 0}
        draws = max(evaluation.iwae) * sum(on[name] for name in evaluation.iwae_on)
        seconds += weights.all(draws, iwae.IWAE_CHUNK * iwae.DRAWS_AT_ONCE)
    return seconds


class _CallCost(NamedTuple):
    """Seconds of a call, and of an image in it."""

    call: float
    image: float

    def all(self, images: int, at_once: int) -> float:
        """Seconds of so many images, so many a call."""
        return -(-images // at_once) * self.call + images * self.image


def _call_cost(call: Callable[[int], object]) -> _CallCost:
    """By calls of few images and of more; of a slow one, which draws pixel by pixel say, the first
    tells the least.
    """
    few = _fastest(call, FEW_IMAGES)
    if few > SLOW_CALL:
        return _CallCost(few, 0.0)
    image = max(0.0, _fastest(call, MORE_IMAGES) - few) / (MORE_IMAGES - FEW_IMAGES)
    return _CallCost(max(0.0, few - image * FEW_IMAGES), image)


def _fastest(call: Callable[[int], object], images: int) -> float:
    times = []
    for _ in range(2):
        started = time.thread_time()
        call(images)
        times.append(time.thread_time() - started)
        if times[0] > SLOW_CALL:
            break
    return min(times)


def _blank(images: int) -> Batch:
    return Batch(
        torch.zeros(images, PIXELS), torch.zeros(0, PIXELS), torch.zeros(0, dtype=torch.long)
    )


def _noise(model: Model, images: int) -> Noise:
    return draw_noise(model, images, torch.Generator())


def _each(cost: Cost, group: Sequence[Cell]) -> float:
    """A cell's share of a step of several."""
    size = min(TOGETHER, len(group))
    return cost.step(size) / size


def step_seconds(packs: Sequence[Pack]) -> list[float]:
    """The fastest of a few steps of each pack, taken in turn: whatever else the machine does meets
    all of them.

    On CPUs it is this thread's time at work, since Ray starts meanwhile.
    """
    times: list[list[float]] = [[] for _ in packs]
    for _ in range(STEPS):
        for pack, taken in zip(packs, times, strict=True):
            cuda = pack.device.type == "cuda"
            clock = time.perf_counter if cuda else time.thread_time
            started = clock()
            pack.one_step()
            if cuda:
                torch.cuda.synchronize()
            taken.append(clock() - started)
    return [min(taken) for taken in times]
