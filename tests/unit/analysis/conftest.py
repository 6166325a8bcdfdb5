"""Results folders of made-up numbers in the format of the harness."""

import io
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.frames.arm_names import row_arm_names
from analysis.frames.arm_table import count_cells, estimate_arms, scale_estimates
from analysis.frames.metrics import describe_metrics
from harness.experiment.cell import Cell
from harness.storage.schema import describe_cell
from harness.storage.store import Store

STEPS = {"vae": 20_000, "gmvae": 20_000, "ssvae": 30_000}
SETTINGS: dict[str, tuple[tuple[str, Any], ...]] = {
    "vae": (("z", 10),),
    "gmvae": (("k", 500), ("z", 10)),
    "ssvae": (("class_weight", 100.0), ("z", 64)),
}
HOSTILE = "<script>alert('x')</script> & | \\ _ $x$ [red]"
# SHA-256 of the source report's list of images.
LISTED = "46829653e16f7f05ba10ac6304f3e7e276c3da0379d86d1d5d8e7af43f8d1e1f"


def made(model: str, seed: int = 0, **values: Any) -> Cell:
    """A cell at its model's full length, with the protocol's settings: `made("vae", seed=1,
    beta=4.0)`.
    """
    drawn: dict[str, Any] = (
        {"labels": 100, "label_draw": "seed"} if values.get("supervision") else {}
    )
    usual: dict[str, Any] = {
        "iterations": STEPS.get(model, 10),
        "settings": SETTINGS.get(model, ()),
    }
    return Cell(model, seed, **(usual | drawn | values))


def row(cell: Cell, status: str = "ok", **values: Any) -> dict[str, Any]:
    """A row as the harness writes it, updated with `values`."""
    always = {
        "grid": "made-up",
        "status": status,
        "full_length": STEPS.get(cell.model, 10),
        "device": "cpu: none",
    }
    machine = {
        "git_commit": "c0ffee",
        "versions": json.dumps({"torch": "2.9"}),
        "finished": "2026-01-01T00:00:00",
    }
    found = scores(cell) if status == "ok" else {"error": "RuntimeError: no reason"}
    return {
        **always,
        **machine,
        "seeded": "weights,order",
        **found,
        **describe_cell(cell),
        **values,
    }


def scores(cell: Cell) -> dict[str, Any]:
    """Scores that differ by model, β and seed, and whose parts add up."""
    off = 0.4 * (cell.seed % 5)
    found: dict[str, Any] = {
        "parameters": 1000 * len(cell.model),
        "train_seconds": 60.0,
        "score_seconds": 5.0,
    }
    if cell.supervision != "none":
        found["accuracy"] = (0.75 if cell.supervision == "supervised" else 0.93) + off / 100
    if cell.has_bound:
        found |= {"nelbo": 100.0 + off, "kl": 19.0, "rec": 81.0 + off}
        found |= {"digit_counts": [1000] * 10, "digit_counts_200": [20] * 10}
        found |= {"judge_accuracy": 0.99, "judge_accuracy_binary": 0.98}
    return found


def on_subset(cell: Cell, checksum: str = LISTED) -> dict[str, Any]:
    """The additional scores of a cell on the report's list of images."""
    off = 0.25 * (cell.seed % 5)
    bounds = {"subset_nelbo": 101.8 + off, "subset_kl": 19.0, "subset_rec": 82.8 + off}
    draws = {
        "subset_iwae_10": 98.5 + off,
        "subset_iwae_100": 97.5 + off,
        "subset_iwae_1000": 97.0 + off,
    }
    return bounds | draws | {"subset_checksum": checksum}


def curve(cell: Cell) -> list[dict[str, Any]]:
    """A learning curve of four points."""
    found = []
    for step in (1, 10, 100, cell.iterations):
        watched = {"accuracy": 0.9 - 0.5 / step} if cell.supervision != "none" else {}
        losses = (
            {"nelbo": 100 + 400 / step + cell.seed, "kl": 20.0, "rec": 80 + 400 / step}
            if cell.has_bound
            else {}
        )
        found.append({"step": step, "extra": 0.0, "seconds": 0.1 * step, **losses, **watched})
    return found


def gallery(store: Store, cell: Cell) -> None:
    """Write a small picture as the samples of a cell."""
    picture(store, f"samples/{cell.id}.png")


