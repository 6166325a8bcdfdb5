"""A trainer that compiles its objective leaves a note of it on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_unflatten

from harness.plugins.dataset import Data
from harness.training import compilation
from harness.training.compiled_code import is_compiled, note_compiled
from harness.training.trainer import PackTrainer
from tests.conftest import CellMaker


def test_what_a_trainer_compiled_is_known_afterwards(
    cell: CellMaker, mnist: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep_eager(
        function: Callable[..., Any], example: list[Tensor], structure: TreeSpec, threads: int
    ) -> Callable[[list[Tensor]], Any]:
        return lambda tensors: function(*tree_unflatten(tensors, structure))

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compilation, "compile_function", keep_eager)
    compilation._compile_cached.cache_clear()
    pair, threads = [cell("vae", seed) for seed in range(2)], torch.get_num_threads()
    kind = pair[0].pack_key
    assert not is_compiled(kind, 2, threads)
    PackTrainer(pair, mnist, compiled=True).train_step()
    compilation._compile_cached.cache_clear()
    assert is_compiled(kind, 2, threads)
    assert not is_compiled(kind, 1, threads)


def test_a_user_without_a_name_has_notes_too(
    cell: CellMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's number is in no list of users, as in containers."""

    def fail() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("getpass.getuser", fail)
    kind = cell("vae").pack_key
    assert not is_compiled(kind, 3, 1)
    note_compiled(kind, 3, 1)
    assert is_compiled(kind, 3, 1)
