"""Compare packed with solo seeds: ten of each at full length, Welch's test for each score.

    python benchmarks/packs.py

Reads benchmarks/packs/solo.parquet and packed.parquet: rows of `vae`, 20,000 steps, other seeds in
each, so that the two samples are independent. Writes packs.md beside itself.
"""

from pathlib import Path

import pandas as pd
from scipy import stats

HERE = Path(__file__).parent
SCORES = {
    "nelbo": "NELBO, `test`",
    "kl": "KL, `test`",
    "rec": "reconstruction, `test`",
    "subset_nelbo": "NELBO, `report_subset`",
    "subset_kl": "KL, `report_subset`",
}


def main() -> None:
    """Print and write the table."""
    solo, packed = (
        pd.read_parquet(HERE / "packs" / f"{name}.parquet") for name in ("solo", "packed")
    )
    assert not set(solo.seed) & set(packed.seed)
    lines = [
        "# Packed seeds against solo seeds",
        "",
        f"`vae`, β = 1, {packed.iterations.iloc[0]:,} steps on MNIST; {len(solo)} seeds trained "
        f"alone, {len(packed)} "
        f"others in one pack of {packed.pack.iloc[0]}. Nats per image, mean ± SE; Welch's test, "
        f"95 % interval of the "
        "difference.",
        "",
        "| score | solo | packed | packed - solo | p |",
        "|---|---|---|---|---|",
    ]
    for column, name in SCORES.items():
        found = stats.ttest_ind(packed[column], solo[column], equal_var=False)
        interval = found.confidence_interval()
        both = (solo[column].to_numpy(), packed[column].to_numpy())
        means = [(float(values.mean()), float(stats.sem(values))) for values in both]
        each = " | ".join(f"{mean:.2f} ± {error:.2f}" for mean, error in means)
        difference = means[1][0] - means[0][0]
        lines.append(
            f"| {name} | {each} | {difference:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}] "
            f"| {found.pvalue:.2f} |"
        )
    (HERE / "packs.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
