"""The moving average of the weights, and the best weights."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.testing import assert_close

from harness.experiment.recipe import Recipe
from harness.training.optimization.scored_weights import ScoredWeights


def draw_params(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {"weight": torch.randn(2, 1, 3, generator=generator)}


def test_the_average_is_torchs() -> None:
    decay = 0.7
    layer = nn.Linear(3, 1, bias=False)
    expected = AveragedModel(layer, multi_avg_fn=get_ema_multi_avg_fn(decay))
    weights = ScoredWeights([Recipe(ema=decay), Recipe()], draw_params(0), {})
    for step in range(5):
        params = draw_params(step + 1)
        with torch.no_grad():
            layer.weight.copy_(params["weight"][0])
        expected.update_parameters(layer)
        weights.average_params(params, step)
        (average,) = expected.parameters()
        assert_close(weights.select_present(0, params)["weight"], average.detach())
        # a cell without an average
        assert torch.equal(weights.select_present(1, params)["weight"], params["weight"][1])


def test_only_cells_with_an_average_save_it() -> None:
    weights = ScoredWeights([Recipe(ema=0.5), Recipe()], draw_params(0), {})
    assert set(weights.state(0)["average"]) == {"weight"}
    assert weights.state(1)["average"] == {}
    assert ScoredWeights([Recipe()], draw_params(0), {}).average == {}


def test_the_best_weights_are_kept_for_one_cell() -> None:
    recipes = [Recipe(keep="best"), Recipe(keep="best", ema=0.5)]
    state = {"count": torch.zeros(2)}
    weights = ScoredWeights(recipes, draw_params(0), state)
    weights.average_params(draw_params(1), 0)
    weights.average_params(draw_params(2), 1)
    present = draw_params(2) | {"count": torch.tensor([5.0, 7.0])}
    weights.keep(1, weights.select_present(1, present))
    kept = weights.state(1)["best"]
    mean = (draw_params(1)["weight"][1] + draw_params(2)["weight"][1]) / 2
    assert_close(kept["weight"], mean)
    assert float(kept["count"]) == 7.0
    assert torch.equal(weights.state(0)["best"]["weight"], draw_params(0)["weight"][0])
