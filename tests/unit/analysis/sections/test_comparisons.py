"""Comparisons in words and in numbers."""

from typing import Any

import pandas as pd
import pytest

from analysis.rendering.table import to_latex, to_markdown
from analysis.sections.verdicts import (
    build_families,
    family_note,
    headline_sentence,
    terminal_lines,
)

WHY = "better by 2.30 nats [2.00, 2.60], paired t, n = 10, p = 1e-8 (Holm, 3 comparisons)"


def comparison(**values: Any) -> dict[str, Any]:
    """One row of `compare_arms`, updated with `values`."""
    who = {"metric": "nelbo", "evaluation": "test", "a": "gmvae", "b": "vae", "design": "paired"}
    seeds = {"n_a": 10, "n_b": 10, "n_pairs": 10, "mean_a": 97.3, "mean_b": 99.6}
    shown = {
        "difference": -2.3,
        "low": -2.6,
        "high": -2.0,
        "low_adjusted": -2.7,
        "high_adjusted": -1.9,
    }
    tested = {
        "p": 4e-9,
        "p_adjusted": 1.2e-8,
        "correction": "holm",
        "comparisons": 3,
        "p_exact": 0.00195,
    }
    sized = {
        "g": -5.25,
        "superiority": 1.0,
        "correlation": 0.8,
        "p_floor": 0.00195,
        "detectable": 0.4,
    }
    runs: dict[str, Any] = {"p_lost": float("nan")}
    for side, mean in (("a", 97.3), ("b", 99.6)):
        runs |= {f"median_{side}": mean, f"worst_{side}": mean + 1, f"worst_seed_{side}": 3.0}
        runs |= {f"{lost}_{side}": 0 for lost in ("collapsed", "failed", "diverged")}
    asked = {"seeds_needed": 3.0, "margin": float("nan"), "p_equivalence": float("nan")}
    return {
        **who,
        **seeds,
        **shown,
        **tested,
        **sized,
        **asked,
        **runs,
        "verdict": "better",
        "text": WHY,
        "flags": (),
        **values,
    }


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    """Comparisons as a frame."""
    return pd.DataFrame(rows)


def test_a_sentence_says_who_and_why_and_what_to_beware_of() -> None:
    flagged = comparison(flags=("unequal seeds", "failed cells"))
    (family,) = build_families(frame(comparison(), flagged))
    assert family.verdicts[0].sentence == f"gmvae against vae: {WHY}"
    assert family.verdicts[1].sentence == f"gmvae against vae: {WHY} – unequal seeds, failed cells"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("better", "decided"),
        ("worse", "decided"),
        ("equivalent", "equivalent"),
        ("no difference shown", "open"),
        ("too few seeds", "described"),
        ("single run", "described"),
    ],
)
def test_every_verdict_has_a_look(word: str, kind: str) -> None:
    assert build_families(frame(comparison(verdict=word)))[0].verdicts[0].kind == kind


def test_a_family_a_metric_in_the_order_of_the_metrics() -> None:
    found = build_families(
        frame(comparison(metric="subset_nelbo"), comparison(metric="accuracy"), comparison())
    )
    assert [family.name for family in found] == ["nelbo", "accuracy", "subset-nelbo"]
    assert found[2].title == "NELBO on report_subset (the listed images)"
    assert build_families(frame(comparison()).head(0)) == []


def test_the_numbers_carry_unit_interval_and_n() -> None:
    table = build_families(frame(comparison()))[0].tables[0]
    assert table.text.to_dict("records")[0] == {
        "A": "gmvae",
        "B": "vae",
        "Seeds": "paired, n = 10",
        "A (nats)": "97.30",
        "B (nats)": "99.60",
        "A − B (nats) [95 % CI]": "−2.30 [−2.60, −2.00]",
        "p": "4e-9",
        "p adjusted": "1e-8",
        "Verdict": "better",
    }
    assert "Lower is better" in table.caption
    assert "p adjusted by Holm over 3 comparisons" in table.caption
    assert table.values.loc[0, "difference"] == -2.3


def test_accuracies_are_per_cent_and_their_differences_points() -> None:
    row = comparison(
        metric="accuracy",
        mean_a=0.94,
        mean_b=0.75,
        difference=0.19,
        low=0.18,
        high=0.2,
        detectable=0.01,
    )
    first, second, _ = build_families(frame(row))[0].tables
    assert first.text.loc[0, "A (%)"] == "94.00"
    assert first.text.loc[0, "A − B (points) [95 % CI]"] == "19.00 [18.00, 20.00]"
    assert second.text.loc[0, "Detectable (points)"] == "1.00"
    assert "Higher is better" in first.caption


def test_unpaired_arms_tell_both_numbers_of_seeds() -> None:
    row = comparison(
        design="welch", n_b=7, n_pairs=0, correlation=float("nan"), flags=("unequal seeds",)
    )
    first, second, _ = build_families(frame(row))[0].tables
    assert first.text.loc[0, "Seeds"] == "unpaired, n = 10 and 7"
    assert first.text.loc[0, "Verdict"] == "better (unequal seeds)"
    assert "ρ" not in second.text


