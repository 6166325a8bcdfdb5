"""The training loop: a pack gives what its cells give alone, on real MNIST."""

import dataclasses
import math
import os
import shutil

import pytest
import torch

from harness.data.binarization import binarise
from harness.data.labelled_subset import draw_labelled_indices, select_labelled
from harness.experiment import seeding
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data
from harness.plugins.model import PIXELS, Batch, Model, Noise, Shape, Terms, draw_noise
from harness.storage import tensor_file
from harness.training import compilation
from harness.training.trainer import DIVERGENCE_THRESHOLD, CellState, PackTrainer, make_trainer
from tests.conftest import CellMaker

ARMS = [
    (name, supervision)
    for name in ("vae", "gmvae", "ssvae")
    for supervision in registry.cards()[name].supervisions
]
OVER_ARMS = pytest.mark.parametrize(
    ("model", "supervision"), ARMS, ids=["-".join(arm) for arm in ARMS]
)
STEPS = 20
# a learning rate at which the second loss is beyond all bounds, and none is ever infinite
WILD = 10.0


def trained(cells: list[Cell], data: Data, steps: int) -> PackTrainer:
    pack = PackTrainer(cells, data)
    for _ in range(steps):
        pack.train_step()
    return pack


def weights(pack: PackTrainer, index: int) -> dict[str, torch.Tensor]:
    return {name: value[index].detach() for name, value in pack.params.items()}


