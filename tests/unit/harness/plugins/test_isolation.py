"""Changes of other modules by a plug-in are found, undone and applied again."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from harness.plugins import isolation
from harness.plugins.isolation import (
    Change,
    add_changes,
    drop_changes,
    only_changes,
    record_changes,
)
from harness.training import trainer
from harness.training.optimization import adam


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """No changes are active after a test."""
    yield
    drop_changes(list(isolation._active))


def present() -> Any:
    """The values that most tests here change."""
    return trainer.DIVERGENCE_THRESHOLD


def changed(text: str, **names: Any) -> tuple[Change, ...]:
    """The active changes that code made."""
    changes = record_changes(
        lambda: exec(text, {"adam": adam, "engine": trainer, "torch": torch, "np": np} | names),
        [text],
    )
    add_changes(changes)
    return changes


def test_changed_attributes_are_undone_and_made_again() -> None:
    held = trainer.DIVERGENCE_THRESHOLD, adam.Adam.apply_gradients, torch.nn.Linear.forward
    changes = changed(
        "engine.DIVERGENCE_THRESHOLD = 1\n"
        "adam.Adam.apply_gradients = print\n"
        "setattr(torch.nn.Linear, 'forward', len)"
    )
    where = {
        "harness.training.trainer.DIVERGENCE_THRESHOLD",
        "harness.training.optimization.adam.Adam.apply_gradients",
        "torch.nn.modules.linear.Linear.forward",
    }
    assert {change.name for change in changes} == where

    def three() -> tuple[object, ...]:
        return present(), adam.Adam.apply_gradients, torch.nn.Linear.forward

    assert three() == (1, print, len)
    with only_changes(()):
        assert three() == held
        with only_changes(changes):
            assert three() == (1, print, len)
        assert three() == held
    assert three() == (1, print, len)
    drop_changes(changes)
    assert three() == held


def test_what_is_new_goes_and_what_was_deleted_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Child(torch.nn.Linear):
        pass

    Child.__module__ = "harness.child"
    monkeypatch.setattr(trainer, "Child", Child, raising=False)
    changes = changed(
        "engine.Child.forward = len\nengine.brand_new = 1\ndel engine.DIVERGENCE_THRESHOLD"
    )
    assert len(changes) == 3
    assert "forward" in vars(Child)
    with only_changes(()):
        assert Child.forward is torch.nn.Linear.forward
        assert not hasattr(trainer, "brand_new")
        assert trainer.DIVERGENCE_THRESHOLD == 1e9
    assert not hasattr(trainer, "DIVERGENCE_THRESHOLD")


def test_settings_of_torch_and_numpy_are_changes_too() -> None:
    changes = changed(
        "torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False); "
        "np.seterr(all='raise')\n"
        "torch.set_float32_matmul_precision('medium')\n"
        "torch.set_default_device('meta')"
    )
    assert len(changes) == 5
    with only_changes(()):
        assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)
        assert torch.get_float32_matmul_precision() == "highest"
        assert torch.ones(1).device.type == "cpu"
    assert torch.get_default_dtype() == torch.float64
    assert np.geterr()["over"] == "raise"


def test_a_setting_that_a_cell_changes_goes_with_it() -> None:
    with only_changes(()):
        torch.set_default_dtype(torch.float64)
    assert torch.get_default_dtype() == torch.float32


def test_threads_are_the_commands_to_say() -> None:
    before = torch.get_num_threads()
    assert changed("torch.set_num_threads(torch.get_num_threads() + 1)") == ()
    assert torch.get_num_threads() == before


def test_two_plugins_that_change_the_same_are_independent() -> None:
    original = trainer.DIVERGENCE_THRESHOLD
    text = "engine.DIVERGENCE_THRESHOLD = (name, engine.DIVERGENCE_THRESHOLD)"
    first, second = (changed(text, name=name) for name in "ab")
    for name, changes in (("a", first), ("b", second)):
        with only_changes(changes):
            assert present() == (name, original)
    assert present() == ("b", original)
    drop_changes(second)
    assert present() == ("a", original)


def test_a_text_that_fails_leaves_nothing() -> None:
    held = trainer.DIVERGENCE_THRESHOLD
    with pytest.raises(ZeroDivisionError):
        changed("engine.DIVERGENCE_THRESHOLD = 1\ntorch.set_default_dtype(torch.float64)\n1 / 0")
    assert (trainer.DIVERGENCE_THRESHOLD, torch.get_default_dtype()) == (held, torch.float32)


def test_what_changes_without_the_texts_word_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch, for example, replaces functions when parts of it are first imported.

    Newly imported modules are new names and no changes.
    """
    fake = ModuleType("torch.a_part")
    monkeypatch.setitem(sys.modules, "torch.a_part", fake)

    def work() -> None:
        trainer.DIVERGENCE_THRESHOLD = 7.0
        trainer.later = fake  # type: ignore[attr-defined]

    monkeypatch.setattr(trainer, "DIVERGENCE_THRESHOLD", trainer.DIVERGENCE_THRESHOLD)
    monkeypatch.setattr(trainer, "later", None, raising=False)
    del trainer.later  # type: ignore[attr-defined]
    assert record_changes(work, ["self.DIVERGENCE_THRESHOLD = 7; x.later = 3"]) == ()
    assert trainer.DIVERGENCE_THRESHOLD == 7.0
