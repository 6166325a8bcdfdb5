"""Measure the cost of metrics besides those of every cell: runs on a small part of the data.

Each metric is run as in scoring, on the first test images, training images and samples, in the
proportions of the whole. The part is doubled until a run is long enough, and the last two runs are
extrapolated. For the shipped metrics the result is within a factor of three: large tensors take
longer than small ones foretell.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property

import torch

from harness.evaluation import digit_classifier
from harness.evaluation.digit_classifier import DigitClassifier
from harness.evaluation.inputs import MetricInputs, SharedInputs
from harness.evaluation.scored_images import CHUNK_SIZE
from harness.experiment.cell import Cell
from harness.experiment.evaluation import EvaluationConfig
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.metric import Metric, registered_metrics
from harness.plugins.model import Model
from harness.scheduling.call_timing import FEW_IMAGES, CallCost, time_call
from harness.storage.store import Store

MIN_IMAGES, MIN_SECONDS = 1000, 0.25  # of the last run
LONG_RUN_SECONDS = 0.5  # such a run is the last, of however few images
MIN_PAIRED_IMAGES = 200  # below, pairs of images take no time
MIN_GROWTH = 1.1  # of the seconds an image, from one run to the next, that tells pairs from noise
MAX_REFUSED_IMAGES = 64  # a metric that fails on so many images is not tried on more


class UntrainedJudge(SharedInputs):
    """Shared inputs of a timing run: the classifier has its architecture, and fresh weights."""

    @cached_property
    def digit_classifier(self) -> DigitClassifier | None:
        """An untrained classifier; None for data without classes."""
        spec = self.data.spec
        if not digit_classifier.can_classify(spec):
            return None
        return DigitClassifier(digit_classifier.Net(spec).to(self.data.device).eval(), 0.0, 0.0)


def measure_metrics(cell: Cell, data: Data, evaluation: EvaluationConfig) -> float:
    """Seconds that the requested metrics take for a cell on a CPU; 0 of one that fails.

    What the runs write is discarded, and the state of torch's generator is restored.
    """
    metrics = [
        registered_metrics[request.metric]
        for request in evaluation.metrics
        if request.covers(cell) and request.metric in registered_metrics
    ]
    if not metrics:
        return 0.0
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        model, store = registry.build(cell).eval(), Store(folder)
        return sum(
            _measure_metric(metric, cell, model, UntrainedJudge(store, data, evaluation))
            for metric in metrics
        )


def _measure_metric(metric: Metric, cell: Cell, model: Model, whole: SharedInputs) -> float:
    most = metric.most_images
    tests, samples = (
        count if most is None else min(count, most)
        for count in (len(whole.data.test_x), whole.evaluation.samples)
    )
    images = max(tests, samples)

    def run(count: int) -> None:
        n_tests, n_samples, n_train = (
            -(-total * count // images) for total in (tests, samples, len(whole.data.train_x))
        )
        shared = take_part(whole, n_tests, n_samples, n_train)
        inputs = MetricInputs(shared, cell, model, {})
        if metric.fits(inputs):
            for _ in metric.score(inputs):
                pass

    return estimate_seconds(run, images)


def take_part(whole: SharedInputs, tests: int, samples: int, train: int) -> SharedInputs:
    """The inputs of a smaller evaluation: so many test images, samples and training images."""
    data, evaluation = whole.data, whole.evaluation
    factors = data.test_factors
    part = replace(
        data,
        train_x=data.train_x[:train],
        train_y=data.train_y[:train],
        test_x=data.test_x[:tests],
        test_y=data.test_y[:tests],
        test_factors=None if factors is None else factors[:tests],
    )
    subset = tuple(range(min(tests, len(evaluation.subset))))
    smaller = replace(evaluation, samples=samples, subset=subset)
    return type(whole)(whole.store, part, smaller)


def estimate_seconds(run: Callable[[int], object], images: int) -> float:
    """Seconds that `run(images)` takes, from runs of fewer images; 0 if these fail.

    Few images may fail, such as where each needs neighbours. The first run that does not is not
    timed: it loads what later runs find loaded.
    """
    previous: tuple[int, float] | None = None
    warm = False
    for count in list_counts(images):
        try:
            if not warm:
                run(count)
                warm = True
            seconds = time_call(run, count)
        except Exception:  # scoring will report it
            if count >= MAX_REFUSED_IMAGES:
                break
            continue
        if count == images:
            return seconds
        is_long = seconds >= (MIN_SECONDS if count >= MIN_IMAGES else LONG_RUN_SECONDS)
        if previous is not None and is_long:
            return extrapolate(previous, (count, seconds), images)
        previous = count, seconds
    return 0.0


def list_counts(images: int) -> Iterator[int]:
    """Numbers of images, each twice the one before, up to all.

    >>> list(list_counts(20))
    [2, 4, 8, 16, 20]
    """
    count = FEW_IMAGES
    while count < images:
        yield count
        count *= 2
    yield images


def extrapolate(few: tuple[int, float], more: tuple[int, float], images: int) -> float:
    """Seconds of `images` images, from the seconds of fewer images and of more.

    Where they grow clearly faster than the images, they are those of images and of pairs of images,
    a · n + b · n²; otherwise those of calls of `CHUNK_SIZE` images and of images.

    >>> extrapolate((128, 1.0), (256, 3.0), 1280)  # n / 256 + n² / 32,768
    55.0
    >>> extrapolate((10, 1.5), (20, 2.0), 2000)  # two calls of 1 s, and 0.05 s an image
    102.0
    """
    (n, first), (m, second) = few, more
    if m >= MIN_PAIRED_IMAGES and second / m > MIN_GROWTH * first / n:
        pair = (second / m - first / n) / (m - n)
        image = first / n - pair * n
        if image < 0:
            return second * (images / m) ** 2
        return image * images + pair * images**2
    image = max(0.0, second - first) / (m - n)
    return CallCost(max(0.0, first - n * image), image).total_seconds(images, CHUNK_SIZE)