def close(cell: Cell, ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    """The same change from the same start, up to rounding.

    Where a gradient is nearly 0, the sign of Adam's step is arbitrary.
    """
    start = registry.build(cell).state_dict()
    for name, value in ours.items():
        way, difference = theirs[name] - start[name], value - theirs[name]
        assert difference.norm() <= 0.02 * way.norm() + 1e-6, name


def plain_loop(cell: Cell, data: Data, steps: int) -> dict[str, torch.Tensor]:
    """The protocol written plainly for one cell: an eager model, torch's Adam, the same streams."""
    model = registry.build(cell)
    optimizer = torch.optim.Adam(model.parameters(), lr=cell.learning_rate)
    order = torch.randperm(60_000, generator=seeding.generator(cell.seed, "order", 0))
    few = draw_labelled_indices(data.train_y, cell.labels, cell.seed)
    for step in range(steps):
        draws = seeding.generator(cell.seed, "binarisation", step)
        indices = order[step * 97 : (step + 1) * 97] if cell.has_bound else order[:0]
        batch = Batch(
            binarise(data.train_x[indices], draws),
            binarise(data.train_x[few], draws),
            data.train_y[few],
        )
        noise = draw_noise(model, len(indices), seeding.generator(cell.seed, "noise", step))
        rec, kl, extra, *_ = model.terms(batch, noise)
        assert rec is not None
        assert kl is not None
        assert extra is not None
        optimizer.zero_grad()
        (rec + cell.beta * kl + extra).mean().backward()
        optimizer.step()
    return {name: value.detach() for name, value in model.named_parameters()}


@OVER_ARMS
def test_the_engine_is_the_plain_loop(
    model: str, supervision: str, full_mnist: Data, cell: CellMaker
) -> None:
    """This catches a fused optimiser that reads transposed gradients in the wrong order."""
    one = cell(model, beta=1.0 if supervision == "supervised" else 2.0, supervision=supervision)
    close(one, weights(trained([one], full_mnist, 4), 0), plain_loop(one, full_mnist, 4))


# --- packs ----------------------------------------------------------------------------------------


def mixed(make: CellMaker, model: str, supervision: str) -> list[Cell]:
    """Eight cells of one arm with seeds and β in mixed order, some more than once."""
    betas = (1.0,) * 8 if supervision == "supervised" else (1.0, 4.0, 0.5, 2.0, 0.25, 8.0, 1.5, 1.0)
    seeds = (0, 1, 2, 0, 3, 1, 4, 5)
    return [
        make(model, seed, beta=beta, supervision=supervision)
        for seed, beta in zip(seeds, betas, strict=True)
    ]


def same(pack: PackTrainer, index: int, other: PackTrainer, place: int = 0) -> None:
    """Compare a cell in two packs: weights and sums of losses, to float32 rounding.

    Where a gradient is nearly 0, the sign of Adam's step is arbitrary. After 50 steps of `ssvae` on
    an AMD EPYC with AVX2 the first layers differed by 1 % of the distance trained. The weights of
    different cells differ by 100 %.
    """
    cell = pack.cells[index]
    assert cell == other.cells[place]
    start, expected = registry.build(cell).state_dict(), weights(other, place)
    for name, value in weights(pack, index).items():
        assert (value - expected[name]).norm() <= 0.03 * (expected[name] - start[name]).norm(), name
    ours, theirs = (
        torch.stack(trace)[..., at].sum(0)
        for trace, at in (
            (pack.learning_curves.recent_losses, index),
            (other.learning_curves.recent_losses, place),
        )
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=0)


def test_cells_of_a_pack_keep_their_learning_rates(mnist: Data, cell: CellMaker) -> None:
    cells = [
        cell("vae", seed, learning_rate=rate) for seed, rate in enumerate((1e-3, 1e-2, 1e-2, 1e-3))
    ]
    together = trained(cells, mnist, STEPS)
    for index, one in enumerate(cells):
        same(together, index, trained([one], mnist, STEPS))


def test_one_diverging_cell_does_not_touch_its_neighbours(mnist: Data, cell: CellMaker) -> None:
    wild, calm = cell("vae", 1, learning_rate=WILD), [cell("vae", seed) for seed in (0, 2)]
    pack = trained([calm[0], wild, calm[1]], mnist, 30)
    for index, one in ((0, calm[0]), (2, calm[1])):
        same(pack, index, trained([one], mnist, 30))


@pytest.mark.parametrize("most", [0.0, 3600.0])
def test_the_step_of_divergence_is_exact(most: float, mnist: Data, cell: CellMaker) -> None:
    """Checked after every step, and after the ten steps between two curve points."""
    calm, wild = (
        cell("vae", 0, iterations=2000),
        cell("vae", 1, iterations=2000, learning_rate=WILD),
    )
    pack = PackTrainer([calm, wild], mnist)
    while pack.step < 10:
        pack.advance(most)
    losses = [float(step[0]) for step in trained([wild], mnist, 10).learning_curves.recent_losses]
    first = next(
        step for step, loss in enumerate(losses, 1) if not abs(loss) < DIVERGENCE_THRESHOLD
    )
    assert pack.diverged_at.tolist() == [-1, first]
    assert 1 < first < 10


def test_a_pack_of_diverged_cells_stops(mnist: Data, cell: CellMaker) -> None:
    pack = PackTrainer([cell("vae", iterations=400, learning_rate=WILD)], mnist)
    while pack.running:
        pack.advance()
    assert pack.step < 400


@OVER_ARMS
def test_resuming_gives_the_same_bits(
    model: str, supervision: str, mnist: Data, cell: CellMaker
) -> None:
    """Resumed between two points of the curve, which are two steps apart."""
    cells = [cell(model, seed, iterations=400, supervision=supervision) for seed in (0, 1)]
    straight, first = PackTrainer(cells, mnist), PackTrainer(cells, mnist)
    for pack, steps in ((straight, 6), (first, 3)):
        while pack.step < steps:
            pack.advance(max_seconds=0.0)
    second = PackTrainer(
        cells, mnist, states=[stored(first.extract_state(index)) for index in (0, 1)]
    )
    while second.step < 6:
        second.advance()
    for index in (0, 1):
        for name, value in weights(straight, index).items():
            assert torch.equal(value, weights(second, index)[name])
        untimed = [
            {k: v for k, v in point.items() if k != "seconds"} for point in second.curves[index]
        ]
        assert [point["step"] for point in untimed] == [2, 4, 6]
        assert untimed == [
            {k: v for k, v in point.items() if k != "seconds"} for point in straight.curves[index]
        ]


def stored(state: CellState) -> CellState:
    """A state after writing and parsing a checkpoint."""
    content = tensor_file.dump(
        state.tensors, {"step": state.step, "seconds": state.seconds, "curve": state.curve}
    )
    tensors, record = tensor_file.parse(content)
    return CellState(tensors, record["step"], record["seconds"], record["curve"])


def test_an_epoch_shows_every_image_once_in_a_new_order(full_mnist: Data, cell: CellMaker) -> None:
    pack = PackTrainer([cell("vae", iterations=2000)], full_mnist)
    epochs = []
    for epoch in range(2):
        seen = [pack.batches.batch_indices(epoch * 619 + step)[0] for step in range(619)]
        assert [len(seen[0]), len(seen[-1])] == [97, 54]
        epochs.append(torch.cat(seen))
    assert all(torch.equal(order.sort().values, torch.arange(60_000)) for order in epochs)
    assert not torch.equal(*epochs)


def test_streams_are_shared_by_betas_and_models_and_not_by_seeds(
    mnist: Data, cell: CellMaker
) -> None:
    vae, other_beta, gmvae = (
        PackTrainer([c], mnist) for c in (cell("vae"), cell("vae", beta=4.0), cell("gmvae"))
    )
    other_seed = PackTrainer([cell("vae", 1)], mnist)
    assert torch.equal(vae._next_batch()[0].x, other_beta._next_batch()[0].x)
    assert torch.equal(vae._next_batch()[0].x, gmvae._next_batch()[0].x)
    assert not torch.equal(vae._next_batch()[0].x, other_seed._next_batch()[0].x)
    assert torch.equal(vae.params["encoder.net.0.weight"], gmvae.params["encoder.net.0.weight"])


def test_labelled_images_follow_the_seed_a_fixed_draw_or_a_list(
    mnist: Data, cell: CellMaker
) -> None:
    by_seed = [select_labelled(cell("ssvae", seed), mnist, ()).grey for seed in (0, 1)]
    fixed = [
        select_labelled(cell("ssvae", seed, label_draw="draw-7"), mnist, ()).grey for seed in (0, 1)
    ]
    listed = select_labelled(cell("ssvae", label_draw="file-abc", labels=3), mnist, (5, 5, 9))
    assert not torch.equal(*by_seed)
    assert torch.equal(*fixed)
    assert torch.equal(listed.classes, mnist.train_y[[5, 5, 9]])
    assert len(select_labelled(cell("vae"), mnist, ()).grey) == 0


def test_curve_means_add_up_and_end_at_the_last_step(mnist: Data, cell: CellMaker) -> None:
    pack = PackTrainer([cell("ssvae", iterations=7)], mnist)
    while pack.running:
        pack.advance()
    points = pack.curves[0]
    assert [point["step"] for point in points] == list(range(1, 8))
    assert all(point["nelbo"] == pytest.approx(point["kl"] + point["rec"]) for point in points)
    assert points[-1]["accuracy"] is not None


def test_accuracy_is_watched_every_hundred_steps_and_at_the_end(
    mnist: Data, cell: CellMaker
) -> None:
    pack = PackTrainer([cell("ssvae", supervision="supervised", iterations=230)], mnist)
    while pack.running:
        pack.advance()
    watched = [point["step"] for point in pack.curves[0] if point["accuracy"] is not None]
    assert watched == [100, 200, 230]


class Tied(Model):
    """Encoder and decoder share one matrix, as in a tied autoencoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Linear(PIXELS, PIXELS, bias=False)
        self.decoder = torch.nn.Linear(PIXELS, PIXELS, bias=False)
        self.decoder.weight = self.encoder.weight

    def noise(self, batch: int) -> dict[str, Shape]:
        return {"z": (batch, PIXELS)}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        rec = (self.decoder(self.encoder(batch.x)) - batch.x).square().sum(-1)
        return Terms(rec, torch.zeros(()), torch.zeros(()))

    def sample(self, noise: Noise) -> torch.Tensor:
        return torch.sigmoid(self.decoder(noise["z"]))


class Crossed(Model):
    """Two matrices that are each other's gradients, transposed in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(PIXELS))
        self.left = torch.nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4).contiguous())
        self.right = torch.nn.Parameter(torch.linspace(-1, 2, 12).view(4, 3).contiguous())

    def noise(self, batch: int) -> dict[str, Shape]:
        return {}

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        rec = (self.bias - batch.x).square().sum(-1)
        return Terms(rec, torch.zeros(()), (self.left.T * self.right).sum())

    def sample(self, noise: Noise) -> torch.Tensor:
        raise NotImplementedError


