"""Pythae 0.1.2's trainer (Chadebec et al., NeurIPS 2022) with the network of `vae`."""

import io
import logging
import tempfile
from contextlib import redirect_stderr

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn

from benchmarks.speed.plain import BATCH, net

logging.disable(logging.INFO)


class Encoder(BaseEncoder):  # type: ignore[misc]
    """784-300-300-20."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net([784, 300, 300, 20], nn.ELU)

    def forward(self, x: Tensor) -> ModelOutput:
        """Mean and log variance."""
        mean, log_variance = self.net(x).chunk(2, -1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):  # type: ignore[misc]
    """10-300-300-784."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net([10, 300, 300, 784], nn.ELU)

    def forward(self, z: Tensor) -> ModelOutput:
        """Probabilities of the pixels."""
        return ModelOutput(reconstruction=self.net(z).sigmoid())


class Epochs:
    """A trainer whose epochs are `steps` batches long; `epoch` runs one, what it shows of its
    progress unseen.
    """

    def __init__(self, images: Tensor, steps: int):
        binary = torch.bernoulli(images[: BATCH * steps])
        model = VAE(
            VAEConfig(input_dim=(784,), latent_dim=10, reconstruction_loss="bce"),
            Encoder(),
            Decoder(),
        )
        folder = tempfile.mkdtemp()
        config = BaseTrainerConfig(
            output_dir=folder, per_device_train_batch_size=BATCH, learning_rate=1e-3, no_cuda=True
        )
        self.trainer = BaseTrainer(
            model, BaseDataset(binary, torch.zeros(len(binary))), training_config=config
        )
        self.trainer.prepare_training()
        self.number = 0

    def epoch(self) -> None:
        """One epoch of the trainer's own loop."""
        self.number += 1
        with redirect_stderr(io.StringIO()):
            self.trainer.train_step(self.number)
