"""Unit tests use the first images of MNIST, with their own checksum, and wait for no disk."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.evaluation import digit_classifier
from harness.plugins.dataset import Data

TRAINING_IMAGES, TEST_IMAGES = 2000, 400


@pytest.fixture(scope="session")
def mnist(full_mnist: Data) -> Data:
    """The first 2,000 training and 400 test images of MNIST, all ten digits among them."""
    full = full_mnist
    train_x, train_y = (
        full.train_x[:TRAINING_IMAGES].clone(),
        full.train_y[:TRAINING_IMAGES].clone(),
    )
    test_x, test_y = full.test_x[:TEST_IMAGES].clone(), full.test_y[:TEST_IMAGES].clone()
    checksum = hashlib.sha256(train_x.numpy().tobytes() + test_x.numpy().tobytes()).hexdigest()
    return Data("mnist", train_x, train_y, test_x, test_y, checksum)


@pytest.fixture(scope="session", autouse=True)
def short_training_of_the_digit_classifier() -> Iterator[None]:
    """Its classifier learns for 200 steps: it is in the cache only with the checksum above."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digit_classifier, "MIN_STEPS", 200)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """No unit test cuts the power; to force a file to the disk takes milliseconds, and so does to
    remove it afterwards.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def address(tmp_path: Path) -> str:
    """An empty folder; the integration tests repeat the tests of the store in a bucket."""
    return str(tmp_path / "results")
