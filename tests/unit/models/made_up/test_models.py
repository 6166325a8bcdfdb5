"""The models of the field are registered, documented and keep the contract."""

import sys

import pytest
import torch

from harness.errors import InputError
from harness.evaluation import samples, scored_images
from harness.plugins import registry, source_files
from harness.plugins.dataset import Data
from harness.training.conformance import contract
from tests.conftest import ROOT
from tests.unit.models.made_up.conftest import (
    EXAMPLES,
    NAMES,
    SHIPPED,
    ExampleCell,
    list_plugins,
)

OVER_NAMES = pytest.mark.parametrize("name", NAMES)
# images of another kind or shape than the model takes
REFUSED = {"pythae"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_file_registers_one_model_of_its_name(name: str, example: ExampleCell) -> None:
    example(name)
    (plugin,) = source_files.read_plugins(list_plugins(name))
    assert [model for model in registry.cards() if registry.find_plugin(model) == plugin] == [name]


@OVER_NAMES
def test_the_file_says_how_it_is_run_and_what_it_is(name: str, example: ExampleCell) -> None:
    example(name)
    module = sys.modules[registry.lookup(name).__module__]
    assert "Source: " in (module.__doc__ or "") or name in EXAMPLES
    assert f"--plugin examples/{name}.py" in (module.__doc__ or "") or name in SHIPPED
    assert registry.cards()[name].story.startswith("p(")
    documented = (ROOT / "docs" / "plug-ins.md").read_text(encoding="utf-8")
    assert (f"examples/{name}.py" if name in EXAMPLES else f"| `{name}` |") in documented


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_gives_way_to_a_plugin_of_its_name(name: str) -> None:
    source = (
        "from harness.plugins.registry import register\nfrom models.vae import VAE\n"
        f'@register("{name}")\nclass Own(VAE):\n    """p(z) = N(0, I)"""\n'
    )
    shipped = registry.lookup(name)
    plugin = source_files.plugin_from_text("own.py", source)
    with registry.unload_afterwards():
        registry.load(plugin)
        assert registry.lookup(name).__name__ == "Own"
        assert registry.describe_replaced_models([plugin]) == [
            f"model '{name}' is that of plug-in 'own.py', not the shipped one"
        ]
        with pytest.raises(InputError, match=f"^model name '{name}' is taken by plugin_own_py"):
            registry.load_source("other.py", source)
    assert registry.lookup(name) is shipped


@pytest.mark.parametrize("name", EXAMPLES)  # test_contract.py has the shipped models
def test_an_example_keeps_the_contract(name: str, example: ExampleCell) -> None:
    faults = [fault for _, fault in contract.run_checks(example(name)) if fault]
    assert faults == []


@OVER_NAMES
def test_an_example_takes_colour_images(name: str, example: ExampleCell) -> None:
    cell = example(name, dataset="made_up_colour")
    if name in REFUSED:
        with pytest.raises(InputError, match="expected binary"):
            registry.build(cell)
    else:
        assert [fault for _, fault in contract.run_checks(cell) if fault] == []


def test_pictures_of_a_model_that_draws_are_the_same_every_time(
    example: ExampleCell, data: Data
) -> None:
    model = registry.build(example("pythae")).eval()
    images = scored_images.prepare_test_images(data)
    first, second = (samples.reconstruct_images(model, images, 4, 5) for _ in range(2))
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


def test_without_pythae_one_line_names_the_extra(
    example: ExampleCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pythae", None)
    with pytest.raises(InputError, match=r"pip install 'generative-bench\[pythae\]'$"):
        registry.build(example("pythae"))
