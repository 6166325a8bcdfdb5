"""Several results folders are read as one: duplicates count once, and their order is irrelevant."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compare import compare_two_arms
from analysis.frames import pooled
from harness.errors import InputError
from harness.experiment.cell import Cell
from harness.storage import schema
from harness.storage.store import Store
from tests.unit.analysis.conftest import LISTED, made, row

ARMS = ("model=gmvae", "model=vae")
NOISE = np.random.default_rng(0).normal(size=(6, 2))
Extra = Callable[[int], dict[str, Any]]


def nothing(_: int) -> dict[str, Any]:
    """No additional values."""
    return {}


def folder(at: Path, extra: Extra = nothing, seeds: Sequence[int] = range(6), **more: Any) -> str:
    """A VAE and a GMVAE that is 2 nats better, six seeds each; `extra` updates the GMVAE's rows."""
    for seed in seeds:
        for model, off, own in (("vae", 0.0, {}), ("gmvae", -2.0, extra(seed))):
            nelbo = 100 + seed + off + 0.2 * NOISE[seed, int(model == "vae")]
            values = {"nelbo": nelbo, "rec": nelbo - 19.0, "iwae_10": nelbo - 3} | more | own
            Store(at).write_row(row(made(model, seed), **values))
    return str(at)


def refused(paths: Sequence[str], metric: str) -> str:
    """The reason for which the comparison is refused."""
    with pytest.raises(InputError) as caught:
        compare_two_arms(paths, ARMS, metric, None)
    return str(caught.value)


def test_a_metric_with_two_values_is_refused_in_either_order(tmp_path: Path) -> None:
    """The same cells were scored twice with different results."""
    first = folder(tmp_path / "1")
    second = folder(tmp_path / "2", lambda seed: {"iwae_10": 102.0 + seed})
    message = (
        "seed 0 has different values of iwae_10 in folders 1 and 2; choose one: results=NUMBER"
    )
    assert refused([first, second], "iwae_10") == refused([second, first], "iwae_10") == message
    assert compare_two_arms([first, second], ARMS, "nelbo", None)["verdict"] == "better"


@pytest.mark.parametrize("metric", ["iwae_10", "kl", "rec", "subset_nelbo"])
def test_of_two_rows_the_one_that_is_scored_counts(metric: str, tmp_path: Path) -> None:
    """The order of the folders does not matter."""
    none: dict[str, Any] = {
        "subset_nelbo": None,
        "subset_kl": None,
        "subset_rec": None,
        "iwae_10": None,
    }
    listed: dict[str, Any] = {
        "subset_nelbo": 101.0,
        "subset_kl": 19.0,
        "subset_rec": 82.0,
        "subset_checksum": LISTED,
    }
    bare = folder(tmp_path / "1", **none)
    scored = folder(
        tmp_path / "2",
        lambda seed: {"subset_nelbo": 99.0 + seed, "subset_rec": 80.0 + seed},
        **listed,
    )
    found = [
        compare_two_arms(paths, ARMS, metric, None)
        for paths in ([bare, scored], [scored, bare], [scored])
    ]
    assert found[0] == found[1] == found[2]
    assert (found[0]["n_a"], found[0]["n_b"]) == (6, 6)


def test_what_was_scored_on_different_images_is_refused(tmp_path: Path) -> None:
    listed: dict[str, Any] = {"subset_nelbo": 101.0, "subset_kl": 19.0, "subset_rec": 82.0}
    paths = [folder(tmp_path / str(n), **listed, subset_checksum=str(n) * 64) for n in (1, 2)]
    for order in (paths, paths[::-1]):
        assert "different values of subset_checksum in folders 1 and 2; choose one" in refused(
            order, "subset_nelbo"
        )


def test_a_cell_trained_twice_is_refused_for_every_metric(tmp_path: Path) -> None:
    paths = [
        folder(tmp_path / "1"),
        folder(tmp_path / "2", lambda seed: {"nelbo": 90.0, "rec": 71.0}),
    ]
    assert "different values of nelbo" in refused(paths, "iwae_10")


def test_an_empty_value_hides_no_difference(tmp_path: Path) -> None:
    paths = [folder(tmp_path / str(value), iwae_10=value) for value in (None, 1.0, 2.0)]
    assert "different values of iwae_10 in folders 2 and 3" in refused(paths, "iwae_10")


