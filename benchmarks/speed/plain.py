"""The plain script: one cell after another, eager, torch.bernoulli, default Adam and threads.

    python -m benchmarks.speed.plain ITERATIONS

It runs the cells of `quick.yaml` with ITERATIONS steps instead of 1,000. Networks, batch and number
of steps are those of the harness. Each model is scored by its bound or its accuracy on the test
images; nothing else is stored.
"""

import math
import os
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torchvision import datasets

BATCH = 97


class Cell(NamedTuple):
    """A model with its β, seed and number of steps."""

    model: str
    beta: float
    seed: int
    steps: int


def quick(steps: int) -> list[Cell]:
    """The cells of `quick.yaml` with `steps` for 1,000 steps, and four fifths of it for 800."""
    seeds = range(3)
    vaes = [Cell("vae", beta, seed, steps) for beta in (1.0, 4.0) for seed in seeds]
    gmvaes = [Cell("gmvae", 1.0, seed, steps) for seed in seeds]
    ssvaes = [
        Cell(arm, 1.0, seed, steps * 4 // 5) for arm in ("supervised", "ssvae") for seed in seeds
    ]
    return vaes + gmvaes + ssvaes


def net(sizes: list[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers with an activation between them."""
    layers: list[nn.Module] = []
    for inner, outer in pairwise(sizes):
        layers += [nn.Linear(inner, outer), activation()]
    return nn.Sequential(*layers[:-1])


def normal(z: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """log N(z; mean, var), summed over the last dimension."""
    return -0.5 * ((z - mean) ** 2 / var + var.log() + math.log(2 * math.pi)).sum(-1)


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """-log p(x), summed over pixels."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1)


class VAE(nn.Module):
    """With a standard normal prior."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = (
            net([784, 300, 300, 20], nn.ELU),
            net([10, 300, 300, 784], nn.ELU),
        )

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """KL and reconstruction of each image."""
        mean, raw = self.encoder(x).chunk(2, -1)
        var = F.softplus(raw) + 1e-8
        z = mean + var.sqrt() * torch.randn_like(mean)
        return self.kl(z, mean, var), bernoulli(self.decoder(z), x)

    def kl(self, z: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """Analytic."""
        return 0.5 * (mean**2 + var - var.log() - 1).sum(-1)


class GMVAE(VAE):
    """With a learned mixture for a prior."""

    def __init__(self) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.randn(500, 10) / math.sqrt(5000))
        self.raws = nn.Parameter(torch.randn(500, 10) / math.sqrt(5000))

    def kl(self, z: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        """By one sample."""
        components = normal(z.unsqueeze(1), self.means, F.softplus(self.raws) + 1e-8)
        return normal(z, mean, var) - torch.logsumexp(components, -1) + math.log(500)


class SSVAE(nn.Module):
    """Semi-supervised: x and y tiled ten times."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = (
            net([794, 300, 300, 128], nn.ELU),
            net([74, 300, 300, 784], nn.ELU),
        )
        self.classifier = net([784, 300, 300, 10], nn.ReLU)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """KL and reconstruction of each image, summed over its ten classes."""
        count = len(x)
        logits = self.classifier(x)
        y = torch.eye(10).repeat_interleave(count, 0)
        tiled = x.repeat(10, 1)
        mean, raw = self.encoder(torch.cat([tiled, y], -1)).chunk(2, -1)
        var = F.softplus(raw) + 1e-8
        z = mean + var.sqrt() * torch.randn_like(mean)
        kl = 0.5 * (mean**2 + var - var.log() - 1).sum(-1).view(10, count).T
        rec = bernoulli(self.decoder(torch.cat([z, y], -1)), tiled).view(10, count).T
        q, log_q = logits.softmax(-1), logits.log_softmax(-1)
        return (q * (log_q + math.log(10) + kl)).sum(-1), (q * rec).sum(-1)


MODELS = {"vae": VAE, "gmvae": GMVAE, "ssvae": SSVAE, "supervised": SSVAE}


def load() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test images in [0, 1] and their classes, read by torchvision."""
    root = os.environ.get("HARNESS_DATA") or os.path.expanduser("~/.cache/generative-bench/data")
    train, test = (datasets.MNIST(root, train=part) for part in (True, False))
    return (
        *(part.data.view(-1, 784).float() / 255 for part in (train, test)),
        train.targets,
        test.targets,
    )


def batches(images: Tensor) -> Iterator[Tensor]:
    """Grey batches of endless epochs."""
    while True:
        for indices in torch.randperm(len(images)).split(BATCH):
            yield images[indices]


def labelled(classes: Tensor) -> Tensor:
    """Ten images of each class."""
    return torch.cat([(classes == label).nonzero().squeeze(1)[:10] for label in range(10)])


class Training:
    """One cell in training, a step at a time."""

    def __init__(self, cell: Cell, images: Tensor, classes: Tensor):
        torch.manual_seed(cell.seed)
        self.cell = cell
        self.model: Any = MODELS[cell.model]()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.batches = batches(images)
        few = labelled(classes)
        self.few, self.targets = images[few], classes[few]

    def step(self) -> None:
        """One training step, with a read of the loss."""
        loss = self.loss(torch.bernoulli(next(self.batches)))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.last = loss.item()

    def loss(self, x: Tensor) -> Tensor:
        """The cell's objective."""
        if self.cell.model in ("vae", "gmvae"):
            kl, rec = self.model.parts(x)
            bound: Tensor = (rec + self.cell.beta * kl).mean()
            return bound
        entropy: Tensor = 100 * F.cross_entropy(
            self.model.classifier(torch.bernoulli(self.few)), self.targets
        )
        if self.cell.model == "supervised":
            return entropy
        kl, rec = self.model.parts(x)
        whole: Tensor = entropy + (rec + kl).mean()
        return whole


@torch.no_grad()
def score(training: Training, images: Tensor, classes: Tensor) -> float:
    """NELBO, or accuracy in percent, over the test images."""
    if training.cell.model == "supervised":
        return float((training.model.classifier(images).argmax(-1) == classes).float().mean() * 100)
    parts = [training.model.parts(torch.bernoulli(chunk)) for chunk in images.split(1000)]
    return float(torch.cat([kl + rec for kl, rec in parts]).mean())


def run(cell: Cell) -> float:
    """Train and score one cell."""
    train_x, test_x, train_y, test_y = load()
    training = Training(cell, train_x, train_y)
    for _ in range(cell.steps):
        training.step()
    return score(training, test_x, test_y)


if __name__ == "__main__":
    for one in quick(int(sys.argv[1])):
        print(one, run(one), flush=True)
