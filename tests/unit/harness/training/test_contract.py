"""The second contract of models: named terms, a loss of its own, classes, progress, loops."""

import pytest
import torch

from harness.data.binarization import scale_to_unit
from harness.errors import InputError
from harness.evaluation.elbo import elbo
from harness.evaluation.importance.iwae import iwae
from harness.evaluation.samples import reconstruct_images
from harness.experiment.cell import Cell
from harness.plugins import registry
from harness.plugins.dataset import Data, DataSpec
from harness.plugins.model import ImportanceWeighted
from harness.training.conformance import contract
from harness.training.trainer import PackTrainer
from tests.unit.harness.evaluation.test_elbo import finish

SOURCE = '''
import torch
from torch import Tensor, nn

from harness.plugins.dataset import DataSpec
from harness.plugins.model import Batch, Model, Noise, Terms
from harness.plugins.registry import register
from models.distributions import bernoulli_nll, kl_standard_normal


class Base(Model):
    def __init__(self, data: DataSpec):
        super().__init__()
        self.decoder = nn.Linear(3, data.dimensions)
        self.mean = nn.Parameter(torch.randn(3))

    def noise(self, batch: int):
        return {"z": (batch, 3)}

    def parts(self, x: Tensor, z: Tensor):
        rec = bernoulli_nll(self.decoder(self.mean + z), x)
        kl = kl_standard_normal(self.mean, torch.ones_like(self.mean)).expand(len(x))
        return rec, kl

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        return Terms(*self.parts(batch.x, noise["z"]))

    def sample(self, noise: Noise) -> Tensor:
        return self.decoder(noise["z"]).sigmoid()


@register("named")
class Named(Base):
    """Two further terms."""

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        further = {"norm": self.mean.square().sum(), "bias": self.decoder.bias.square().sum()}
        return Terms(*self.parts(batch.x, noise["z"]), further=further)


@register("own_loss")
class OwnLoss(Base):
    """It follows twice its bound."""

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        rec, kl = self.parts(batch.x, noise["z"])
        return Terms(rec, kl, loss=2 * (rec + kl))


@register("conditional")
class Conditional(Base):
    """p(x|y): a bias for each class."""

    uses_classes = True

    def __init__(self, data: DataSpec):
        super().__init__(data)
        self.classes = nn.Embedding(data.classes, data.dimensions)

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        known = (batch.y >= 0).float()
        shift = known[:, None] * self.classes(batch.y.clamp(min=0))
        rec = bernoulli_nll(self.decoder(self.mean + noise["z"]) + shift, batch.x)
        return Terms(rec, self.parts(batch.x, noise["z"])[1], extra=known.mean())


@register("weighted_as_before")
class WeightedAsBefore(Base):
    """It uses classes, and its optional methods take none."""

    uses_classes = True

    def log_weight(self, x: Tensor, noise: Noise) -> Tensor:
        return -sum(self.parts(x, noise["z"]))

    def reconstruct(self, x: Tensor, noise: Noise) -> Tensor:
        return self.decoder(noise["z"]).sigmoid()


@register("some_classes")
class SomeClasses(Conditional):
    """Knows the classes of the labelled images alone."""

    supervisions = ("semi-supervised",)

    def __init__(self, data: DataSpec, supervision: str = "semi-supervised"):
        super().__init__(data)


@register("progressing")
class Progressing(Base):
    """Its loss says where the training is."""

    uses_progress = True

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        rec, kl = self.parts(batch.x, noise["z"])
        return Terms(rec, kl, extra=1000 * batch.total + batch.step + 0 * rec.mean())


@register("looping")
class Looping(Base):
    """Draws by itself, looks at values and uses an LSTM."""

    stackable = False

    def __init__(self, data: DataSpec):
        super().__init__(data)
        self.lstm = nn.LSTM(3, 3, batch_first=True)

    def terms(self, batch: Batch, noise: Noise) -> Terms:
        z, _ = self.lstm(torch.randn(len(batch.x), 2, 3))
        weight = 1.0 if float(z.detach().mean()) > 0 else 1.0
        rec, kl = self.parts(batch.x, z[:, -1])
        return Terms(weight * rec, kl)
'''
MODELS = (
    "named",
    "own_loss",
    "conditional",
    "weighted_as_before",
    "some_classes",
    "progressing",
    "looping",
)


@pytest.fixture(autouse=True)
def models() -> None:
    registry.load_source("second_contract.py", SOURCE)


def cells(model: str, seeds: int = 2, **values: object) -> list[Cell]:
    if model == "some_classes":
        values |= {"supervision": "semi-supervised", "labels": 100, "label_draw": "seed"}
    return [Cell(model, seed, 12, **values) for seed in range(seeds)]  # type: ignore[arg-type]


def train(pack: PackTrainer, steps: int) -> PackTrainer:
    while pack.step < steps:
        pack.train_step()
    return pack


def last_losses(pack: PackTrainer) -> torch.Tensor:
    """Loss, rec, kl and extra of the last step: (4, cells)."""
    return pack.learning_curves.recent_losses[-1]


@pytest.mark.parametrize("model", MODELS)
def test_every_promise_is_kept(model: str) -> None:
    faults = {promise: fault for promise, fault in contract.run_checks(cells(model)[0]) if fault}
    assert faults == {}