def test_few_seeds_are_description_only() -> None:
    nothing = float("nan")
    nan = {"low": nothing, "high": nothing, "p": nothing, "p_adjusted": nothing}
    few = comparison(verdict="too few seeds", n_pairs=1, comparisons=0, **nan)
    table = build_families(frame(few))[0].tables[0]
    assert "description only, no verdict" in table.caption
    assert "p adjusted" not in table.caption
    assert "description only" not in build_families(frame(comparison()))[0].tables[0].caption
    assert [table.text.loc[0, name] for name in ("A − B (nats) [95 % CI]", "p")] == ["−2.30", "–"]


def test_effects_show_what_there_is() -> None:
    plain, asked = (
        build_families(frame(comparison()))[0],
        build_families(frame(comparison(margin=0.5, p_equivalence=0.9)))[0],
    )
    assert "Margin (nats)" not in plain.tables[1].text
    assert asked.tables[1].text.loc[0, "Margin (nats)"] == "0.50"
    assert asked.tables[1].text.loc[0, "p equivalence"] == "0.9"
    assert plain.tables[1].text[["Hedges' g", "P(A better)", "ρ"]].to_numpy().tolist()[0] == [
        "−5.25",
        "1.00",
        "0.80",
    ]


def test_the_terminal_gets_some_lines_and_the_number_of_others() -> None:
    sentences = list(
        terminal_lines(
            build_families(
                frame(comparison(), comparison(b="ssvae", verdict="worse"), comparison(b="c"))
            ),
            2,
        )
    )
    assert sentences[0] == "NELBO on the test images, 3 comparisons: 3 better or worse"
    assert sentences[1:] == [
        f"  gmvae against vae: {WHY}",
        f"  gmvae against ssvae: {WHY}",
        "  and 1 more: see the report",
    ]
    assert len(list(terminal_lines(build_families(frame(comparison())), 1))) == 2


def test_pasted_tables_keep_n_and_the_kind_of_interval() -> None:
    for table in build_families(frame(comparison()))[0].tables:
        assert "paired, n = 10" in to_markdown(table)
        assert "paired, n = 10" in to_latex(table)
        assert r"\toprule" in to_latex(table)
        assert "\\small" in to_latex(table)
    assert r"A $-$ B (nats) {[}95 \% CI{]}" in to_latex(
        build_families(frame(comparison()))[0].tables[0]
    )


def test_runs_one_by_one_have_a_table_of_their_own() -> None:
    plain, lost = comparison(), comparison(b="ssvae", collapsed_b=1, diverged_a=2, p_lost=0.47)
    table = build_families(frame(plain, lost))[0].tables[2]
    assert table.name == "runs-nelbo"
    assert table.text.drop(columns=["A", "Seeds"]).to_numpy().tolist() == [
        ["vae", "97.30", "99.60", "98.30", "100.60", "–", "–", "–"],
        ["ssvae", "97.30", "99.60", "98.30", "100.60", "0 and 1", "2 and 0", "0.47"],
    ]
    assert "Failed" not in table.text


def test_a_part_of_the_bound_has_no_better_side() -> None:
    numbers, effects, runs = build_families(
        frame(comparison(metric="kl", verdict="lower", worst_a=float("nan")))
    )[0].tables
    assert numbers.caption.startswith("Neither lower nor higher is better")
    assert "P(A lower)" in effects.text
    assert "Worst A (nats)" not in runs.text
    assert (
        build_families(frame(comparison(metric="kl", verdict="lower")))[0].tally
        == "1 comparison: 1 lower or higher"
    )
    assert (
        build_families(frame(comparison(metric="kl", verdict="lower")))[0].verdicts[0].kind
        == "decided"
    )


def test_infinitely_many_seeds_are_more_than_were_tried() -> None:
    assert (
        build_families(frame(comparison(seeds_needed=float("inf"))))[0]
        .tables[1]
        .text.loc[0, "Seeds for 80 %"]
        == "> 100,000"
    )


def test_the_page_begins_with_the_first_difference_that_is_told() -> None:
    """It shows the amount, its interval and the flags; the test is named at the verdict."""
    open_one = comparison(verdict="no difference shown", text="no difference shown: …")
    found = build_families(frame(open_one, comparison(flags=("adaptive",))))
    assert headline_sentence(found) == (
        "NELBO on the test images: gmvae against vae: better by 2.30 nats [2.00, 2.60] – adaptive "
        "(2 comparisons: 1 no difference shown, 1 better or worse)"
    )
    assert (
        headline_sentence(build_families(frame(open_one)))
        == "NELBO on the test images: 1 comparison: 1 no difference shown"
    )
    assert headline_sentence([]) == ""


def test_each_metric_is_a_family_and_what_this_means_is_told() -> None:
    one, two = (
        frame(comparison()),
        frame(comparison(), comparison(metric="kl"), comparison(metric="kl")),
    )
    assert family_note(one).endswith("in each, the chance of any false difference is at most 5 %.")
    assert family_note(two).endswith(
        "at most 5 %; over these 2 metrics together it can reach 10 %."
    )
    assert "5 % of the reported differences are expected to be false" in family_note(
        two.assign(correction="bh")
    )
    assert family_note(two.assign(p_adjusted=float("nan"))) == ""
