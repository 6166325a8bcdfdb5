"""Flags of a comparison: warnings in words beside the verdict, which they do not change."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from analysis.frames.adaptive_seeds import SEED_HISTORY_UNKNOWN
from analysis.stats.thresholds import ALPHA

Arm = Mapping[Any, Any]  # a row of `summarize_arms` with the arm's name
COMMITS = ("git_commit", "commits")
DEVICES = ("device", "devices")
PAIR_COLUMNS = (COMMITS[0], DEVICES[0])  # columns that two cells of one seed should share
ADAPTIVE = "adaptive"
_LIBRARIES = ("torch", "python")


def flags(
    a: Arm,
    b: Arm,
    n: tuple[int, int],
    n_common: int,
    design: str,
    has_verdict: bool,
    differing: frozenset[str],
) -> Iterator[str]:
    """The flags of arm a against arm b.

    n: numbers of values of a and b; n_common: of shared seeds; differing: those of `PAIR_COLUMNS`
    in which two cells of one seed differ.
    """
    yield from (
        _lost_runs_flag(arm, has_verdict) for arm in (a, b) if arm["failed"] + arm["diverged"]
    )
    yield from (arm["far"] for arm in (a, b) if arm.get("far"))
    if n[0] < a["ok"] or n[1] < b["ok"]:
        yield "unscored cells"
    if 1 in n:
        yield "single run"
    if n[0] != n[1] or (design == "paired" and n_common < max(n)):
        yield "unequal seeds"
    if design == "welch" and n_common and a["seeded"] & b["seeded"]:
        yield "few common seeds"
    yield from _length_flags(a, b)
    yield from _budget_flags(a, b)
    yield from _label_flags(a, b)
    yield from _setting_flags(a, b)
    yield from _provenance_flags(a, b, design, differing)


def p_value_flags(
    p: float, p_exact: float, p_lost: float, lost: tuple[int, int], names: tuple[str, str]
) -> Iterator[str]:
    """Flags where the unadjusted p-values of one comparison contradict each other."""
    if (p <= ALPHA < p_exact) or (p_exact <= ALPHA < p):
        yield "t and the exact test disagree"
    if p_lost <= ALPHA:
        yield f"more runs lost in {names[0] if lost[0] > lost[1] else names[1]}"


def describe_far_seeds(seeds: list[int], arm: str) -> str:
    """Name the seeds of an arm that are far from its others.

    >>> describe_far_seeds([9], "vae"), describe_far_seeds([3, 9], "vae")
    ('a seed far from the others: seed 9 of vae', 'seeds far from the others: seeds 3 and 9 of vae')
    """
    if len(seeds) == 1:
        return f"a seed far from the others: seed {seeds[0]} of {arm}"
    shown = [str(seed) for seed in seeds[:3]] + (
        [f"{len(seeds) - 3} more"] if len(seeds) > 3 else []
    )
    return f"seeds far from the others: seeds {', '.join(shown[:-1])} and {shown[-1]} of {arm}"


def _lost_runs_flag(arm: Arm, has_verdict: bool) -> str:
    cells = arm["ok"] + arm["failed"] + arm["diverged"]
    parts = [
        f"{arm[status]} of {cells} {status}" for status in ("failed", "diverged") if arm[status]
    ]
    return (
        f"{' and '.join(parts)} in "
        f"{arm['name']}{'; the verdict is of the survivors' if has_verdict else ''}"
    )


def _length_flags(a: Arm, b: Arm) -> Iterator[str]:
    if a["iterations"] < a["full_length"] or b["iterations"] < b["full_length"]:
        yield "shortened"
    if a["iterations"] > a["full_length"] or b["iterations"] > b["full_length"]:
        yield "longer"
    if a["model"] == b["model"] and a["iterations"] != b["iterations"]:
        yield "different lengths"
    if a["iterations"] * b["full_length"] != b["iterations"] * a["full_length"]:
        yield "unequal shares of full length"


def _budget_flags(a: Arm, b: Arm) -> Iterator[str]:
    """Unequal budgets of two searches."""
    sides = [[json.loads(text) for text in arm.get("search_spec", ())] for arm in (a, b)]
    trials = [max((spec["trials"] for spec in specs), default=0) for specs in sides]
    if trials[0] != trials[1]:
        yield f"unequal budgets: {trials[0]} trials against {trials[1]}"
    if all(trials) and a["iterations"] != b["iterations"]:
        yield f"unequal budgets: {a['iterations']:,} steps a training against {b['iterations']:,}"


def _label_flags(a: Arm, b: Arm) -> Iterator[str]:
    if a["labels"] and b["labels"] and a["label_draw"] != b["label_draw"]:
        yield "different label draws"
    if any(
        arm["labels"] and str(arm["label_draw"]).startswith(("draw-", "file-")) for arm in (a, b)
    ):
        yield "one draw of labels"


def _setting_flags(a: Arm, b: Arm) -> Iterator[str]:
    """Shared settings in which two models differ; within one model the arm names show them."""
    if a["model"] == b["model"] or a["settings"] == b["settings"]:
        return
    ours, theirs = (json.loads(arm["settings"]) for arm in (a, b))
    yield from (
        f"{name} = {ours[name]} against {theirs[name]}"
        for name in ours
        if theirs.get(name, ours[name]) != ours[name]
    )


def _provenance_flags(a: Arm, b: Arm, design: str, differing: frozenset[str]) -> Iterator[str]:
    for column, noun in (COMMITS, DEVICES):
        yield from _mixture_flags(
            a[column], b[column], noun, design == "paired" and column in differing
        )
    if any(commit.endswith("+") for commit in a["git_commit"] | b["git_commit"]):
        yield "changed files (commit+)"
    for library in _LIBRARIES:
        if len(a[library] | b[library]) > 1:
            yield f"different versions: {library} {_join_sorted(a[library] | b[library])}"
    if len(a["objective"] | b["objective"]) > 1:
        yield f"different objectives: {_join_sorted(a['objective'] | b['objective'])}"
    if len(a.get("judges", frozenset()) | b.get("judges", frozenset())) > 1:
        yield "different judges"
    sources = (
        (a["source"] | b["source"],) if a["model"] == b["model"] else (a["source"], b["source"])
    )
    if any(len(texts) > 1 or any("," in text for text in texts) for texts in sources):
        yield "two texts of one plug-in"
    yield from _plugin_flags([*a.get("plugin_sources", ()), *b.get("plugin_sources", ())])
    if a.get("adaptive") or b.get("adaptive"):
        yield ADAPTIVE
    if a.get("unrecorded") or b.get("unrecorded"):
        yield SEED_HISTORY_UNKNOWN


def _plugin_flags(sources: Iterable[str]) -> Iterator[str]:
    """Data sets and metrics that two plug-in files of different content have registered."""
    hashes: dict[str, set[str]] = {}
    for text in sources:
        for name, sha in json.loads(text).items():
            hashes.setdefault(name, set()).add(sha)
    for name in sorted(name for name, found in hashes.items() if len(found) > 1):
        yield f"two texts of {name}"


def _mixture_flags(
    a: frozenset[str], b: frozenset[str], noun: str, differs_within_pairs: bool
) -> Iterator[str]:
    """At most one of three flags: no value in common, cells of one seed differ, several values."""
    if a and b and not a & b:
        yield f"different {noun}"
    elif differs_within_pairs:
        yield f"{noun} differ within pairs"
    elif len(a | b) > 1:
        yield f"mixed {noun}"


def _join_sorted(values: frozenset[str]) -> str:
    return " and ".join(sorted(values))
