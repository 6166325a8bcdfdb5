"""The published figures, as printed, and those of a user's file."""

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from analysis.reproduction import references
from analysis.reproduction.references import REFERENCES_FILE, PrintedValue, load
from harness.errors import InputError
from tests.unit.analysis.conftest import LISTED

OWN: dict[str, Any] = {
    "name": "mine",
    "source": "my paper, table 7",
    "origin": "published",
    "table": "table-1",
    "evaluation": "test",
    "model": "vae",
    "n": 12,
    "figures": {"nelbo": {"mean": "99.5", "sd": "0.3"}},
}
SEEN: dict[str, Any] = {"name": "mine", "source": "my paper", "origin": "published", "model": "vae"}


def test_the_source_report_as_protocol_says() -> None:
    found = {(r.table, r.evaluation, r.name, r.supervision): r for r in load().references}
    first = found["table-1", "report_subset", "source report", "none"]
    assert {name: (str(f.mean), str(f.se)) for name, f in first.figures.items()} == {
        "nelbo": ("101.31", "0.08"),
        "kl": ("19.33", "0.04"),
        "rec": ("81.98", "0.10"),
    }
    staff = found["table-1", "report_subset", "staff runs", "none"]
    assert (staff.n, staff.figures["nelbo"].spread) == (100, (Decimal("0.55"), "SD"))
    third = found["table-3", "test", "source report", "semi-supervised"]
    assert (third.n, third.figures["accuracy"].mean) == (1, Decimal("95.45"))
    assert load().report_subset == LISTED


def deviation(n: int | None, **printed: str) -> float:
    """The SD of one run that follows from these printed figures."""
    return PrintedValue.model_validate({"mean": "1", **printed}).standard_deviation(n)


def test_a_run_varies_by_its_sd_or_by_its_se_times_the_root_of_n() -> None:
    assert deviation(100, se="0.08") == pytest.approx(0.8)
    assert deviation(13, se="0.08", sd="0.30") == 0.3
    assert math.isnan(deviation(None, se="0.08"))
    assert math.isnan(deviation(100))


def test_where_se_and_sd_are_both_printed_they_agree_to_rounding() -> None:
    both = [
        (r.n, f.se, f.sd) for r in load().references for f in r.figures.values() if f.se and f.sd
    ]
    assert len(both) == 6
    for n, se, sd in both:
        assert deviation(n, sd=str(sd)) / math.sqrt(n or 0) == pytest.approx(float(se), abs=0.0051)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('mean: "101.31"', "mean: 101.31"),
        ('figures: {accuracy: {mean: "75.97"}}', 'figures: {accuracy: {mean: "75.97", se: "0.1"}}'),
        ('figures: {accuracy: {mean: "75.97"}}', 'figures: {precision: {mean: "75.97"}}'),
        ("evaluation: report_subset", "evaluation: validation"),
        ("    origin: published\n", ""),
    ],
)
def test_a_figure_without_its_kind_set_or_source_is_refused(
    old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = REFERENCES_FILE.read_text(encoding="utf-8")
    assert old in text
    changed = tmp_path / "references.yaml"
    changed.write_text(text.replace(old, new, 1), encoding="utf-8")
    monkeypatch.setattr(references, "REFERENCES_FILE", changed)
    with pytest.raises(ValidationError):
        load()


def own(folder: Path, **keys: Any) -> Path:
    """A user's file with these keys."""
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(keys, allow_unicode=True), encoding="utf-8")
    return path


def test_a_users_rows_come_behind_ours_and_their_margins_count(tmp_path: Path) -> None:
    found = load(own(tmp_path, references=[OWN], margins={"nelbo": "0.1"}))
    assert [r.name for r in found.for_table("table-1", "test")] == ["public runs", "mine"]
    assert found.margins == load().margins | {"nelbo": Decimal("0.1")}
    assert found.context == load().context