def test_a_seed_with_two_cells_is_refused_with_a_remedy(tmp_path: Path) -> None:
    """β = 1 and β = 1.0 have two ids and one arm; the remedy works."""
    path, twin = folder(tmp_path / "1"), made("gmvae", 3, beta=1)
    Store(path).write_row(row(twin, nelbo=90.0, kl=19.0, rec=71.0))
    Store(path).compact()
    message = refused([path], "nelbo")
    assert message.startswith("gmvae: seed 3 has several cells of folder 1, ")
    assert {twin.id, made("gmvae", 3).id} <= set(re.findall(r"[0-9a-f]{16}", message))
    assert "remove rows/CELL.json of the others, and results.parquet" in message
    (tmp_path / "1" / "rows" / f"{twin.id}.json").unlink()
    (tmp_path / "1" / "results.parquet").unlink()
    assert compare_two_arms([path], ARMS, "nelbo", None)["n_a"] == 6


def recorded(path: str, run: str, started: str, seeds: Sequence[int]) -> None:
    """A provenance record."""
    record = {"run": run, "started": started, "grid": {"seeds": list(seeds)}}
    Store(path).write(f"provenance/{run}.json", json.dumps(record).encode())


@pytest.mark.parametrize(
    ("second", "flags"), [("2026-01-02", ["adaptive"]), ("2026-01-01T09:01", [])]
)
def test_seeds_of_a_folder_begun_later_are_adaptive(
    second: str, flags: list[str], tmp_path: Path
) -> None:
    paths = []
    for run, started, seeds in (("a", "2026-01-01T09:00", range(3)), ("b", second, range(3, 6))):
        paths.append(folder(tmp_path / run, seeds=seeds, run=run, finished=f"{started[:10]}T12"))
        recorded(paths[-1], run, started, seeds)
    for order in (paths, paths[::-1]):
        found = compare_two_arms(order, ARMS, "nelbo", None)["flags"]
        assert [flag.partition(":")[0] for flag in found] == flags


def test_a_table_without_provenance_says_that_it_is_not_known(tmp_path: Path) -> None:
    flags = compare_two_arms([folder(tmp_path / "1", run="a")], ARMS, "nelbo", None)["flags"]
    assert flags == ["whether seeds were added later is not known"]


Row = Mapping[str, Any]
VALUES = st.sampled_from([None, 1.0, 2.0])
KINDS = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["ok", "failed"]),
        "iwae_10": VALUES,
        "git_commit": st.sampled_from(["a", "b"]),
        "subset_checksum": st.sampled_from([None, LISTED]),
    }
)


GMVAE, VAE = (
    pd.DataFrame([schema.make_row(row(made(model, seed))) for seed in range(5)])
    for model in ("gmvae", "vae")
)
VAE["iwae_10"] = 3 + NOISE[:5, 1]


@settings(deadline=None, max_examples=8)
@given(st.lists(KINDS, min_size=3, max_size=3), st.permutations(range(3)))
def test_the_order_of_the_folders_never_matters(kinds: list[Row], order: list[int]) -> None:
    """Every order gives the same verdict or the same refusal, except for folder numbers."""
    assert compared(kinds) == compared([kinds[place] for place in order])


def compared(kinds: Sequence[Row]) -> object:
    """The comparison of folders with GMVAE rows of these kinds, or the reason for its refusal."""
    found = []
    for number, kind in enumerate(kinds, start=1):
        value = None if kind["iwae_10"] is None else kind["iwae_10"] + NOISE[:5, 0]
        found += [
            GMVAE.assign(**{**kind, "iwae_10": value, "results": number}),
            VAE.assign(results=number),
        ]
    pool = pooled.Pool(
        [str(number) for number in range(len(kinds))], pd.concat(found, ignore_index=True), []
    )
    try:
        rows, a, b = pooled.select_two_arms(pool, ({"model": "gmvae"}, {"model": "vae"}), "iwae_10")
    except InputError as error:
        return re.sub(r"folders [\d and]+", "folders", str(error))
    return a, b, rows.drop(columns="results").map(repr).to_numpy().tolist()


def test_a_cell_of_one_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    path = folder(tmp_path / "1", seeds=[0])
    rows, a, b = pooled.select_two_arms(
        pooled.read_pool([path]), ({"model": "gmvae"}, {"model": "vae"}), "nelbo"
    )
    assert (a, b, rows["seed"].tolist()) == ("gmvae", "vae", [0, 0])
    assert rows["cell"].tolist() == [Cell(**cell_of("gmvae")).id, Cell(**cell_of("vae")).id]


def cell_of(model: str) -> dict[str, Any]:
    """The fields of a model's first cell."""
    return vars(made(model))
