"""The digit classifier: a small convolutional net that counts digits among a model's samples.

It is trained once for each data set. As samples are binary, it learns from binarised and grey
images alike, and its accuracy is measured on both.
"""

import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from harness.data.binarization import binarise, scale_to_unit
from harness.data.download import cache_folder
from harness.evaluation.classification import compute_accuracy, predict_classes
from harness.evaluation.scored_images import binarise_test_images
from harness.experiment import seeding
from harness.plugins.dataset import Data
from harness.plugins.model import CLASSES
from harness.storage import tensor_file
from harness.storage.layout import digit_classifier_key
from harness.storage.local import write_atomically
from harness.storage.store import Store

SOURCE_ACCURACY = 0.9766  # of the source report's classifier, on MNIST's grey test images
EPOCHS = 3
BATCH_SIZE = 128
IMAGE_SIDE = 28


class Net(nn.Module):
    """784 -> 16 and 32 channels of 5×5 at stride 2 -> 128 -> classes, with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 5, 2, 2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 128),
            nn.ReLU(),
            nn.Linear(128, CLASSES),
        )

    def classify(self, x: Tensor) -> Tensor:
        """(batch, PIXELS), binary or grey in [0, 1] -> logits (batch, CLASSES)."""
        logits: Tensor = self.features(x.unflatten(-1, (1, IMAGE_SIDE, IMAGE_SIDE)))
        return logits


@dataclass(frozen=True)
class DigitClassifier:
    """A trained net.

    accuracy: fraction of grey test images classified correctly
    accuracy_binary: the same for binarised test images
    """

    net: Net
    accuracy: float
    accuracy_binary: float

    @torch.inference_mode()
    def count_digits(self, images: Tensor) -> list[int]:
        """How many of the images (n, PIXELS) are classified as each class: (CLASSES,)."""
        classes = predict_classes(self.net, images)
        return [int(count) for count in torch.bincount(classes, minlength=CLASSES)]


def provide(store: Store, data: Data) -> None:
    """Write the digit classifier of a data set to the store, unless it is there.

    It comes from the cache of this machine; the first time it is trained.
    """
    if store.read(digit_classifier_key(data.name)) is None:
        cached = cache_folder() / "judges" / f"{data.name}-{data.checksum[:12]}.safetensors"
        if not cached.is_file():
            message = f"training the classifier that counts digits of {data.name}"
            print(f"{message}, once on this machine: ", end="", flush=True)
            started = time.perf_counter()
            write_atomically(cached, _train(data))
            print(f"done in {time.perf_counter() - started:.0f} s", flush=True)
        store.write(digit_classifier_key(data.name), cached.read_bytes())


def load(store: Store, data: Data) -> DigitClassifier:
    """The digit classifier in the store, on the device of the data."""
    tensors, record = tensor_file.parse(store.read(digit_classifier_key(data.name)) or b"")
    net = Net()
    net.load_state_dict(tensors)
    return DigitClassifier(
        net.to(data.test_x.device).eval(), record["accuracy"], record["accuracy_binary"]
    )


def _train(data: Data) -> bytes:
    """Train for three epochs with Adam and return the file's content.

    Half of each batch is binarised anew, and the learning rate falls linearly to zero.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.derive(seeding.EVALUATION_SEED, "judge"))
        net = Net()
    steps = EPOCHS * (len(data.train_x) // BATCH_SIZE)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    generator = seeding.evaluation_generator("judge", 1)
    for _ in range(EPOCHS):
        for indices in torch.randperm(len(data.train_x), generator=generator).split(BATCH_SIZE)[
            : steps // EPOCHS
        ]:
            grey, classes = data.train_x[indices], data.train_y[indices]
            half = len(grey) // 2
            x = torch.cat([scale_to_unit(grey[:half]), binarise(grey[half:], generator)])
            optimizer.zero_grad()
            F.cross_entropy(net.classify(x), classes).backward()
            optimizer.step()
            scheduler.step()
    net.eval()
    record = {
        "accuracy": compute_accuracy(net, scale_to_unit(data.test_x), data.test_y),
        "accuracy_binary": compute_accuracy(net, binarise_test_images(data), data.test_y),
        "data_checksum": data.checksum,
    }
    return tensor_file.dump(net.state_dict(), record)