def test_a_users_own_table(tmp_path: Path) -> None:
    arm = {"model": "mine", "settings": {"z": 3}}
    table = {
        "name": "mine",
        "title": "Mine",
        "metrics": ["nelbo"],
        "evaluations": ["test"],
        "arms": [arm],
    }
    found = load(
        own(tmp_path, tables=[table], references=[OWN | {"table": "mine", "model": "mine"}])
    )
    assert [r.model for r in found.for_table("mine", "test")] == ["mine"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"reference": [OWN]}, "reference: extra inputs are not permitted"),
        (
            {"references": [OWN | {"evaluation": "validation"}]},
            "references.0.evaluation: input should be 'test' or",
        ),
        (
            {"references": [OWN | {"evaluation": "validation"}]},
            "goes under 'context', which is never tested",
        ),
        (
            {"references": [OWN | {"figures": {"nelbo": {"mean": "abc"}}}]},
            "expected a figure such as '99.06'",
        ),
        (
            {"references": [OWN | {"figures": {"nelbo": {"mean": "nan"}}}]},
            "expected a finite figure, got 'nan'",
        ),
        (
            {"references": [OWN | {"figures": {"nelbo": {"mean": 99.5}}}]},
            "references.0.figures.nelbo.mean: expected a",
        ),
        (
            {"references": [OWN | {"figures": {"nelbo": {"mean": "9", "sd": "0.00"}}}]},
            "greater than 0",
        ),
        (
            {"references": [OWN | {"figures": {"elbo": {"mean": "9"}}}]},
            "no metric 'elbo'; did you mean 'nelbo'?",
        ),
        (
            {"references": [OWN | {"figures": {"accuracy": {"mean": "9"}}}]},
            "the table shows nelbo, kl, rec alone",
        ),
        ({"references": [OWN | {"n": 0}]}, "references.0.n: input should be greater than 0, got 0"),
        ({"references": [OWN | {"n": 1}]}, "mine, table-1: one run has no ±"),
        (
            {"references": [OWN | {"n": 10**30}]},
            "references.0.n: input should be less than 2147483648, got 10000",
        ),
        (
            {"digit_counts": [SEEN | {"counts": [0] * 10}]},
            "mine: no digit was counted; expected counts of 0 to 9",
        ),
        ({"references": [OWN | {"name": ["x" * 10**4]}]}, "got ['xxx"),
        ({"references": [OWN | {"table": "table-9"}]}, "no table 'table-9'; did you mean 'table-"),
        (
            {"references": [OWN | {"table": "iwae-bounds"}]},
            "'mine' in iwae-bounds: no such table on test",
        ),
        ({"references": [OWN | {"model": "gmvae"}]}, "no arm of the table is that model"),
        (
            {"references": [OWN | {"figures": {"nelbo": {"mean": "1e400"}}}]},
            "expected a figure of a size from 1e-12 to",
        ),
        (
            {"references": [OWN | {"figures": {"nelbo": {"mean": "9", "sd": "1e-400"}}}]},
            "expected a figure of a size",
        ),
        (
            {"digit_counts": [SEEN | {"counts": [10**30] * 10}]},
            "digit_counts.0.counts.0: input should be less than",
        ),
        ({"digit_counts": [{"counts": [1, 2]}]}, "digit_counts.0.name: field required"),
        ({"tables": [load().tables[0].model_dump()]}, "two tables have one name"),
    ],
)
def test_a_users_mistake_is_reported_in_one_line(
    keys: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        load(own(tmp_path, **keys))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"references '{tmp_path / 'own.yaml'}': ")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 600 + len(str(tmp_path))


DEEP = b"references: " + b"[" * 3000 + b"]" * 3000


@pytest.mark.parametrize(
    "content",
    [
        b"[1",
        b"\xff",
        b"- 1",
        b"",
        DEEP,
        b"margins: &a [*a]",
        b"margins: " + b"9" * 5000,
        b"tables: 2026-13-45",
    ],
)
def test_a_file_that_is_none_is_reported_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(
        InputError, match="expected a YAML file with the keys margins, tables, references"
    ) as caught:
        load(path)
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml")


def test_what_was_given_is_reported_in_a_few_words(tmp_path: Path) -> None:
    """Nine lines of aliases stand for ten to the ninth words."""
    path = tmp_path / "own.yaml"
    levels = [
        f"{chr(98 + at)}: &{chr(98 + at)} [{', '.join([f'*{chr(97 + at)}'] * 10)}]"
        for at in range(8)
    ]
    path.write_text("\n".join(["a: &a [x, x]", *levels, "references: *i"]))
    with pytest.raises(InputError) as caught:
        load(path)
    assert len(str(caught.value)) < 1000