def frame(rows: Iterable[dict[str, Any]], root: Path) -> pd.DataFrame:
    """A results table with `arm`, as the analysis reads it."""
    store = Store(root)
    for values in rows:
        store.write_row(values)
    found = store.frame()
    return found.assign(arm=row_arm_names(found))


def estimate_all(rows: pd.DataFrame) -> pd.DataFrame:
    """The estimates of every metric of these rows, in its unit."""
    return scale_estimates(estimate_arms(rows, count_cells(rows), list(describe_metrics(rows))))


def arms(seeds: int = 3) -> list[Cell]:
    """A VAE with β 1 and 4, a shortened GMVAE and both arms of an SSVAE."""
    seeds_of = [
        [made("vae", seed), made("vae", seed, beta=4.0), made("gmvae", seed, iterations=1000)]
        + [made("ssvae", seed, supervision=kind) for kind in ("supervised", "semi-supervised")]
        for seed in range(seeds)
    ]
    return [cell for cells in seeds_of for cell in cells]


FrameMaker = Callable[..., pd.DataFrame]


@pytest.fixture
def results(tmp_path: Path) -> FrameMaker:
    """A results table of these rows: `results(row(...), row(...))`."""
    return lambda *rows: frame(rows, tmp_path / "results")


def write_full_results(root: Path) -> Store:
    """A results folder with everything that a report shows, including failures."""
    store = Store(root)
    for cell in arms():
        subset = on_subset(cell) if cell.supervision == "none" else {}
        store.write_row(row(cell, **subset))
        store.write_curve(cell.id, curve(cell))
        if cell.has_bound:
            gallery(store, cell)
    store.write_row(row(made("vae", seed=7), "failed", error=HOSTILE))
    store.write_row(
        row(
            replace(made("vae", seed=8), beta=4.0),
            "diverged",
            error="the loss was not finite at step 5",
        )
    )
    store.write(
        "provenance/run.json",
        json.dumps({"command": f"bench {HOSTILE}", "started": "2026"}).encode(),
    )
    store.compact()
    return store


@pytest.fixture
def full(tmp_path: Path) -> Store:
    """An own results folder with everything that a report shows."""
    return write_full_results(tmp_path / "results")


def write_significant_results(root: Path, seeds: int = 6) -> Store:
    """A results folder with significant differences, noise and a hostile failure."""
    store = Store(root)
    for cell in arms(seeds):
        store.write_row(row(cell, **noisy(cell)))
        if cell.has_bound and cell.seed == 0:
            for kind in ("samples", "reconstructions", "traversals"):
                picture(store, f"{kind}/{cell.id}.png")
    store.write_row(
        row(made("gmvae", seeds, settings=(("k", 500), ("z", HOSTILE))), "failed", error=HOSTILE)
    )
    compare = {"metrics": ["nelbo", "accuracy"], "correction": "holm", "margin": {"nelbo": 0.5}}
    run = {
        "command": f"bench {HOSTILE}",
        "started": "2026",
        "cells": 99,
        "grid": {"name": "made-up", "compare": compare},
    }
    store.write("provenance/run.json", json.dumps(run).encode())
    store.compact()
    return store


def noisy(cell: Cell) -> dict[str, Any]:
    """Scores with noise that depends on the cell alone; β = 1 has the lowest NELBO."""
    noise = np.random.default_rng([cell.seed, round(8 * cell.beta), len(str(cell))]).normal(
        0, 0.2, 2
    )
    found: dict[str, Any] = {"accuracy": 0.75 + noise[0] / 20} if cell.supervision != "none" else {}
    if cell.supervision == "semi-supervised":
        found["accuracy"] += 0.19
    if cell.has_bound:
        kl, rec = (
            19.0 - 2 * math.log2(cell.beta) + noise[0],
            81.0 + 3 * math.log2(cell.beta) + noise[1],
        )
        found |= {"nelbo": kl + rec, "kl": kl, "rec": rec}
    return found


def picture(store: Store, key: str) -> None:
    """Write a small picture under a key."""
    sink = io.BytesIO()
    Image.new("L", (20, 10), 128).save(sink, "PNG")
    store.write(key, sink.getvalue())