@pytest.mark.parametrize("model", MODELS)
def test_a_cell_trains_in_a_pack_as_alone_and_resumes_to_the_bit(model: str, mnist: Data) -> None:
    both = train(PackTrainer(cells(model), mnist), 6)
    alone = train(PackTrainer(cells(model)[1:], mnist), 6)
    for name, value in both.params.items():
        torch.testing.assert_close(value[1], alone.params[name][0], rtol=1e-4, atol=1e-5)
    first = train(PackTrainer(cells(model), mnist), 3)
    states = [first.extract_state(index) for index in range(2)]
    resumed = train(PackTrainer(cells(model), mnist, states=states), 6)
    assert all(torch.equal(value, resumed.params[name]) for name, value in both.params.items())


def test_further_terms_have_weights_that_share_a_pack(mnist: Data) -> None:
    weighted = [
        cells("named", 1, term_weights=(("norm", weight),))[0] for weight in (0.0, 0.5, 100.0)
    ]
    assert len({cell.pack_key for cell in weighted}) == 1
    assert len({cell.id for cell in (*weighted, *cells("named", 1))}) == 4
    pack = train(PackTrainer(weighted, mnist), 1)
    start = registry.build(weighted[0]).state_dict()
    mean, bias = start["mean"], start["decoder.bias"]
    expected = [w * float(mean.square().sum()) + float(bias.square().sum()) for w in (0, 0.5, 100)]
    assert last_losses(pack)[3].tolist() == pytest.approx(expected, rel=1e-5)
    loss, rec, kl, extra = last_losses(pack)
    torch.testing.assert_close(loss, rec + kl + extra)


def test_a_weight_of_a_term_that_there_is_not_is_a_violation() -> None:
    violation = contract.find_violation(cells("named", 1, term_weights=(("tc", 6.0),))[0], False)
    assert violation is not None
    assert "has no further term 'tc'" in violation
    assert "expected one of: norm, bias" in violation


def test_a_further_term_cannot_have_the_name_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    model = registry.lookup("named")
    terms = model.terms
    monkeypatch.setattr(
        model,
        "terms",
        lambda self, batch, noise: terms(self, batch, noise)._replace(
            further={"kl": batch.x.sum()}
        ),
    )
    violation = contract.find_violation(cells("named", 1)[0], False)
    assert violation == "model 'named' names a further term 'kl'; expected another name"


def test_a_further_term_is_the_same_for_the_same_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, calls = registry.lookup("named"), iter(range(100))
    terms = model.terms
    monkeypatch.setattr(
        model,
        "terms",
        lambda self, batch, noise: terms(self, batch, noise)._replace(
            further={"count": batch.x.sum() * next(calls)}
        ),
    )
    violation = contract.find_violation(cells("named", 1)[0], False)
    assert violation is not None
    assert "gives another count for the same arguments" in violation


def test_a_loss_of_its_own_is_what_is_minimised(mnist: Data) -> None:
    pack = train(PackTrainer(cells("own_loss", beta=3.0), mnist), 1)
    loss, rec, kl, extra = last_losses(pack)
    torch.testing.assert_close(loss, 2 * (rec + kl))
    assert extra.isnan().all()


def test_classes_are_known_for_all_images_or_for_the_labelled(mnist: Data) -> None:
    all_known = train(PackTrainer(cells("conditional"), mnist), 1)
    assert last_losses(all_known)[3].tolist() == [1.0, 1.0]
    some = PackTrainer(cells("some_classes"), mnist)
    batches = [some.batches.draw(step)[0].y for step in range(21)]  # an epoch
    known = torch.cat([y for y in batches if y is not None], 1)
    assert (known >= 0).sum(1).tolist() == [100, 100]


def test_scoring_gives_classes(mnist: Data) -> None:
    model = registry.build(cells("conditional")[0])
    x = mnist.test_x.float() / 255
    right = finish(elbo(model, x.round(), mnist.test_y))["rec"]
    wrong = finish(elbo(model, x.round(), (mnist.test_y + 1) % 10))["rec"]
    assert right != wrong


def test_optional_methods_without_classes_are_called_as_before(mnist: Data) -> None:
    model = registry.build(cells("weighted_as_before")[0])
    x, y = scale_to_unit(mnist.test_x[:100]).round(), mnist.test_y[:100]
    assert isinstance(model, ImportanceWeighted)
    found = finish(iwae(model, x, (10,), {}, "iwae", y))
    assert found == finish(iwae(model, x, (10,), {}, "iwae"))
    assert reconstruct_images(model, x, 4, 5, y) is not None


def test_progress_is_given(mnist: Data) -> None:
    pack = train(PackTrainer(cells("progressing"), mnist), 5)
    extras = torch.stack(pack.learning_curves.recent_losses)[:, 3, 0]
    assert extras.tolist() == [12_000.0 + step for step in range(5)]


def test_a_loop_is_named_and_draws_from_the_cells_seed(mnist: Data) -> None:
    before = torch.get_rng_state()
    pack = train(PackTrainer(cells("looping"), mnist), 2)
    assert pack.backend == "loop"
    assert torch.equal(torch.get_rng_state(), before)
    assert last_losses(pack)[0, 0] != last_losses(pack)[0, 1]


def test_a_data_set_without_classes_is_refused_to_a_model_that_needs_them() -> None:
    registry.remember_spec("unlabelled", DataSpec((784,)))
    cell = cells("conditional", 1, dataset="unlabelled")[0]
    with pytest.raises(InputError, match="needs classes, and data set 'unlabelled' has none"):
        contract.refuse_missing_classes([cell])
