"""Wording of training lengths: full, shortened or longer than the model's full length."""

import pandas as pd


def describe_length(iterations: int, full_length: float) -> str:
    """Word a training length.

    >>> describe_length(600, 30_000)
    'shortened: 600 of 30,000 steps'
    >>> describe_length(20_000, 20_000)
    'full length: 20,000 steps'
    """
    if iterations < full_length:
        return f"shortened: {iterations:,} of {full_length:,.0f} steps"
    if iterations > full_length:
        return f"longer: {iterations:,} steps where {full_length:,.0f} are full length"
    return f"full length: {iterations:,} steps"


def shortened_banner(cells: pd.DataFrame) -> str:
    """Text for the top of the page that lists shortened models; empty if there are none.

    >>> cells = pd.DataFrame({"model": ["vae", "gmvae"], "iterations": 600, "full_length": 20_000})
    >>> shortened_banner(cells)
    'SHORTENED: 600 of 20,000 steps (vae, gmvae)'
    """
    short = cells[cells["iterations"] < cells["full_length"]]
    groups = (
        short.groupby(["iterations", "full_length"], sort=False)["model"].unique().reset_index()
    )
    parts = [
        f"{steps:,} of {full:,.0f} steps ({', '.join(models)})"
        for steps, full, models in groups.to_numpy()
    ]
    return f"SHORTENED: {', '.join(parts)}" if parts else ""