class Spread(Crossed):
    """A matrix whose gradient is one number expanded to all elements."""

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        return super().terms(batch, noise)._replace(extra=self.left.sum())


@pytest.mark.parametrize("model", [Crossed, Spread])
def test_any_gradient_layout_trains_like_the_plain_loop(
    model: type[Model], full_mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.plugins.registry._models", {"crossed": model})
    one = Cell("crossed", 0, 10)
    close(
        one,
        weights(trained([one, dataclasses.replace(one, seed=1)], full_mnist, 6), 0),
        plain_loop(one, full_mnist, 6),
    )


def test_tied_weights_stay_tied_and_are_trained(
    mnist: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.plugins.registry._models", {"tied": Tied})
    pack = trained([Cell("tied", 0, 10)], mnist, steps=2)
    (moved,) = (value[0] for value in pack.params.values())
    model = pack.extract_model(0)
    assert isinstance(model, Tied)
    assert model.decoder.weight is model.encoder.weight
    assert torch.equal(model.encoder.weight, moved)


def test_cells_that_differ_in_more_than_scalars_are_no_pack(mnist: Data, cell: CellMaker) -> None:
    with pytest.raises(ValueError, match="differ in more"):
        PackTrainer([cell("vae"), dataclasses.replace(cell("vae"), batch_size=50)], mnist)


@OVER_ARMS
@pytest.mark.parametrize("max_train_bytes", [math.inf, 1000])
def test_a_gpu_step_neither_waits_nor_mixes_devices(
    model: str,
    supervision: str,
    max_train_bytes: float,
    mnist: Data,
    cell: CellMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On torch's meta device, which has no values: reading one is an error.

    This runs the code path of a GPU without one, with training images there or on the CPU.
    """
    away = torch.device("meta")

    def generator(
        seed: int, purpose: str, index: int = 0, device: torch.device | str = "cpu"
    ) -> torch.Generator | None:
        # torch makes none for such a device
        return None if device == away else torch.Generator().manual_seed(0)

    def noise(model: Model, images: int, _: object) -> Noise:
        return {
            name: torch.empty(shape, device=away) for name, shape in model.noise(images).items()
        }

    monkeypatch.setattr(seeding, "generator", generator)
    monkeypatch.setattr("harness.training.batches.draw_noise", noise)
    monkeypatch.setattr(
        "harness.data.labelled_subset.draw_labelled_indices",
        lambda classes, budget, seed, n_classes: torch.arange(budget),
    )
    moved = mnist.to(away, max_train_bytes)
    assert (moved.train_x.device == away) == (max_train_bytes == math.inf)
    pack = trained(mixed(cell, model, supervision)[:3], moved, 2)
    assert {
        tensor.device for tensor in (*pack.params.values(), *pack.learning_curves.recent_losses)
    } == {away}
    assert [step.shape for step in pack.learning_curves.recent_losses] == [(4, 3), (4, 3)]
    with pytest.raises(NotImplementedError, match="no data"):
        pack._detect_divergence(0)


# --- compiled -------------------------------------------------------------------------------------

COMPILES = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None,
    reason="there is no C++ compiler here: neither g++ nor $CXX",
)


class Constant(Crossed):
    """A model with tensors that are neither parameters nor buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.arange(3.0)

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        extra = (self.scale * self.left.T * torch.tensor([1.0, 2.0, 3.0])).sum()
        return super().terms(batch, noise)._replace(extra=extra)


@pytest.fixture
def no_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a C++ compiler on which compiling fails."""

    def broken(*args: object) -> None:
        raise RuntimeError("a fault of the compiler")

    monkeypatch.setattr(compilation, "compile_objective", broken)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


def test_a_prepared_pack_goes_on_from_its_states(mnist: Data, cell: CellMaker) -> None:
    first = PackTrainer([cell("vae")], mnist)
    first.advance()
    second = make_trainer([cell("vae")], mnist, states=[first.extract_state(0)])
    assert second.step == 1
    assert all(torch.equal(value, second.params[name]) for name, value in first.params.items())
