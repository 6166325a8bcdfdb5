"""The training loop: a pack is its cells trained alone, on real MNIST."""

import dataclasses

import pytest
import torch

from harness import registry, seeding, tensorfile
from harness.contract import PIXELS, Batch, Model, Noise, Shape, Terms, draw_noise
from harness.data import Data, binarise, labelled_indices
from harness.engine import CellState, Pack, labelled
from harness.grid import Cell
from tests.conftest import CellMaker

ARMS = [(name, supervision) for name, card in registry.cards().items() for supervision in card.supervisions]


def trained(cells: list[Cell], data: Data, steps: int) -> Pack:
    pack = Pack(cells, data)
    for _ in range(steps):
        pack.one_step()
    return pack


def weights(pack: Pack, index: int) -> dict[str, torch.Tensor]:
    return {name: value[index].detach() for name, value in pack.params.items()}


def close(cell: Cell, ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    """The same way from the same start, rounding apart: where a gradient is nearly 0, Adam's step has a chance sign."""
    start = registry.build(cell).state_dict()
    for name, value in ours.items():
        way, difference = theirs[name] - start[name], value - theirs[name]
        assert difference.norm() <= 0.02 * way.norm() + 1e-6, name


def plain_loop(cell: Cell, data: Data, steps: int) -> dict[str, torch.Tensor]:
    """The protocol as one would write it for one cell: an eager model, torch's plain Adam, the same streams."""
    model = registry.build(cell)
    optimizer = torch.optim.Adam(model.parameters(), lr=cell.learning_rate)
    order = torch.randperm(60_000, generator=seeding.generator(cell.seed, "order", 0))
    few = labelled_indices(data.train_y, cell.labels, cell.seed)
    for step in range(steps):
        draws = seeding.generator(cell.seed, "binarisation", step)
        indices = order[step * 97 : (step + 1) * 97] if cell.has_bound else order[:0]
        batch = Batch(binarise(data.train_x[indices], draws), binarise(data.train_x[few], draws), data.train_y[few])
        noise = draw_noise(model, len(indices), seeding.generator(cell.seed, "noise", step))
        terms = model.terms(batch, noise)
        optimizer.zero_grad()
        (terms.rec + cell.beta * terms.kl + terms.extra).mean().backward()
        optimizer.step()
    return {name: value.detach() for name, value in model.named_parameters()}


@pytest.mark.parametrize(("model", "supervision"), ARMS, ids=[f"{m}-{s}" for m, s in ARMS])
def test_the_engine_is_the_plain_loop(model: str, supervision: str, mnist: Data, cell: CellMaker) -> None:
    """Catches, among others, a fused optimiser that reads transposed gradients in the wrong order."""
    one = cell(model, beta=1.0 if supervision == "supervised" else 2.0, supervision=supervision)
    close(one, weights(trained([one], mnist, 4), 0), plain_loop(one, mnist, 4))


@pytest.mark.parametrize(("model", "supervision"), ARMS, ids=[f"{m}-{s}" for m, s in ARMS])
def test_a_cell_does_not_depend_on_its_pack(model: str, supervision: str, mnist: Data, cell: CellMaker) -> None:
    betas = (1.0, 1.0, 1.0) if supervision == "supervised" else (1.0, 4.0, 0.5)
    cells = [cell(model, seed, beta=beta, supervision=supervision) for seed, beta in enumerate(betas)]
    together, reversed_ = trained(cells, mnist, 5), trained(cells[::-1], mnist, 5)
    for index, one in enumerate(cells):
        alone = weights(trained([one], mnist, 5), 0)
        close(one, weights(together, index), alone)
        close(one, weights(reversed_, 2 - index), alone)


def test_one_diverging_cell_does_not_touch_its_neighbours(mnist: Data, cell: CellMaker) -> None:
    calm = cell("vae")
    wild = cell("vae", 1, learning_rate=1e6)
    pack = trained([wild, calm], mnist, 12)
    assert 0 < pack.diverged_at[0] <= 12
    assert pack.diverged_at[1] == -1
    close(calm, weights(pack, 1), weights(trained([calm], mnist, 12), 0))


def test_a_pack_of_diverged_cells_stops(mnist: Data, cell: CellMaker) -> None:
    pack = Pack([cell("vae", iterations=400, learning_rate=1e6)], mnist)
    while pack.running:
        pack.advance()
    assert pack.step < 400


@pytest.mark.parametrize(("model", "supervision"), ARMS, ids=[f"{m}-{s}" for m, s in ARMS])
def test_resuming_gives_the_same_bits(model: str, supervision: str, mnist: Data, cell: CellMaker) -> None:
    cells = [cell(model, seed, iterations=6, supervision=supervision) for seed in (0, 1)]
    straight, first = Pack(cells, mnist), Pack(cells, mnist)
    for _ in range(6):
        straight.advance()
    for _ in range(3):
        first.advance()
    second = Pack(cells, mnist, state=[stored(first.state(index)) for index in (0, 1)])
    while second.running:
        second.advance()
    for index in (0, 1):
        for name, value in weights(straight, index).items():
            assert torch.equal(value, weights(second, index)[name])
        untimed = [{k: v for k, v in point.items() if k != "seconds"} for point in second.curves[index]]
        assert untimed == [{k: v for k, v in point.items() if k != "seconds"} for point in straight.curves[index]]


def stored(state: CellState) -> CellState:
    """A state after a trip through the bytes of a checkpoint."""
    content = tensorfile.dump(state.tensors, {"step": state.step, "seconds": state.seconds, "curve": state.curve})
    tensors, record = tensorfile.parse(content)
    return CellState(tensors, record["step"], record["seconds"], record["curve"])


def test_an_epoch_shows_every_image_once_and_the_next_another_order(mnist: Data, cell: CellMaker) -> None:
    pack = Pack([cell("vae", iterations=2000)], mnist)
    epochs = []
    for epoch in range(2):
        seen = []
        for step in range(619):
            pack.step = epoch * 619 + step
            seen.append(pack._order(0))
        assert [len(seen[0]), len(seen[-1])] == [97, 54]
        epochs.append(torch.cat(seen))
    assert all(torch.equal(order.sort().values, torch.arange(60_000)) for order in epochs)
    assert not torch.equal(*epochs)


def test_streams_are_shared_by_betas_and_models_and_not_by_seeds(mnist: Data, cell: CellMaker) -> None:
    vae, other_beta, gmvae = (Pack([c], mnist) for c in (cell("vae"), cell("vae", beta=4.0), cell("gmvae")))
    other_seed = Pack([cell("vae", 1)], mnist)
    assert torch.equal(vae._batch(0).x, other_beta._batch(0).x)
    assert torch.equal(vae._batch(0).x, gmvae._batch(0).x)
    assert not torch.equal(vae._batch(0).x, other_seed._batch(0).x)
    assert torch.equal(vae.params["encoder.net.0.weight"], gmvae.params["encoder.net.0.weight"])


def test_labelled_images_follow_the_seed_a_fixed_draw_or_a_list(mnist: Data, cell: CellMaker) -> None:
    by_seed = [labelled(cell("ssvae", seed), mnist, ()).grey for seed in (0, 1)]
    fixed = [labelled(cell("ssvae", seed, label_draw="draw-7"), mnist, ()).grey for seed in (0, 1)]
    listed = labelled(cell("ssvae", label_draw="file-abc", labels=3), mnist, (5, 5, 9))
    assert not torch.equal(*by_seed)
    assert torch.equal(*fixed)
    assert torch.equal(listed.classes, mnist.train_y[[5, 5, 9]])
    assert len(labelled(cell("vae"), mnist, ()).grey) == 0


def test_the_curve_has_means_that_add_up_and_ends_at_the_last_step(mnist: Data, cell: CellMaker) -> None:
    pack = Pack([cell("ssvae", iterations=7)], mnist)
    while pack.running:
        pack.advance()
    points = pack.curves[0]
    assert [point["step"] for point in points] == list(range(1, 8))
    assert all(point["nelbo"] == pytest.approx(point["kl"] + point["rec"]) for point in points)
    assert points[-1]["accuracy"] is not None


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


def test_tied_weights_stay_tied_and_are_trained(mnist: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.registry._models", {"tied": Tied})
    pack = trained([Cell("tied", 0, 10)], mnist, steps=2)
    (moved,) = (value[0] for value in pack.params.values())
    model = pack.trained(0)
    assert isinstance(model, Tied)
    assert model.decoder.weight is model.encoder.weight
    assert torch.equal(model.encoder.weight, moved)


def test_cells_that_differ_in_more_than_scalars_are_no_pack(mnist: Data, cell: CellMaker) -> None:
    with pytest.raises(ValueError, match="differ in more"):
        Pack([cell("vae"), dataclasses.replace(cell("vae"), batch_size=50)], mnist)
