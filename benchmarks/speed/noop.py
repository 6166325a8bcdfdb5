"""A model whose cells do nothing, to measure the overhead of the harness per cell."""

from torch import Tensor, nn, zeros

from harness.plugins.model import PIXELS, Batch, Model, Noise, Shape, Terms
from harness.plugins.registry import register


@register("noop")
class NoOp(Model):
    """One number, trained for one step on ten labelled images; no bound, no classifier, so nothing
    to score.
    """

    iterations = 1
    supervisions = ("supervised",)

    def __init__(self, supervision: str = "supervised"):
        super().__init__()
        self.number = nn.Parameter(zeros(()))

    def noise(self, batch: int) -> dict[str, Shape]:
        """None."""
        return {"z": (batch, 1)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        """The number's square."""
        nothing = self.number.new_zeros(())
        return Terms(nothing, nothing, self.number.square())

    def sample(self, noise: Noise) -> Tensor:
        """Black images."""
        return self.number.new_zeros((len(noise["z"]), PIXELS))
