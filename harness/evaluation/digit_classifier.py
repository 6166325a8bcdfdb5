"""The digit classifier: a small convolutional net that counts classes among a model's samples.

It is trained once for each data set with classes. Where samples are binary and the data are grey,
it learns from binarised and grey images alike, and its accuracy is measured on both.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.data.download import cache_folder
from harness.data.preparation import prepare, scale
from harness.evaluation.classification import compute_accuracy, predict_classes
from harness.evaluation.scored_images import prepare_test_images
from harness.experiment import seeding
from harness.plugins.dataset import MNIST_SPEC, Data, DataSpec
from harness.storage import tensor_file
from harness.storage.layout import digit_classifier_key
from harness.storage.local import write_atomically
from harness.storage.store import Store

SOURCE_ACCURACY = 0.9766  # of the source report's classifier, on MNIST's grey test images
EPOCHS = 3
MIN_STEPS = 1000  # of a data set whose epochs are short
BATCH_SIZE = 128
HIDDEN = 128


class Net(nn.Module):
    """Images: 16 and 32 channels of 5×5 at stride 2 -> 128 -> classes, with ReLU.

    Of data that are not images, two layers of 128 take the place of the convolutions.
    """

    def __init__(self, spec: DataSpec = MNIST_SPEC) -> None:
        super().__init__()
        self.shape, self.classes = spec.shape, spec.classes
        layers = _convolutions(spec.shape) if spec.is_image else _dense_layers(spec.dimensions)
        self.features = nn.Sequential(*layers, nn.Linear(HIDDEN, spec.classes))

    def classify(self, x: Tensor) -> Tensor:
        """(batch, dimensions), binary or grey in [0, 1] -> logits (batch, classes)."""
        logits: Tensor = self.features(x.unflatten(-1, self.shape))
        return logits


def _convolutions(shape: tuple[int, ...]) -> list[nn.Module]:
    channels, height, width = shape
    after_strides = 32 * (-(-height // 4)) * (-(-width // 4))
    return [
        nn.Conv2d(channels, 16, 5, 2, 2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 5, 2, 2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(after_strides, HIDDEN),
        nn.ReLU(),
    ]


def _dense_layers(dimensions: int) -> list[nn.Module]:
    return [
        nn.Flatten(),
        nn.Linear(dimensions, HIDDEN),
        nn.ReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.ReLU(),
    ]


def can_classify(spec: DataSpec) -> bool:
    """Whether there is a classifier of a data set: it needs classes."""
    return spec.classes > 0


@dataclass(frozen=True)
class DigitClassifier:
    """A trained net.

    accuracy: fraction of test images classified correctly, in grey where there are grey levels
    accuracy_binary: the same for test images as models see them, binarised where models are binary
    """

    net: Net
    accuracy: float
    accuracy_binary: float

    @torch.inference_mode()
    def count_digits(self, images: Tensor) -> list[int]:
        """How many of the images (n, dimensions) are classified as each class: (classes,)."""
        predicted = predict_classes(self.net, images)
        return [int(count) for count in torch.bincount(predicted, minlength=self.net.classes)]


def provide(store: Store, data: Data) -> None:
    """Write the digit classifier of a data set to the store, unless it is there or cannot be.

    It comes from the cache of this machine; the first time it is trained.
    """
    if can_classify(data.spec) and store.read(digit_classifier_key(data.name)) is None:
        cached = cache_folder() / "judges" / f"{data.name}-{data.checksum[:12]}.safetensors"
        if not cached.is_file():
            message = f"training the classifier that counts classes of {data.name}"
            print(f"{message}, once on this machine: ", end="", flush=True)
            started = time.perf_counter()
            write_atomically(cached, _train(data))
            print(f"done in {time.perf_counter() - started:.0f} s", flush=True)
        store.write(digit_classifier_key(data.name), cached.read_bytes())


def load(store: Store, data: Data) -> DigitClassifier:
    """The digit classifier in the store, on the device of the data."""
    tensors, record = tensor_file.parse(store.read(digit_classifier_key(data.name)) or b"")
    net = Net(data.spec)
    net.load_state_dict(tensors)
    return DigitClassifier(
        net.to(data.device).eval(), record["accuracy"], record["accuracy_binary"]
    )


def _train(data: Data) -> bytes:
    """Train for three epochs, or MIN_STEPS, with Adam and return the file's content.

    Half of each batch is binarised anew, and the learning rate falls linearly to zero.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.derive(seeding.EVALUATION_SEED, "judge"))
        net = Net(data.spec)
    steps_per_epoch = max(1, len(data.train_x) // BATCH_SIZE)
    epochs = max(EPOCHS, -(-MIN_STEPS // steps_per_epoch))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, epochs * steps_per_epoch)
    for x, classes in _draw_batches(data, epochs, steps_per_epoch):
        optimizer.zero_grad()
        F.cross_entropy(net.classify(x), classes).backward()
        optimizer.step()
        scheduler.step()
    net.eval()
    record = {
        "accuracy": compute_accuracy(net, scale(data.test_x, data.spec), data.test_y),
        "accuracy_binary": compute_accuracy(net, prepare_test_images(data), data.test_y),
        "data_checksum": data.checksum,
    }
    return tensor_file.dump(net.state_dict(), record)


def _draw_batches(data: Data, epochs: int, steps_per_epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (n, dimensions) and their classes (n,) of every step, in a new order each epoch."""
    generator = seeding.evaluation_generator("judge", 1)
    for _ in range(epochs):
        order = torch.randperm(len(data.train_x), generator=generator)
        for indices in order.split(BATCH_SIZE)[:steps_per_epoch]:
            grey, half = data.train_x[indices], len(indices) // 2
            halves = scale(grey[:half], data.spec), prepare(grey[half:], data.spec, generator)
            yield torch.cat(halves), data.train_y[indices]
